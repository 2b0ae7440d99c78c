"""One kdamond: its files, and at most one command to it under way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from damon_agent.kernel.slots import Slots, settle, unsettle
from damon_agent.kernel.tree.commands import Command, Commands, Keyword
from damon_agent.kernel.tree.errors import Busy, KernelError
from damon_agent.kernel.tree.files import KdamondFiles
from damon_agent.kernel.tree.sysfs import Sysfs, kdamond_path, state_path

QUESTIONS: Final = {Keyword.UPDATE_SCHEMES_STATS, Keyword.UPDATE_SCHEMES_TRIED_REGIONS}
"""Keywords that ask for figures: nothing depends on an answer."""

POLL_US: Final = 500_000
"""How soon to look again at a command that is under way, if its end does not wake the loop: each
look costs a step, and `update_schemes_stats` alone takes up to a sampling interval."""

COUNTERS_US: Final = 60_000_000
"""How often the kernel is asked for its counters. Each question wakes the agent twice."""

DRIFT_US: Final = 120_000_000
"""How often all files are compared with what they should read, against somebody else's pen. What
the agent writes is compared at each commit anyway."""

WORK_SHARE: Final = 100
"""A kdamond that has used more than one part in so many of a time has worked in it."""

Spent = Callable[[int], int | None]
"""CPU time in microseconds that a thread has used, by its pid; None: there is no such thread."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a command."""

    keyword: Keyword
    error: KernelError | None
    is_on: bool
    """What `state` reads since: success alone proves nothing."""


class Kdamond:
    """What both drivers do with a kdamond."""

    def __init__(self, index: int, damon: Sysfs, commands: Commands, spent_us: Spent) -> None:
        self.index = index
        self.files = KdamondFiles(damon, kdamond_path(index))
        self._command: Command | None = None
        self._freeing: Command | None = None
        self._damon = damon
        self._commands = commands
        self._spent_us = spent_us
        self._pid = 0
        self._worked_us: int | None = None
        self._patience_us = 0
        self._deadline_us = 0

    @property
    def is_on(self) -> bool:
        """What `state` reads; raise KernelError."""
        return self._damon.read(state_path(self.index)) == "on"

    @property
    def is_waiting(self) -> bool:
        """Whether a command is under way, or has come back and nobody has taken the answer."""
        return self._command is not None

    @property
    def holds_kernel(self) -> bool:
        """Whether that keeps commands to other kdamonds waiting."""
        return self._command is not None and self._freeing is None

    @property
    def is_ending(self) -> bool:
        """Whether `off` is under way: it holds DAMON's lock on every kernel, to the end."""
        command = self._command
        return command is not None and command.keyword is Keyword.OFF and not command.done

    def start(
        self,
        keyword: Keyword,
        now_us: int,
        patience_us: int,
        then: Callable[[], None] | None = None,
    ) -> bool:
        """Write a keyword to `state` without waiting for it; raise KernelError.

        `patience_us`: after so long without an answer, and without the kdamond having worked
        meanwhile, the command counts as hung. `then`: see Commands. Return whether it is answered.
        """
        self._pid = int(self._damon.read(f"{kdamond_path(self.index)}/pid"))
        self._worked_us = self._spent_us(self._pid)
        self._patience_us = patience_us
        self._deadline_us = now_us + patience_us
        self._command = self._commands.start(self.index, keyword, then)
        return self._command.done

    def take_answer(self) -> Answer | None:
        """Return what came of the command, once; None while there is none, or it is under way.

        Raise Busy where DAMON was locked: then nothing has happened.
        """
        command = self._command
        if command is None or not command.done:
            return None
        if self._freeing is not None and not self._freeing.done:
            return None
        if isinstance(command.error, Busy):
            self._command = self._freeing = None
            raise command.error
        answer = Answer(command.keyword, command.error, self.is_on)
        self._command = self._freeing = None
        return answer

    def hangs(self, now_us: int) -> bool:
        """Say whether the command under way is never going to be answered.

        One page-out without a quota may take minutes, and a command waits for its end: a kdamond
        that works does not hang.
        """
        if self._command is None or self._command.done or now_us < self._deadline_us:
            return False
        before_us, spent_us = self._worked_us, self._spent_us(self._pid)
        if before_us is None or spent_us is None:
            return True
        if spent_us - before_us <= self._patience_us // WORK_SHARE:
            return True
        self._worked_us, self._deadline_us = spent_us, now_us + self._patience_us
        return False

    def free(self) -> Keyword | None:
        """Write `off` beside the command that hangs: that wakes a commit (6.12).

        Return what is freed; None if there is nothing to do but wait.
        """
        freeing = self._freeing
        if self._command is None or not (freeing is None or isinstance(freeing.error, Busy)):
            return None
        # Somebody else's pen may be why it hangs: with the same files it would hang again.
        self.files.forget()
        self._freeing = self._commands.start(self.index, Keyword.OFF)
        return self._command.keyword

    def settle(self, slots: Slots) -> Slots:
        """Take the dummy regions of live slots back: the next commit would impose them again.

        What was written is compared first: where somebody else has written between, it is unknown
        who stands in a slot. Raise KernelError.
        """
        changed = self.files.compare_written()
        for index, slot in enumerate(slots.slots):
            if slot.process is not None and not slot.settled:
                self.files.remove_regions(index)
        return unsettle(settle(slots), changed)

    def check_drift(self, slots: Slots, desired: dict[str, str]) -> Slots:
        """Read all files, and return the slots with those unsettled that somebody else has changed.

        In the middle of a change, what reads differently may as well be of our own making; then the
        slots that matter are unsettled already. Raise KernelError.
        """
        changed = self.files.read_all(desired)
        return unsettle(slots, changed) if slots.committed else slots
