"""The host's end of the line to the server inside a machine (guest/server.py)."""

import base64
import json
import queue
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

Body = dict[str, Any]

CHUNK_BYTES: Final = 1 << 20
_GRACE_S: Final = 120.0
"""For an answer beyond the time-out of what was asked: emulated machines are slow."""


_LONGEST_S: Final = 1_000_000.0
"""What the machine can wait for: poll(2) takes milliseconds in 32 bits."""


class GuestError(Exception):
    """The machine did not do what it was asked; the message has its words."""


class Channel:
    """Requests and their answers; any thread may ask."""

    def __init__(self, path: Path, *, leaps: float = 1.0) -> None:
        """`leaps`: how far ahead the machine's clock may get while it waits for us."""
        self._leaps = leaps
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._sending = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Body]] = {0: queue.SimpleQueue()}
        self._next = 1
        self._open = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def hello(self, timeout_s: float) -> str:
        """Wait until the server is there; return the release of its kernel."""
        return str(self._answer(0, timeout_s)["hello"])

    def ask(self, op: str, *, timeout_s: float = 0.0, **request: Any) -> Body:
        """Ask and wait for the answer; GuestError when there is none or it is an error."""
        with self._sending:
            number = self._next
            self._next += 1
            self._waiting[number] = queue.SimpleQueue()
            limit_s = min(timeout_s * self._leaps, _LONGEST_S)
            body = {"id": number, "op": op, "timeout_s": limit_s, **request}
            try:
                self._socket.sendall(json.dumps(body).encode() + b"\n")
            except OSError as error:
                raise GuestError(f"{op}: the machine is gone: {error}") from error
        return self._answer(number, timeout_s + _GRACE_S)

    def put(self, path: str, data: bytes, mode: int) -> None:
        """Write a file in the machine."""
        for offset in range(0, max(len(data), 1), CHUNK_BYTES):
            chunk = base64.b64encode(data[offset : offset + CHUNK_BYTES]).decode()
            self.ask("put", path=path, data=chunk, append=offset > 0, mode=mode)

    def get(self, path: str) -> bytes:
        """Read a file of the machine."""
        return base64.b64decode(self.ask("get", path=path)["data"])

    def close(self) -> None:
        """Hang up; the machine ends itself."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def _answer(self, number: int, timeout_s: float) -> Body:
        deadline = time.monotonic() + timeout_s
        waiting = self._waiting[number]
        while True:
            try:
                # In short steps: a machine that died answers nobody.
                body = waiting.get(timeout=1.0)
            except queue.Empty:
                if not self._open:
                    raise GuestError("the machine is gone") from None
                if time.monotonic() > deadline:
                    raise GuestError(f"no answer in {timeout_s:.0f} s") from None
                continue
            del self._waiting[number]
            if "error" in body:
                raise GuestError(body["error"])
            return body

    def _read(self) -> None:
        parts: list[bytes] = []
        try:
            while part := self._socket.recv(1 << 16):
                *lines, rest = part.split(b"\n")
                for line in lines:
                    body = json.loads(b"".join([*parts, line]))
                    parts.clear()
                    if waiting := self._waiting.get(body["id"]):
                        waiting.put(body)
                parts.append(rest)
        except OSError:
            pass
        finally:
            self._open = False
