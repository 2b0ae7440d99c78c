"""The agent's only hands on sysfs: read, write, list, each failure with path, value and errno.

`Files` is the port. `DirectoryFiles` serves it from a directory (a real sysfs, or a mount of the
mock); the mock serves it in-process and over a socket. `Sysfs` puts words on top: text without the
final newline, and the errors of damon_agent.kernel.tree.errors.
"""

import os
from pathlib import Path
from typing import Final, Protocol

from damon_agent.kernel.tree.errors import Missing, RealSysfs, translated
from damon_agent.mounts import filesystem

_READ_BYTES: Final = 65536


def kdamond_path(kdamond: int) -> str:
    """Return the directory of a kdamond."""
    return f"admin/kdamonds/{kdamond}"


def state_path(kdamond: int) -> str:
    """Return the path of a kdamond's state."""
    return f"{kdamond_path(kdamond)}/state"


class Files(Protocol):
    """A tree of small files. Paths are relative, "/"-separated; failures are OSError with errno."""

    def read(self, path: str) -> bytes:
        """Return the whole content."""

    def write(self, path: str, data: bytes) -> None:
        """Hand `data` over in one system call; a kdamond's `state` may block."""

    def list(self, path: str) -> list[str]:
        """Return the names in a directory."""


class DirectoryFiles:
    """`Files` below a directory of this machine."""

    def __init__(
        self,
        root: Path,
        *,
        allow_sysfs: bool = False,
        mountinfo: Path = Path("/proc/self/mountinfo"),
    ) -> None:
        """Raise RealSysfs if `root` lies on a mounted sysfs and `allow_sysfs` is not set.

        Only an agent that runs from an in-cluster service account sets it: a developer's machine
        is never tuned by accident.
        """
        self._root = root.resolve()
        if not allow_sysfs:
            kind = filesystem(self._root, mountinfo.read_text(encoding="utf-8"))
            if kind == "sysfs":
                raise RealSysfs(
                    f"{root} is the real sysfs of this machine; only an agent in a cluster uses it"
                )

    def read(self, path: str) -> bytes:
        """See `Files`."""
        descriptor = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = os.read(descriptor, _READ_BYTES)
            # A file of sysfs is at most a page, and read in one piece: a shorter read was all.
            while len(content) % _READ_BYTES == 0 and (more := os.read(descriptor, _READ_BYTES)):
                content += more
            return content
        finally:
            os.close(descriptor)

    def write(self, path: str, data: bytes) -> None:
        """See `Files`."""
        # Not a Python file object: it would split or delay the write and could lose its error.
        descriptor = os.open(f"{self._root}/{path}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def list(self, path: str) -> list[str]:
        """See `Files`."""
        return sorted(entry.name for entry in (self._root / path).iterdir())


class Sysfs:
    """Typed access to one tree of `Files`."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self, path: str) -> str:
        """Return the content without its final newline; raise a KernelError."""
        try:
            return self._files.read(path).decode("utf-8", "replace").removesuffix("\n")
        except OSError as error:
            raise translated(path, None, error) from error

    def write(self, path: str, value: str) -> None:
        """Write one value; raise a KernelError."""
        try:
            self._files.write(path, value.encode())
        except OSError as error:
            raise translated(path, value, error) from error

    def list(self, path: str) -> tuple[str, ...]:
        """Return the names in a directory, sorted; raise a KernelError."""
        try:
            return tuple(sorted(self._files.list(path)))
        except OSError as error:
            raise translated(path, None, error) from error

    def found(self, path: str) -> str | None:
        """Return the content, or None where the file does not exist."""
        try:
            return self.read(path)
        except Missing:
            return None
