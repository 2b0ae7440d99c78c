"""Real processes by session: a container is a session, whatever it forks stays in it."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

_STATE: Final = 0
_SESSION: Final = 3
_START: Final = 19
"""Fields 3, 6 and 22 of /proc/<pid>/stat, counted behind the closing parenthesis (proc(5))."""


class Process(NamedTuple):
    """One process: its pid, and when it started in clock ticks after boot."""

    pid: int
    start_ticks: int


def stat_fields(pid: int, root: Path = Path("/proc")) -> list[str] | None:
    """Return the fields of stat behind the command name; None when there is no such process."""
    try:
        text = (root / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def of_sessions(sessions: Collection[int]) -> list[Process]:
    """Look at every process of the machine and return those of the sessions, zombies left out."""
    found = []
    for pid in _pids():
        fields = stat_fields(pid)
        if fields and int(fields[_SESSION]) in sessions and fields[_STATE] not in "ZX":
            found.append(Process(pid, int(fields[_START])))
    return sorted(found)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - often


class Sessions:
    """Members of sessions, looked up often: a process is read once, then only its presence."""

    def __init__(self) -> None:
        self._session_of: dict[int, int] = {}

    def members(self, sessions: Collection[int]) -> Mapping[int, set[int]]:
        """Return the pids of each session that has any."""
        present = _pids()
        self._session_of = {
            pid: self._session_of[pid] if pid in self._session_of else _session(pid)
            for pid in present
        }
        found: dict[int, set[int]] = {}
        for pid, session in self._session_of.items():
            if session in sessions:
                found.setdefault(session, set()).add(pid)
        return found

    def forget(self, pid: int) -> None:
        """Read this process again: it has moved to another session."""
        self._session_of.pop(pid, None)


def _session(pid: int) -> int:
    fields = stat_fields(pid)
    return int(fields[_SESSION]) if fields else 0
