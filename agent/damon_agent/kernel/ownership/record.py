"""The ownership record: which kdamonds this agent allocated in this boot, and who stands in them.

DAMON's sysfs knows no owner and forgets nothing until somebody rewrites it, so the agent notes what
it is about to write *before* it writes. The file is replaced atomically. It is not synced to disk:
it has to survive the agent, not the machine, and it counts only within its boot.
"""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel.slots import Slot, Slots
from damon_agent.kernel.tree.errors import AlreadyRunning, StateUnwritable

_FORMAT: Final = 2
_RECORD: Final = "record.json"


@dataclass(frozen=True, slots=True)
class Record:
    """What is known about our use of DAMON in this boot."""

    boot_id: str
    """/proc/sys/kernel/random/boot_id when it was written."""
    kdamonds: tuple[Slots, ...]
    """The targets of each kdamond we have allocated: as many as we wrote to nr_kdamonds."""
    is_signed: bool = False
    """Whether they carry our signature, so that a tree without it is somebody else's."""
    native: bool = False
    """Whether this boot belongs to the driver native: no other may touch the kdamonds then."""
    stopped_damon_stat: bool = False
    """Whether we have switched DAMON_STAT off, or are about to: it is to be switched on again."""

    @property
    def is_occupied(self) -> bool:
        """Whether a kdamond may hold anybody: all who are put into one are noted before."""
        return any(slots.carried for slots in self.kdamonds)


class StateDirectory:
    """The directory that outlives the agent, and the lock that keeps a second agent out of it."""

    def __init__(self, directory: Path, boot_id: str) -> None:
        self._directory = directory
        self._boot_id = boot_id
        self._lock: int | None = None

    @property
    def boot_id(self) -> str:
        """Id of the running boot."""
        return self._boot_id

    def lock(self) -> None:
        """Keep every other agent out until this process ends; done once.

        The kernel releases the lock when the last thread of the process is gone, so not while a
        write of `state` is still under way. Raise AlreadyRunning or StateUnwritable.
        """
        if self._lock is not None:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(
                self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StateUnwritable(f"cannot write to {self._directory}: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise AlreadyRunning(f"another agent works with {self._directory}") from error
            raise StateUnwritable(f"cannot lock {self._directory}: {error}") from error
        self._lock = descriptor

    def unlock(self) -> None:
        """Let another agent in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> Record | None:
        """Return the record of this boot; None when there is none that can be trusted."""
        text = self.read(_RECORD)
        record = None if text is None else parse(text)
        return record if record is not None and record.boot_id == self._boot_id else None

    def save(self, record: Record) -> None:
        """Replace the record; raise StateUnwritable, and then write nothing to sysfs."""
        self.write(_RECORD, dump(record))

    def forget(self) -> None:
        """Remove the record; raise StateUnwritable."""
        self.remove(_RECORD)

    def read(self, name: str) -> bytes | None:
        """Return what a file holds, None where there is none; raise StateUnwritable."""
        try:
            return (self._directory / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateUnwritable(f"cannot read {self._directory / name}: {error}") from error

    def write(self, name: str, text: str) -> None:
        """Replace a file as a whole; raise StateUnwritable."""
        temporary = self._directory / f"{name}.new"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self._directory / name)
        except OSError as error:
            raise StateUnwritable(f"cannot write to {self._directory}: {error}") from error

    def remove(self, name: str) -> None:
        """Remove a file that may not be there; raise StateUnwritable."""
        try:
            (self._directory / name).unlink(missing_ok=True)
        except OSError as error:
            raise StateUnwritable(f"cannot write to {self._directory}: {error}") from error


def dump(record: Record) -> str:
    """Return the record as JSON."""
    return json.dumps(
        {
            "format": _FORMAT,
            "bootId": record.boot_id,
            "isSigned": record.is_signed,
            "native": record.native,
            "stoppedDamonStat": record.stopped_damon_stat,
            "kdamonds": [
                {
                    "committed": slots.committed,
                    "leaving": [[p.pid, p.start_ticks] for p in slots.leaving],
                    "slots": [
                        [
                            *((s.process.pid, s.process.start_ticks) if s.process else (0, 0)),
                            s.settled,
                        ]
                        for s in slots.slots
                    ],
                }
                for slots in record.kdamonds
            ],
        },
        separators=(",", ":"),
    )


def parse(text: bytes | str) -> Record | None:
    """Return the record written as JSON; None for anything else: damage, or another format."""
    try:
        value = json.loads(text)
        if value["format"] != _FORMAT:
            return None
        return Record(
            boot_id=str(value["bootId"]),
            is_signed=_true_or_false(value["isSigned"]),
            native=_true_or_false(value["native"]),
            stopped_damon_stat=_true_or_false(value["stoppedDamonStat"]),
            kdamonds=tuple(
                Slots(
                    slots=tuple(
                        Slot(_process(pid, ticks) if pid else None, settled=_true_or_false(settled))
                        for pid, ticks, settled in held["slots"]
                    ),
                    leaving=tuple(_process(pid, ticks) for pid, ticks in held["leaving"]),
                    committed=_true_or_false(held["committed"]),
                )
                for held in value["kdamonds"]
            ),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _process(pid: object, start_ticks: object) -> Process:
    """Return the process; raise ValueError for what no agent has written."""
    if type(pid) is not int or type(start_ticks) is not int or pid <= 0 or start_ticks < 0:
        raise ValueError(f"not a process: {pid!r}, {start_ticks!r}")
    return Process(pid, start_ticks)


def _true_or_false(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"neither true nor false: {value!r}")
    return value
