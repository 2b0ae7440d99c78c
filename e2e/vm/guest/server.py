"""Does what the host asks, inside the machine: JSON lines over a virtio port.

Requests carry `id` and `op`; answers the same `id` and either the result or `error`. Each request
has a thread of its own, so a slow one holds nobody up. Standard library only: the machine has
Debian's Python and nothing of this project.
"""

import base64
import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any, Final

_PORT_NAME: Final = "control"
_PATIENCE_S: Final = 60.0

Body = dict[str, Any]


class Server:
    """Answers until the host lets go of the port."""

    def __init__(self, port: Path) -> None:
        self._file = port.open("r+b", buffering=0)
        self._answering = threading.Lock()
        self._spawned: dict[int, subprocess.Popen[bytes]] = {}
        self._operations = {
            "run": self._run,
            "spawn": self._spawn,
            "wait": self._wait,
            "kill": self._kill,
            "put": self._put,
            "get": self._get,
            "exists": self._exists,
        }

    def serve(self) -> None:
        """Say hello, then answer."""
        self._answer({"id": 0, "hello": os.uname().release})
        parts: list[bytes] = []
        while part := self._file.read(1 << 16):
            # Parts are joined once per line: a line may be a megabyte long.
            *lines, rest = part.split(b"\n")
            for line in lines:
                request = json.loads(b"".join([*parts, line]))
                parts.clear()
                threading.Thread(target=self._handle, args=(request,), daemon=True).start()
            parts.append(rest)

    def _handle(self, request: Body) -> None:
        try:
            result = self._operations[request["op"]](request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the host is to hear it
            result = {"error": f"{type(error).__name__}: {error}"}
        self._answer({"id": request["id"], **result})

    def _answer(self, body: Body) -> None:
        data = memoryview(json.dumps(body).encode() + b"\n")
        with self._answering:
            while data:
                data = data[self._file.write(data) :]

    def _run(self, request: Body) -> Body:
        process = subprocess.Popen(
            request["argv"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=request.get("cwd") or "/",
            env={**os.environ, **request.get("env", {})},
            start_new_session=True,
        )
        given = request.get("stdin", "").encode()
        try:
            stdout, stderr = process.communicate(given, timeout=request["timeout_s"])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate(timeout=_PATIENCE_S)
            return {
                "error": f"still running after {request['timeout_s']} s: {request['argv']}\n"
                f"{_text(stdout)}{_text(stderr)}"
            }
        return {"rc": process.returncode, "stdout": _text(stdout), "stderr": _text(stderr)}

    def _spawn(self, request: Body) -> Body:
        with Path(request.get("output") or os.devnull).open("ab") as output:
            process = subprocess.Popen(
                request["argv"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=request.get("cwd") or "/",
                env={**os.environ, **request.get("env", {})},
                start_new_session=True,
            )
        self._spawned[process.pid] = process
        # Reaped at once when it ends: DAMON takes a zombie for a live process.
        threading.Thread(target=process.wait, daemon=True).start()
        return {"pid": process.pid}

    def _wait(self, request: Body) -> Body:
        try:
            return {"rc": self._spawned[request["pid"]].wait(request["timeout_s"])}
        except subprocess.TimeoutExpired:
            return {"rc": None}

    def _kill(self, request: Body) -> Body:
        os.kill(request["pid"], request["signal"])
        return {}

    def _put(self, request: Body) -> Body:
        path = Path(request["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab" if request.get("append") else "wb") as file:
            file.write(base64.b64decode(request["data"]))
        if "mode" in request:
            path.chmod(request["mode"])
        return {}

    def _get(self, request: Body) -> Body:
        return {"data": base64.b64encode(Path(request["path"]).read_bytes()).decode()}

    def _exists(self, request: Body) -> Body:
        return {"exists": Path(request["path"]).exists()}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _port() -> Path:
    for entry in Path("/sys/class/virtio-ports").iterdir():
        if (entry / "name").read_text().strip() == _PORT_NAME:
            return Path("/dev") / entry.name
    raise FileNotFoundError(f"no virtio port {_PORT_NAME}")


if __name__ == "__main__":
    Server(_port()).serve()
