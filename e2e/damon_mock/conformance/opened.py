"""Directories of a real tree, opened once, checked, and then the only way in."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from . import guard
from .machine import Done, error_name

Check = Callable[[int, Path], bool]
"""(descriptor, its path) -> whether it is a real kernel's; RealKernelError if not to be touched."""

_SHORTEST_S: Final = 0.000_001


class OpenedTree:
    """Files below an open directory. `real`: it is a kernel's own; RealKernelError, OSError."""

    def __init__(self, directory: Path, check: Check = guard.check) -> None:
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.real = check(self._root, directory)
        except BaseException:
            os.close(self._root)
            raise

    @property
    def descriptor(self) -> int:
        """The open directory."""
        return self._root

    def read(self, path: str) -> bytes:
        """Return a file's content; OSError."""
        descriptor = self._open(path, os.O_RDONLY)
        try:
            parts = []
            while part := os.read(descriptor, 65536):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)

    def entries(self, path: str) -> list[str]:
        """Return the names in a directory; OSError."""
        descriptor = self._open(path or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.listdir(descriptor)  # noqa: PTH208  # of a descriptor, not of a path
        finally:
            os.close(descriptor)

    def mode(self, path: str) -> int | None:
        """Return the permission bits of a file; None for a directory; OSError."""
        found = os.stat(path or ".", dir_fd=self._root)
        return None if stat.S_ISDIR(found.st_mode) else stat.S_IMODE(found.st_mode)

    def write(self, path: str, data: bytes) -> None:
        """Write once; OSError."""
        descriptor = self._open(path, os.O_WRONLY)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def begin(self, path: str, data: bytes) -> "ThreadWriting | Done":
        """Start a write: to `state` in a thread, since a kernel may never return from it."""
        if path.rpartition("/")[2] == "state":
            return ThreadWriting(self, path, data)
        return Done(self.attempt(path, data))

    def attempt(self, path: str, data: bytes) -> str:
        """Write once; return "ok" or the name of an errno."""
        try:
            self.write(path, data)
        except OSError as error:
            return error_name(error)
        return "ok"

    def close(self) -> None:
        """Close the directory."""
        os.close(self._root)

    def _open(self, path: str, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=self._root)


class ThreadWriting:
    """A write(2) in a thread of its own, which dies with this process."""

    def __init__(self, tree: OpenedTree, path: str, data: bytes) -> None:
        self._result: str | None = None
        self._thread = threading.Thread(target=self._run, args=(tree, path, data), daemon=True)
        self._thread.start()

    def _run(self, tree: OpenedTree, path: str, data: bytes) -> None:
        self._result = tree.attempt(path, data)

    def result(self, within_us: int) -> str | None:
        """See `Writing`."""
        self._thread.join(max(_SHORTEST_S, within_us / 1_000_000))
        return self._result
