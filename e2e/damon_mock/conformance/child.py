"""A process for DAMON to watch: does what it reads from standard input, and says when it is done.

Lines: `touch BYTES once|steadily`, `exit`, `abandon`, `fork`, `reap PID`, `write FD PATH HEX`.
Answers are one line. It leads a session of its own. Standard library only.
"""

import errno
import mmap
import os
import select
import sys
import time
from typing import Final

_PAGE: Final = 4096
_ROUND_S: Final = 0.01


class Child:
    """What one process has and does."""

    def __init__(self) -> None:
        self._kept: list[mmap.mmap] = []
        self._used: mmap.mmap | None = None
        self._input = b""

    def serve(self) -> None:
        """Obey lines until the input ends."""
        while True:
            *lines, self._input = self._input.split(b"\n")
            for line in lines:
                answer = self._obey(line.decode().split())
                sys.stdout.write(f"{answer}\n")
                sys.stdout.flush()
            if self._used is not None:
                _touch(self._used)
            ready, _, _ = select.select([0], [], [], None if self._used is None else _ROUND_S)
            if ready:
                data = os.read(0, 4096)
                if not data:
                    return
                self._input += data

    def _obey(self, words: list[str]) -> str:
        match words:
            case ["touch", size_bytes, how]:
                self._touch(int(size_bytes), steadily=how == "steadily")
            case ["exit"]:
                os._exit(0)
            case ["abandon"]:
                if os.fork() == 0:
                    wait_for_end_of_input()
                os._exit(0)
            case ["fork"]:
                inner = os.fork()
                if inner == 0:
                    time.sleep(100_000)
                return str(inner)
            case ["reap", inner]:
                os.waitpid(int(inner), 0)
            case ["write", directory, path, data]:
                return write(int(directory), path, bytes.fromhex(data))
            case other:
                return f"what is {other}?"
        return "done"

    def _touch(self, size_bytes: int, *, steadily: bool) -> None:
        if self._used is not None:
            self._kept.append(self._used)
            self._used = None
        if size_bytes:
            area = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            _touch(area)
            if steadily:
                self._used = area
            else:
                self._kept.append(area)


def write(directory: int, path: str, data: bytes) -> str:
    """Write once below an open directory; return "ok" or the name of an errno."""
    try:
        descriptor = os.open(path, os.O_WRONLY, dir_fd=directory)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "ok"


def wait_for_end_of_input() -> None:
    """Hold still until nobody can write to standard input any more, then end."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def _touch(area: mmap.mmap) -> None:
    for place in range(0, len(area), _PAGE):
        area[place] = 1


def alone() -> None:
    """Become the first process of a new pid namespace; the outer one waits for it."""
    os.unshare(os.CLONE_NEWPID)  # type: ignore[attr-defined,unused-ignore]  # Python 3.12
    inner = os.fork()
    if inner:
        os.close(0)
        os.waitpid(inner, 0)
        os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:] == ["alone"]:
        alone()
    Child().serve()
