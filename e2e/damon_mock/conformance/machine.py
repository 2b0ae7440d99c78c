"""What a script is played on: a DAMON tree, and processes and memory for it to watch."""

import errno
from typing import Protocol


class MachineError(Exception):
    """A step could not be done at all: not a result, but the end of the play."""


class Writing(Protocol):
    """A write(2) under way."""

    def result(self, within_us: int) -> str | None:
        """Return "ok" or the name of an errno; None if it has not returned in that time."""
        ...


class Done:
    """A write that has returned."""

    def __init__(self, result: str) -> None:
        self._result = result

    def result(self, within_us: int) -> str:
        """See `Writing`."""
        del within_us
        return self._result


class Machine(Protocol):
    """The place of play. Paths are below kdamonds/, or start with "module/". Errors are OSError."""

    real: bool
    """Whether a kernel could be harmed."""
    kernel: str
    """The exact release, for the header of a transcript."""
    capabilities: frozenset[str]

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        ...

    def entries(self, path: str) -> list[str]:
        """Return the names in a directory, in any order."""
        ...

    def mode(self, path: str) -> int | None:
        """Return the permission bits of a file; None for a directory."""
        ...

    def begin(self, path: str, data: bytes, namespace: str | None = None) -> Writing:
        """Start one write; everything that goes wrong is in its result."""
        ...

    def sleep(self, us: int) -> None:
        """Let time pass."""
        ...

    def now_us(self) -> int:
        """Return the time since some moment."""
        ...

    def free_permille(self) -> int:
        """Return MemFree in per mille of MemTotal."""
        ...

    def squeeze(self, permille: int) -> None:
        """Use memory until at most so much is free."""
        ...

    def release(self) -> None:
        """Give back what squeezing took."""
        ...

    def start(self, name: str, namespace: str | None, pid: int | None) -> dict[str, int]:
        """Start a process; return its numbers: "pid", and "inner" in a namespace."""
        ...

    def end(self, name: str, how: str) -> None:
        """End a process in one of the ways of `language.End`."""
        ...

    def touch(self, name: str, size_bytes: int, *, steadily: bool) -> None:
        """Let a process have so much memory, and use it once or all the time."""
        ...

    def swapped_mib(self, name: str) -> int:
        """Return how much of a process is in swap."""
        ...

    def make_namespace(self, name: str) -> None:
        """Make a pid namespace."""
        ...

    def boot(self) -> bool:
        """Be as after a boot; False where no boot is to be had."""
        ...

    def panic_on_oops(self, *, on: bool) -> None:
        """Let a crash in the kernel end all of it, or only the thread it happens in."""
        ...

    def clear(self) -> None:
        """End all processes and namespaces, and release the memory."""
        ...


def error_name(error: OSError) -> str:
    """Return EINVAL for 22 and so on."""
    return errno.errorcode.get(error.errno or 0, str(error.errno))
