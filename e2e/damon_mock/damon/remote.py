"""The emulator's files over a unix socket: for users without FUSE.

A question is {"do": "read" | "write" | "list", "path", "data"}; the answer {"data"}, {"entries"},
{}, {"errno"} or {"killed"}. Data is latin-1 text, one character per byte.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from .faults import Killed
from .files import RealtimeFiles
from .parse import failure
from .wire import Connections


def answer(files: RealtimeFiles, question: dict[str, Any]) -> dict[str, Any]:
    """Do what was asked on the files; blocks as long as the access does."""
    path = str(question["path"])
    try:
        match question["do"]:
            case "read":
                return {"data": files.read(path).decode("latin-1")}
            case "list":
                return {"entries": files.list(path)}
            case "write":
                files.write(path, str(question["data"]).encode("latin-1"))
                return {}
            case other:
                raise ValueError(f"no such question: {other!r}")
    except OSError as error:
        return {"errno": error.errno}
    except Killed as killed:
        return {"killed": str(killed)}


def raise_killed(reason: str) -> NoReturn:
    """Take an injected death as an exception: for tests."""
    raise Killed(reason)


def die(reason: str) -> NoReturn:
    """Take an injected death for real: SIGKILL to this very process."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise Killed(reason)


class SocketFiles:
    """Files of an emulator served elsewhere. Paths start at `root`; OSError as from a real tree."""

    def __init__(
        self,
        path: Path,
        root: str = "",
        *,
        on_killed: Callable[[str], NoReturn] = raise_killed,
        connections: Connections | None = None,
    ) -> None:
        self._socket = path
        self._root = root
        self._on_killed = on_killed
        self._connections = connections or Connections(path)

    def under(self, root: str) -> "SocketFiles":
        """Return the same files, starting at a directory."""
        below = f"{self._root}/{root}".strip("/")
        return SocketFiles(
            self._socket, below, on_killed=self._on_killed, connections=self._connections
        )

    def read(self, path: str) -> bytes:
        """Return a file's content; OSError."""
        return str(self._ask("read", path)["data"]).encode("latin-1")

    def write(self, path: str, data: bytes) -> None:
        """Write once; blocks as long as the kernel does; OSError."""
        self._ask("write", path, data=data.decode("latin-1"))

    def list(self, path: str) -> list[str]:
        """Return a directory's entries; OSError."""
        return [str(name) for name in self._ask("list", path)["entries"]]

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()

    def _ask(self, do: str, path: str, **more: str) -> dict[str, Any]:
        below = f"{self._root}/{path}".strip("/")
        answered = self._connections.ask({"do": do, "path": below, **more})
        if "killed" in answered:
            self._on_killed(str(answered["killed"]))
        if "errno" in answered:
            raise failure(int(answered["errno"]))
        return answered
