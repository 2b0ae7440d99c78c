"""What happened on the emulated machine, and what was written to it: the tests' evidence."""

from dataclasses import dataclass
from typing import Literal

EventKind = Literal["on", "stop", "commit", "reclaim", "retune", "arm", "oops", "panic", "boot"]


@dataclass(frozen=True)
class Event:
    """Something the emulated kernel did, at a virtual time in microseconds.

    kdamond: index of the directory. pid, size_bytes: whose memory, and how much, was paged out.
    hot_bytes: how much of it was in use and had to come back at once: the damage of a wrong age.
    """

    time_us: int
    kind: EventKind
    kdamond: int = -1
    pid: int = 0
    start_ticks: int = 0
    size_bytes: int = 0
    hot_bytes: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Writer:
    """Who writes: a name for the log, and the pid namespace in which `on` resolves its numbers."""

    name: str = "agent"
    namespace: str = "init"


@dataclass
class WriteRecord:
    """One write(2) to one file.

    code: 0, an errno, or None while the write has not returned. foreign: it changed or destroyed
    something another writer had made.
    """

    index: int
    time_us: int
    writer: str
    path: str
    value: str
    code: int | None = 0
    foreign: bool = False

    def returned(self, error: OSError | None) -> None:
        """Take down how the write ended."""
        self.code = 0 if error is None else error.errno
