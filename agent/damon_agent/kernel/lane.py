"""One kdamond of ours, brought nearer to what is wanted at each step, without ever waiting.

Between two steps sysfs holds what the kernel holds: the files are written and committed in one
step. Whatever interrupts that (EBUSY, a death, a crash of the agent), the next step starts from
what the record and sysfs say, and no commit is sent before every file is right.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

from damon_agent.facts import Process
from damon_agent.kernel import slots as slot_rules
from damon_agent.kernel.backoff import Backoff
from damon_agent.kernel.claim import kdamond_path
from damon_agent.kernel.commands import Command, Commands, Keyword, state_path
from damon_agent.kernel.errors import Busy, KernelError
from damon_agent.kernel.features import Features
from damon_agent.kernel.files import KdamondFiles
from damon_agent.kernel.policy import RECLAIM, Spacing
from damon_agent.kernel.report import Fault
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.survey import Pace, Survey
from damon_agent.kernel.surveyor import Surveyor
from damon_agent.kernel.sweeps import Sweeps
from damon_agent.kernel.sysfs import Sysfs
from damon_agent.kernel.tree import render
from damon_agent.kernel.wanted import GRACE_US, Wanted
from damon_contract.v1alpha1.node import NodeReason

LOOK_US: Final = 600_000_000
"""When to look at a lane again that nothing is due for."""

STATS_US: Final = 60_000_000
"""How often the kernel is asked for its counters. Each lane's question wakes the agent twice."""

STABLE_US: Final = 60_000_000
"""A kdamond that has run for so long starts with the shortest delay when it stops again."""

POLL_US: Final = 500_000
"""How soon to look again at a command that is under way, if its end does not wake the loop: each
look costs a step, and `update_schemes_stats` alone takes up to a sampling interval."""

LOCKED_US: Final = 5_000_000
"""How long EBUSY may last before it is worth telling."""

_QUESTIONS: Final = {Keyword.UPDATE_SCHEMES_STATS, Keyword.UPDATE_SCHEMES_TRIED_REGIONS}
"""Asked for figures: nothing depends on an answer."""


class Lane:
    """The state machine of one kdamond; damon_agent.kernel.driver steps it."""

    def __init__(
        self,
        kdamond: int,
        adopted: Slots,
        *,
        damon: Sysfs,
        commands: Commands,
        features: Features,
        alive: Callable[[Process], bool],
        note: Callable[[int, Slots], None],
        pace: Pace,
        spent_us: Callable[[], int],
    ) -> None:
        self.kdamond = kdamond
        self.slots = adopted
        self.fault: Fault | None = None
        self.state: Literal["on", "off"] = "off"
        self.at_rest = False
        self._resting: Wanted | None = None
        self.next_us = 0
        self.counted_bytes = (0, 0)
        self._damon = damon
        self._commands = commands
        self._features = features
        self._alive = alive
        self._note = note
        self._files = KdamondFiles(damon, kdamond_path(kdamond))
        self._sweeps = Sweeps(kdamond, spent_us)
        self._surveyor = Surveyor(kdamond, kdamond_path(kdamond), damon, pace)
        self._command: Command | None = None
        self._freeing: Command | None = None
        self._may_ask = self._calm = True
        self._was_on = False
        self._untidied = False
        self._rendered: tuple[Wanted, Slots, dict[str, str]] | None = None
        self._busy = Backoff(5_000, 50_000)
        self._trouble = Backoff(1_000_000, 60_000_000)
        self._patience_us = GRACE_US
        self._started_us = 0
        self._committed_us: int | None = None
        self._counts = True
        """Whether the commit under way is one that the next has to keep its distance from."""
        self._stats_us = 0

    @property
    def under_way(self) -> Command | None:
        """The command that the kernel has not answered yet."""
        return self._command

    @property
    def survey(self) -> Survey | None:
        """Where the processes are in use, as far as it is known."""
        return self._surveyor.last

    @property
    def is_idle(self) -> bool:
        """Whether nothing of ours is in the kernel here, nor on its way there."""
        return self._command is None and self.state == "off" and not self.slots.slots

    def rests_as(self, wanted: Wanted | None) -> bool:
        """Say whether just this is in the kernel, with nothing in its way."""
        return self.at_rest and self.fault is None and self._resting == wanted

    def step(
        self, wanted: Wanted | None, now_us: int, *, may_ask: bool = True, calm: bool = True
    ) -> None:
        """Do what can be done now; None: switch it off. Raise StateUnwritable, nothing else.

        `may_ask`: whether the kernel is free for a command that a kdamond has to carry out; `calm`:
        also for one that can wait.
        """
        self._may_ask = may_ask
        self._calm = may_ask and calm
        self.next_us = now_us + LOOK_US
        try:
            if self._command is not None and not self._collected(self._command, now_us):
                return
            if self._busy.holds(now_us):
                self.next_us = self._busy.until_us
                return
            self._advance(wanted, now_us)
        except Busy as error:
            self._locked(error, now_us)
        except KernelError as error:
            self._failed(error.reason, str(error), now_us)
        else:
            self._busy.clear()

    def _advance(self, wanted: Wanted | None, now_us: int) -> None:
        self.at_rest = False
        on = self._damon.read(state_path(self.kdamond)) == "on"
        self.state = "on" if on else "off"
        if wanted is not None:
            self._patience_us = wanted.patience_us
        if not on:
            self._stopped(wanted, now_us)
        elif wanted is None or not self.slots.slots or not any(map(self._alive, wanted.processes)):
            # Also when the record does not know who is in there: never commit over the unknown.
            self._start(Keyword.OFF, now_us)
        else:
            self._running(wanted, now_us)

    # A running kdamond

    def _running(self, wanted: Wanted, now_us: int) -> None:
        self._was_on = True
        if self._untidied:
            if not self._calm and self._urgent(wanted, self._placed(wanted)) is None:
                self.next_us = now_us + POLL_US
                return
            self._tidy()
        if self._files.is_unknown:
            self._sweep(wanted, now_us)
        placed = self._placed(wanted)
        desired = self._desired(wanted, placed)
        urgent = self._urgent(wanted, placed)
        may = self._calm if urgent is None else self._may_ask
        if urgent is None and not self._files.missing(desired):
            self._rest(wanted, now_us)
        elif self._needs_restart(desired):
            self._start(Keyword.OFF, now_us)
        elif self._may_commit(wanted.spacing, placed, now_us, may=may):
            self._counts = urgent is not None
            self._commit(replace(placed, committed=False), wanted, urgent or desired, now_us)

    def _placed(self, wanted: Wanted) -> Slots:
        return slot_rules.place(self.slots, wanted.processes, self._alive)

    def _urgent(self, wanted: Wanted, placed: Slots) -> dict[str, str] | None:
        """Return what has to be committed; None: nothing, or only what can wait.

        A commit may let the scheme act that its watermarks keep asleep. So to a lane that sleeps
        goes what else is new, without that scheme. It returns by a commit of its own, when nobody
        waits to get in: one that is new waits for its turn, and then the watermarks are looked at
        (docs/adr/0014).
        """
        least = self._desired(wanted, placed)
        if placed.committed and not self._files.missing(least):
            return None
        if self._features.commit_may_act and wanted.asleep:
            least = render(wanted.watching.context(placed), self._features)
        return None if placed.committed and not self._files.missing(least) else least

    def _desired(self, wanted: Wanted, placed: Slots) -> dict[str, str]:
        """Render, unless nothing has changed since the last time: most steps change nothing."""
        if self._rendered is None or self._rendered[:2] != (wanted, placed):
            self._rendered = (wanted, placed, render(wanted.context(placed), self._features))
        return self._rendered[2]

    def _may_commit(self, spacing: Spacing, placed: Slots, now_us: int, *, may: bool) -> bool:
        due_us = self._trouble.until_us
        if self._committed_us is not None:
            apart_us = spacing.arrival_us if placed.arriving else spacing.us
            due_us = max(due_us, self._committed_us + apart_us)
        self.next_us = due_us if may else max(due_us, now_us + POLL_US)
        return may and now_us >= due_us

    def _commit(self, placed: Slots, wanted: Wanted, desired: dict[str, str], now_us: int) -> None:
        self._keep(placed)
        self._files.write(desired)
        if slot_rules.place(placed, wanted.processes, self._alive) is not placed:
            self.next_us = now_us  # somebody died while we wrote: never commit a dead pid
            return
        self._start(Keyword.COMMIT, now_us)

    def _needs_restart(self, desired: dict[str, str]) -> bool:
        """Whether a commit cannot bring this about: before 6.3 it wakes no sleeping scheme."""
        metric = f"contexts/0/schemes/{RECLAIM}/watermarks/metric"
        return (
            not self._features.commit_reactivates
            and self._files.known.get(metric) == "free_mem_rate"
            and desired.get(metric) == "none"
        )

    def _tidy(self) -> None:
        """Take the dummy regions of live slots back: else the next commit would impose them again.

        Before that one is soon enough: it reads many files, and somebody may wait to get in. What
        was written is compared first: somebody else may have written between.
        """
        doubted = self._files.compare_written()
        for index, slot in enumerate(self.slots.slots):
            if slot.process is not None and not slot.settled:
                self._files.remove_regions(index)
        self._keep(slot_rules.settle(self.slots))
        self._untidied = False
        self.slots = slot_rules.doubt(self.slots, doubted)

    def _rest(self, wanted: Wanted, now_us: int) -> None:
        self.at_rest = True
        self._resting = wanted
        self.fault = None
        self._trouble.release()
        if now_us - self._started_us > STABLE_US:
            self._trouble.clear()
        if now_us >= self._sweeps.due_us:
            self._sweep(wanted, now_us)
            self.next_us = now_us
        elif now_us >= self._stats_us and self._calm:
            self._stats_us = now_us + STATS_US
            self._start(Keyword.UPDATE_SCHEMES_STATS, now_us)
        elif now_us >= self._survey_us(now_us) and self._calm:
            read = self._surveyor.begin(wanted.cold_age, now_us)
            self._start(Keyword.UPDATE_SCHEMES_TRIED_REGIONS, now_us, read)
        else:
            due_us = min(self._sweeps.due_us, self._stats_us, self._survey_us(now_us))
            self.next_us = max(now_us + POLL_US, due_us)

    def _survey_us(self, now_us: int) -> int:
        """When the lane may be surveyed; kernels before 6.2 show no regions."""
        if "tried_regions" not in self._features:
            return self._sweeps.due_us
        return self._surveyor.due_us(now_us)

    def _sweep(self, wanted: Wanted, now_us: int) -> None:
        """Read all files. Where somebody else has written, it is unknown who is in a slot.

        In the middle of a change, what reads differently may as well be of our own making; then the
        slots that matter are unsettled already.
        """
        with self._sweeps.sweeping(now_us):
            changed = self._files.sweep(render(wanted.context(self.slots), self._features))
        if self.slots.committed:
            self.slots = slot_rules.doubt(self.slots, changed)

    # A stopped kdamond

    def _stopped(self, wanted: Wanted | None, now_us: int) -> None:
        if self._was_on:
            self._note_stop(wanted, now_us)
        self._untidied = False
        self._committed_us = None
        self._surveyor.forget()
        placed = slot_rules.fresh(() if wanted is None else wanted.processes, self._alive)
        if wanted is None or not placed.slots:
            self._keep(Slots())
            self.fault = None
            self.at_rest = True
            self._resting = wanted
            return
        if self._trouble.holds(now_us):
            self.next_us = self._trouble.until_us
            self._keep(Slots())
            return
        self._keep(placed)
        desired = render(wanted.context(slot_rules.settle(placed)), self._features)
        with self._sweeps.measuring():
            if self._files.is_unknown:
                self._files.sweep(desired)
            self._files.write(desired)
        if slot_rules.fresh(wanted.processes, self._alive) != placed:
            self.next_us = now_us
            return
        self._start(Keyword.ON, now_us)

    def _note_stop(self, wanted: Wanted | None, now_us: int) -> None:
        """Tell a kdamond that something stopped from one that ended with its processes.

        Up to 6.12 a commit kills the kdamond if one process dies between our look and the kernel's.
        """
        self._was_on = False
        if wanted is not None and not self.fault and all(map(self._alive, self.slots.occupants)):
            self._failed(
                NodeReason.KDAMOND_STOPPED,
                "the kernel stopped it although it should run; it is started again",
                now_us,
            )

    # Commands

    def _start(self, keyword: Keyword, now_us: int, then: Callable[[], None] | None = None) -> None:
        self.next_us = now_us + POLL_US
        if keyword in {Keyword.ON, Keyword.COMMIT}:
            self._surveyor.disturbed(now_us)
        command = self._commands.start(self.kdamond, keyword, now_us + self._patience_us, then)
        self._command = command
        if keyword is Keyword.OFF:
            self._was_on = False
        if command.done and self._collected(command, now_us) and command.error is None:
            self.next_us = now_us

    def _collected(self, command: Command, now_us: int) -> bool:
        """Take in what came of a command; False while it is under way."""
        if not command.done:
            self.next_us = now_us + POLL_US
            if command.overdue(now_us):
                self._free(command, now_us)
            return False
        if self._freeing is not None and not self._freeing.done:
            self.next_us = now_us + POLL_US
            return False
        if isinstance(command.error, Busy):
            self._command = None
            raise command.error
        on = self._damon.read(state_path(self.kdamond)) == "on"
        self._command = self._freeing = None
        self.state = "on" if on else "off"
        if command.error is not None:
            self._refused(command, command.error, on=on, now_us=now_us)
        elif on:
            self._succeeded(command.keyword, now_us)
        elif command.keyword is Keyword.ON:
            self._was_on = True  # it started, and has stopped already
        return True

    def _succeeded(self, keyword: Keyword, now_us: int) -> None:
        """Act on a command that returned success and left the kdamond running."""
        if keyword is Keyword.ON:
            self._was_on = True
            self._started_us = now_us
            self._committed_us = None
            self._sweeps.put_off(now_us)
            self._stats_us = now_us + STATS_US
            self.counted_bytes = (0, 0)
            self.slots = slot_rules.taken(self.slots)
            self._tidy()
        elif keyword is Keyword.COMMIT:
            # Up to 6.12 numbers are resolved when the kdamond gets to it. Whoever died meanwhile
            # may have left his to another process: that slot is cleared before anything is applied.
            died = not all(map(self._alive, self.slots.occupants))
            if died or self._counts:
                self._committed_us = None if died else now_us
            self.slots = slot_rules.taken(self.slots)
            self._untidied = True
        elif keyword is Keyword.UPDATE_SCHEMES_STATS:
            self.counted_bytes = self._files.counted_bytes(RECLAIM)
        elif keyword is Keyword.UPDATE_SCHEMES_TRIED_REGIONS:
            self._surveyor.end(self.slots, self._alive, now_us)

    def _refused(self, command: Command, error: KernelError, *, on: bool, now_us: int) -> None:
        """Act on a command that returned an error.

        A process that died between our look and the kernel's explains it; then trying again with
        the others is all there is to do. `off` on a stopped kdamond fails EPERM, the counters of
        one that is stopping EINVAL or ECANCELED: the next look at the state says what is the case.
        """
        self.next_us = now_us
        expected_on = command.keyword is not Keyword.ON
        if command.keyword in _QUESTIONS or on is not expected_on:
            return
        if all(map(self._alive, self.slots.occupants)):
            self._failed(NodeReason.COMMIT_FAILED, str(error), now_us)

    def _free(self, command: Command, now_us: int) -> None:
        """End a hung command: `off` wakes a commit that waits for sleeping schemes (6.12)."""
        self._say(
            NodeReason.COMMIT_HUNG,
            f"{command.keyword} has not come back for {self._patience_us // 1_000_000} s; "
            "the kdamond is switched off to free it, and started again",
        )
        freeing = self._freeing
        if freeing is None or (isinstance(freeing.error, Busy) and not self._busy.holds(now_us)):
            self._was_on = False
            # Somebody else's pen may be why it hangs: with the same files it would hang again.
            self._files.forget()
            self._freeing = self._commands.start(
                self.kdamond, Keyword.OFF, now_us + self._patience_us
            )
            self._busy.lengthen(now_us)
            self._trouble.lengthen(now_us)

    # Faults

    def _keep(self, slots: Slots) -> None:
        self._note(self.kdamond, slots)
        self.slots = slots

    def _locked(self, error: Busy, now_us: int) -> None:
        """Come back in milliseconds; say so once it lasts longer than any command should."""
        self._busy.lengthen(now_us)
        self.next_us = self._busy.until_us
        if now_us - self._busy.since_us > LOCKED_US:
            self._say(
                NodeReason.SYSFS_LOCKED,
                f"{error}; something else keeps DAMON's sysfs locked, or uses DAMON exclusively",
            )

    def _failed(self, reason: NodeReason, message: str, now_us: int) -> None:
        self._say(reason, message)
        self._files.forget()
        self._trouble.lengthen(now_us)
        self.next_us = self._trouble.until_us

    def _say(self, reason: NodeReason, message: str) -> None:
        self.fault = Fault(reason, f"kdamond {self.kdamond}: {message}")
