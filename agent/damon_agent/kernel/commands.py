"""Writing a kdamond's `state` without ever waiting for it.

The kernel carries out most keywords in the kdamond, between two samples or only after an
aggregation, and the writer sleeps uninterruptibly until then; on some kernels for ever. So each
command runs on a thread of its own, and a later step of the driver collects what came of it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from damon_agent.kernel.errors import KernelError
from damon_agent.kernel.sysfs import Sysfs


class Keyword(StrEnum):
    """What the agent ever writes to `state`."""

    ON = "on"
    OFF = "off"
    COMMIT = "commit"
    UPDATE_SCHEMES_STATS = "update_schemes_stats"
    UPDATE_SCHEMES_EFFECTIVE_QUOTAS = "update_schemes_effective_quotas"


@dataclass(slots=True)
class Command:
    """One write of `state`, under way or done."""

    kdamond: int
    keyword: Keyword
    deadline_us: int
    """When it counts as hung, on the clock of the driver's steps."""
    done: bool = False
    error: KernelError | None = None
    """Why the write failed; None on success, which proves nothing: `state` has to be read."""

    def overdue(self, now_us: int) -> bool:
        """Whether it should have come back by now."""
        return not self.done and now_us >= self.deadline_us


class Commands(Protocol):
    """Starts commands."""

    def start(self, kdamond: int, keyword: Keyword, deadline_us: int) -> Command:
        """Write `keyword` to the kdamond's state; the command may be done on return."""


def state_path(kdamond: int) -> str:
    """Return the path of a kdamond's state."""
    return f"admin/kdamonds/{kdamond}/state"


def _carry_out(sysfs: Sysfs, command: Command) -> None:
    try:
        sysfs.write(state_path(command.kdamond), command.keyword.value)
    except KernelError as error:
        command.error = error
    command.done = True


class InlineCommands:
    """Waits for each command: for tests, where the emulator's clock stands still meanwhile."""

    def __init__(self, sysfs: Sysfs) -> None:
        self._sysfs = sysfs

    def start(self, kdamond: int, keyword: Keyword, deadline_us: int) -> Command:
        """See `Commands`."""
        command = Command(kdamond, keyword, deadline_us)
        _carry_out(self._sysfs, command)
        return command


class ThreadCommands:
    """A thread per command, and a call of `wake` when it is done."""

    def __init__(self, sysfs: Sysfs, wake: Callable[[], None] = lambda: None) -> None:
        self._sysfs = sysfs
        self._wake = wake

    def start(self, kdamond: int, keyword: Keyword, deadline_us: int) -> Command:
        """See `Commands`."""
        command = Command(kdamond, keyword, deadline_us)
        # Daemonic: a write that never returns must not keep the agent from exiting. It keeps the
        # lock of the state directory all the same, because the kernel waits for it.
        threading.Thread(
            target=self._run, args=(command,), name=f"{keyword}-{kdamond}", daemon=True
        ).start()
        return command

    def _run(self, command: Command) -> None:
        _carry_out(self._sysfs, command)
        self._wake()
