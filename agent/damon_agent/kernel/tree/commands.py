"""Writing a kdamond's `state` without ever waiting for it.

The kernel carries out most keywords in the kdamond, between two samples or only after an
aggregation, and the writer sleeps uninterruptibly until then; on some kernels for ever. So each
command runs on a thread of its own, and a later step of the driver collects what came of it.
"""

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from damon_agent.kernel.tree.errors import Busy, KernelError, translated
from damon_agent.kernel.tree.sysfs import Sysfs, state_path


class Keyword(StrEnum):
    """What the agent ever writes to `state`."""

    ON = "on"
    OFF = "off"
    COMMIT = "commit"
    UPDATE_SCHEMES_STATS = "update_schemes_stats"
    UPDATE_SCHEMES_EFFECTIVE_QUOTAS = "update_schemes_effective_quotas"
    UPDATE_SCHEMES_TRIED_REGIONS = "update_schemes_tried_regions"
    CLEAR_SCHEMES_TRIED_REGIONS = "clear_schemes_tried_regions"


class Outcome(StrEnum):
    """What the write of a command came to."""

    ACCEPTED = "accepted"
    BUSY = "busy"
    """EBUSY: it is tried again in milliseconds."""
    REFUSED = "refused"
    """Any other error."""


@dataclass(slots=True)
class Command:
    """One write of `state`, under way or done."""

    kdamond: int
    keyword: Keyword
    done: bool = False
    error: KernelError | None = None
    """Why the write failed; None on success, which proves nothing: `state` has to be read."""


class Commands(Protocol):
    """Starts commands."""

    def start(
        self,
        kdamond: int,
        keyword: Keyword,
        then: Callable[[], None] | None = None,
    ) -> Command:
        """Write `keyword` to the kdamond's state; the command may be done on return.

        Where it can't even be begun, that is its error.

        `then` belongs to it: it is called when the write has succeeded, where waiting is allowed,
        and may raise KernelError.
        """


def _carry_out(sysfs: Sysfs, command: Command, then: Callable[[], None] | None) -> None:
    try:
        sysfs.write(state_path(command.kdamond), command.keyword.value)
        if then is not None:
            then()
    except KernelError as error:
        command.error = error
    finally:
        command.done = True


class ThreadCommands:
    """A thread per command, and a call of `wake` when it is done."""

    def __init__(self, sysfs: Sysfs, wake: Callable[[], None] = lambda: None) -> None:
        self._sysfs = sysfs
        self._wake = wake
        self._lock = threading.Lock()
        self._outcomes = Counter[tuple[Keyword, Outcome]]()
        self._under_way = 0

    @property
    def outcomes(self) -> Mapping[tuple[Keyword, Outcome], int]:
        """How many commands came to what so far; safe from any thread."""
        with self._lock:
            return dict(self._outcomes)

    @property
    def under_way(self) -> int:
        """How many the kernel has not answered yet."""
        return self._under_way

    def start(
        self,
        kdamond: int,
        keyword: Keyword,
        then: Callable[[], None] | None = None,
    ) -> Command:
        """See `Commands`."""
        command = Command(kdamond, keyword)
        # Daemonic: a write that never returns must not keep the agent from exiting. It keeps the
        # lock of the state directory all the same, because the kernel waits for it.
        thread = threading.Thread(
            target=self._run, args=(command, then), name=f"{keyword}-{kdamond}", daemon=True
        )
        with self._lock:
            self._under_way += 1
        try:
            thread.start()
        except RuntimeError:
            # There are as many threads as there may be: tried again as what the kernel puts off.
            no_thread = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            command.error = translated(state_path(kdamond), keyword, no_thread)
            command.done = True
            self._count(command)
        return command

    def _run(self, command: Command, then: Callable[[], None] | None) -> None:
        try:
            _carry_out(self._sysfs, command, then)
        finally:
            self._count(command)
        self._wake()

    def _count(self, command: Command) -> None:
        with self._lock:
            self._under_way -= 1
            self._outcomes[command.keyword, _outcome(command)] += 1


def _outcome(command: Command) -> Outcome:
    if command.done and command.error is None:
        return Outcome.ACCEPTED
    return Outcome.BUSY if isinstance(command.error, Busy) else Outcome.REFUSED
