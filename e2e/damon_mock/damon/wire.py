"""JSON lines over a unix socket: one object asks, one object answers, a thread per connection."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Server:
    """Answers questions on a unix socket while entered; removes the socket afterwards."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(64)
        name = f"damon-mock-{path.name}"
        self._thread = threading.Thread(target=self._accept, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2)
        self._thread.join()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # shut down
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as questions:
            try:
                for line in questions:
                    answer = self._answer(json.loads(line))
                    connection.sendall(json.dumps(answer).encode() + b"\n")
            except (BrokenPipeError, ConnectionResetError):
                return  # who asked is gone


class Connections:
    """Asks a `Server`. Safe for threads: a question that is not answered yet delays no other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; ConnectionError (an OSError) if nobody serves there."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                raise
        try:
            connection.sendall(json.dumps(question).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
        except OSError:
            connection.close()
            raise
        if not line:
            connection.close()
            raise ConnectionResetError(f"{self._path} closed the connection")
        with self._lock:
            self._idle.append(connection)
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ConnectionError(f"{self._path} answered {answer!r}")
        return answer

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()
