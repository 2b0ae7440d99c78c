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
from damon_agent.kernel.errors import AlreadyRunning, StateUnwritable
from damon_agent.kernel.slots import Slot, Slots

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What is known about our use of DAMON in this boot."""

    boot_id: str
    """/proc/sys/kernel/random/boot_id when it was written."""
    driver: str
    """The driver that wrote it: lanes or native."""
    nr_kdamonds_found: int
    """What nr_kdamonds read before the claim, and reads again after the release."""
    nr_kdamonds: int
    """What we wrote there; 0: nothing is claimed."""
    kdamonds: tuple[Slots, ...]
    """The targets of each kdamond."""
    armed: bool = False
    """Whether the kernel RFC's tuner has run in this boot. Never taken back within the boot:
    afterwards rewriting nr_kdamonds makes that kernel use freed memory."""
    shift_permille: int | None = None
    """The shift of the marks that were last written."""
    phase: str = ""
    """How far the native driver has come: a damon_agent.kernel.native.phase.Phase."""
    target_priorities: tuple[int, ...] = ()
    """The number each slot of the native driver's kdamond started with, and has in the kernel."""
    stopped_damon_stat: bool = False
    """Whether we have switched DAMON_STAT off, or are about to: it is to be switched on again."""


class RecordStore:
    """The record's file, and the lock that keeps a second agent out."""

    def __init__(self, directory: Path, boot_id: str) -> None:
        self._directory = directory
        self._boot_id = boot_id
        self._lock: int | None = None

    @property
    def boot_id(self) -> str:
        """Id of the running boot."""
        return self._boot_id

    def lock(self) -> None:
        """Keep every other agent out until this process ends.

        The kernel releases the lock when the last thread of the process is gone, so not while a
        write of `state` is still under way. Raise AlreadyRunning or StateUnwritable.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(
                self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StateUnwritable(f"cannot write to {self._directory}: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise AlreadyRunning(f"another agent works with {self._directory}") from error
        self._lock = descriptor

    def unlock(self) -> None:
        """Let another agent in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> Record | None:
        """Return the record of this boot; None when there is none that can be trusted."""
        try:
            text = (self._directory / "record.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateUnwritable(
                f"cannot read the record in {self._directory}: {error}"
            ) from error
        record = parse(text)
        return record if record is not None and record.boot_id == self._boot_id else None

    def save(self, record: Record) -> None:
        """Replace the record; raise StateUnwritable, and then write nothing to sysfs."""
        temporary = self._directory / "record.json.new"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            temporary.write_text(dump(record), encoding="utf-8")
            temporary.replace(self._directory / "record.json")
        except OSError as error:
            raise StateUnwritable(f"cannot write to {self._directory}: {error}") from error

    def remove(self) -> None:
        """Forget everything; raise StateUnwritable."""
        try:
            (self._directory / "record.json").unlink(missing_ok=True)
        except OSError as error:
            raise StateUnwritable(f"cannot write to {self._directory}: {error}") from error


def dump(record: Record) -> str:
    """Return the record as JSON."""
    return json.dumps(
        {
            "format": _FORMAT,
            "bootId": record.boot_id,
            "driver": record.driver,
            "nrKdamondsFound": record.nr_kdamonds_found,
            "nrKdamonds": record.nr_kdamonds,
            "armed": record.armed,
            "shiftPermille": record.shift_permille,
            "phase": record.phase,
            "targetPriorities": record.target_priorities,
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


def parse(text: str) -> Record | None:
    """Return the record written as JSON; None for anything else, such as an older format."""
    try:
        value = json.loads(text)
        if value["format"] != _FORMAT:
            return None
        shift = value["shiftPermille"]
        return Record(
            boot_id=str(value["bootId"]),
            driver=str(value["driver"]),
            nr_kdamonds_found=int(value["nrKdamondsFound"]),
            nr_kdamonds=int(value["nrKdamonds"]),
            armed=bool(value["armed"]),
            shift_permille=None if shift is None else int(shift),
            phase=str(value.get("phase", "")),
            target_priorities=tuple(int(n) for n in value.get("targetPriorities", ())),
            stopped_damon_stat=bool(value.get("stoppedDamonStat", False)),
            kdamonds=tuple(
                Slots(
                    slots=tuple(
                        Slot(Process(int(pid), int(ticks)) if pid else None, bool(settled))
                        for pid, ticks, settled in kdamond["slots"]
                    ),
                    leaving=tuple(
                        Process(int(pid), int(ticks)) for pid, ticks in kdamond["leaving"]
                    ),
                    committed=bool(kdamond["committed"]),
                )
                for kdamond in value["kdamonds"]
            ),
        )
    except (ValueError, KeyError, TypeError):
        return None
