"""One kdamond of ours: looks at it, lets `moves` decide, and carries the move out.

Between two steps sysfs holds what the kernel holds: the files are written and committed in one
step. Whatever interrupts that (EBUSY, a death, a crash of the agent), the next step starts from
what the record and sysfs say, and no commit is sent before every file is right.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel import slots as slot_rules
from damon_agent.kernel.lanes import moves
from damon_agent.kernel.lanes.change import Change, acts, changed, must_restart, must_stop
from damon_agent.kernel.lanes.figures import Figures
from damon_agent.kernel.lanes.moves import Action, Seen
from damon_agent.kernel.lanes.trouble import Trouble
from damon_agent.kernel.lanes.wanted import GRACE_US, Wanted
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree.commands import Keyword
from damon_agent.kernel.tree.errors import Busy, KernelError
from damon_agent.kernel.tree.features import Features
from damon_agent.kernel.tree.kdamond import DRIFT_US, QUESTIONS, Answer, Kdamond
from damon_contract.v1alpha1.node import NodeReason

DRIFT_APART_US: Final = 10_000_000
"""Between the comparisons of two lanes, so that no tick has to do them all."""


class Lane:
    """The executor of one kdamond; damon_agent.kernel.lanes.driver steps it."""

    def __init__(
        self,
        kernel: Kdamond,
        adopted: Slots,
        *,
        figures: Figures,
        features: Features,
        alive: Callable[[Process], bool],
        note: Callable[[int, Slots], None],
    ) -> None:
        """`adopted`: who is in it by the record; `note` records that before it is written."""
        self.kernel = kernel
        self.slots = adopted
        self.figures = figures
        self.trouble = Trouble(kernel.index)
        self.is_on = False
        self.applied_plan: str | None = None
        """Hash of the plan that the kernel has taken last, with everybody in it."""
        self.next_us = 0
        self._features = features
        self._alive = alive
        self._note = note
        self._change: Change | None = None
        self._rests = False
        self._asked: Wanted | None = None
        self._ran = False
        self._patience_us = GRACE_US
        self._started_us = 0
        self._commit_us = 0
        self._drift_us = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing of ours is in the kernel here, nor on its way there."""
        return not self.kernel.is_waiting and not self.is_on and not self.slots.slots

    def rests_as(self, wanted: Wanted | None) -> bool:
        """Say whether just this is in the kernel; a question for figures does not change that."""
        return self._rests and self._asked == wanted

    @property
    def may_reclaim(self) -> bool:
        """Whether the kernel may reclaim here: it does, or it cannot be told that it does not."""
        unknown = self.kernel.is_waiting or self.kernel.files.is_unknown or not self.slots.committed
        return self.is_on and (unknown or acts(self.kernel.files.known))

    def step(self, wanted: Wanted | None, now_us: int, *, kernel_is_free: bool) -> None:
        """Make the next move; None: switch it off. Raise StateUnwritable or Blocked.

        `kernel_is_free`: whether no other lane's command is under way.
        """
        try:
            self._take_answer(now_us)
            if not self.kernel.is_waiting and now_us < self.trouble.lock.until_us:
                self.next_us = self.trouble.lock.until_us
                return
            seen = self._look(wanted, now_us)
            move = moves.next_move(replace(seen, kernel_is_free=kernel_is_free), now_us)
            self.next_us = move.until_us
            if not seen.under_way:
                self._rests, self._asked = moves.rests(seen, move), wanted
            self._carry_out(move.action, wanted, now_us)
        except Busy as error:
            self.trouble.is_locked(error, now_us)
            self.next_us = self.trouble.lock.until_us
        except KernelError as error:
            self._fail(error.reason, str(error), now_us)
        else:
            self.trouble.lock.clear()

    def _look(self, wanted: Wanted | None, now_us: int) -> Seen:
        if self.kernel.is_waiting:
            return Seen(under_way=True, hangs=self.kernel.hangs(now_us))
        self.is_on = self.kernel.is_on
        if not self.is_on:
            self._notice_end(wanted, now_us)
        files = self.kernel.files
        if self.is_on and self.slots.is_to_settle and not files.is_unknown:
            self._keep(self.kernel.settle(self.slots))
        seen = Seen(
            is_on=self.is_on,
            is_wanted=wanted is not None and any(map(self._alive, wanted.processes)),
            is_known=bool(self.slots.slots),
            files_known=not files.is_unknown,
            retry_us=self.trouble.retry_us,
        )
        if wanted is None or not (seen.is_on and seen.is_wanted and seen.is_known):
            return seen
        self._patience_us = wanted.patience_us
        placed = slot_rules.place(self.slots, wanted.processes, self._alive)
        change = self._change = self._changed(wanted, placed)
        return replace(
            seen,
            is_missing=not placed.committed or bool(files.missing(change.files)),
            must_restart=must_restart(files.known, change.files, self._features),
            must_stop=must_stop(files.known, change.files),
            commit_us=self._commit_us,
            drift_us=self._drift_us,
            counters_us=self.figures.counters_us,
            regions_us=self.figures.regions_us(now_us),
        )

    def _changed(self, wanted: Wanted, slots: Slots) -> Change:
        known = self.kernel.files.known
        return changed(
            self._change,
            wanted,
            slots,
            known,
            features=self._features,
            snapshots=self.figures.snapshots,
        )

    def _carry_out(self, action: Action, wanted: Wanted | None, now_us: int) -> None:
        match action, wanted:
            case Action.FREE, _:
                self._free(now_us)
            case Action.STOP, _:
                self._ran = False
                self._send(Keyword.OFF, now_us)
            case ((Action.REST | Action.FORGET), _):
                self._rest(wanted, now_us)
            case Action.ASK_COUNTERS, _:
                self.figures.ask_counters(now_us)
                self._send(Keyword.UPDATE_SCHEMES_STATS, now_us)
            case Action.START, Wanted():
                self._start(wanted, now_us)
            case Action.COMMIT, _ if self._change is not None:
                self._commit(self._change, now_us)
            case Action.CHECK_DRIFT, Wanted():
                # First: a comparison that fails is not to come again at once.
                self._drift_us = now_us + DRIFT_US
                desired = self._changed(wanted, self.slots).files
                self.slots = self.kernel.check_drift(self.slots, desired)
            case Action.ASK_REGIONS, Wanted():
                read = self.figures.ask_regions(wanted.cold_age, now_us)
                self._send(Keyword.UPDATE_SCHEMES_TRIED_REGIONS, now_us, read)
            case _:
                return  # to wait is all there is to do

    def _start(self, wanted: Wanted, now_us: int) -> None:
        placed = slot_rules.fresh(wanted.processes, self._alive)
        self._keep(placed)
        self.figures.ended()
        change = self._change = self._changed(wanted, slot_rules.settle(placed))
        if self.kernel.files.is_unknown:
            self.kernel.files.read_all(change.files)
        self.kernel.files.write(change.files)
        if slot_rules.fresh(wanted.processes, self._alive) != placed:
            self.next_us = now_us  # somebody died while we wrote: never start with a dead pid
            return
        self._send(Keyword.ON, now_us)

    def _commit(self, change: Change, now_us: int) -> None:
        self._keep(replace(change.slots, committed=False))
        self.kernel.files.write(change.files)
        placed = slot_rules.place(change.slots, change.wanted.processes, self._alive)
        if placed is not change.slots:
            self.next_us = now_us  # somebody died while we wrote: never commit a dead pid
            return
        self._send(Keyword.COMMIT, now_us)

    def _rest(self, wanted: Wanted | None, now_us: int) -> None:
        self.trouble.overcome(now_us - self._started_us)
        if wanted is not None and wanted.is_whole:
            self.applied_plan = wanted.plan

    # Commands

    def _send(self, keyword: Keyword, now_us: int, then: Callable[[], None] | None = None) -> None:
        if keyword in {Keyword.ON, Keyword.COMMIT}:
            self.figures.changed(now_us)
        if self.kernel.start(keyword, now_us, self._patience_us, then):
            self.next_us = now_us
            self._take_answer(now_us)

    def _take_answer(self, now_us: int) -> None:
        """Act on what came of the command under way, if it has come back; raise Busy."""
        answer = self.kernel.take_answer()
        if answer is None:
            return
        self.is_on = answer.is_on
        if answer.error is not None:
            self._refused(answer, answer.error, now_us)
        elif answer.keyword is Keyword.ON and not answer.is_on:
            self._ran = True  # it started, and has stopped already
        elif not answer.is_on:
            return
        elif answer.keyword is Keyword.UPDATE_SCHEMES_STATS:
            self.figures.read_counters()
        elif answer.keyword is Keyword.UPDATE_SCHEMES_TRIED_REGIONS:
            self.figures.read_regions(self.slots, self._alive, now_us)
        elif answer.keyword in {Keyword.ON, Keyword.COMMIT}:
            self._taken(answer.keyword, now_us)

    def _taken(self, keyword: Keyword, now_us: int) -> None:
        """Note that the kernel has what the last change brought.

        Up to 6.12 numbers are resolved when the kdamond gets to it. Whoever died meanwhile may have
        left his to another process: that slot is cleared at once, before anything is applied to it.
        """
        self._ran = True
        self.slots = slot_rules.taken(self.slots)
        self._commit_us = now_us
        if keyword is Keyword.ON:
            self._started_us = now_us
            self._drift_us = now_us + DRIFT_US + self.kernel.index * DRIFT_APART_US
            self.figures.started(now_us)
        elif self._change is not None and all(map(self._alive, self.slots.occupants)):
            self._commit_us += self._change.wanted.spacing_us
        if self._change is not None and self._change.wanted.is_whole:
            self.applied_plan = self._change.wanted.plan
        self.trouble.fault = None

    def _refused(self, answer: Answer, error: KernelError, now_us: int) -> None:
        """Act on a command that returned an error.

        A process that died between our look and the kernel's explains it; then trying again with
        the others is all there is to do. `off` on a stopped kdamond fails EPERM, the counters of
        one that is stopping EINVAL or ECANCELED: the next look at the state says what is the case.
        """
        self.next_us = now_us
        expected = answer.keyword is not Keyword.ON
        if answer.keyword in QUESTIONS or answer.is_on is not expected:
            return
        if all(map(self._alive, self.slots.occupants)):
            self._fail(NodeReason.COMMIT_FAILED, str(error), now_us)

    def _free(self, now_us: int) -> None:
        keyword = self.kernel.free()
        if keyword is not None:
            self._ran = False
            message = (
                f"{keyword} has not come back for {self._patience_us // 1_000_000} s, in which the "
                "kdamond did nothing; it is switched off to free it, and started again"
            )
            self.trouble.fail(NodeReason.COMMIT_HUNG, message, now_us)

    # Ends and faults

    def _notice_end(self, wanted: Wanted | None, now_us: int) -> None:
        """Tell a kdamond that something stopped from one that ended with its processes.

        Up to 6.12 a commit kills the kdamond if one process dies between our look and the kernel's.
        And one that is about to get new processes may end with those that leave.
        """
        ran, self._ran = self._ran, False
        explained = self.trouble.fault is not None or wanted is None
        if ran and not explained and all(map(self._alive, self.slots.carried)):
            self._fail(
                NodeReason.KDAMOND_STOPPED,
                "the kernel stopped it although it should run; it is started again",
                now_us,
            )
        self.figures.ended()
        self._keep(Slots())

    def _fail(self, reason: NodeReason, message: str, now_us: int) -> None:
        self._rests = False
        self.kernel.files.forget()
        self.trouble.fail(reason, message, now_us)
        self.next_us = self.trouble.retry_us

    def _keep(self, slots: Slots) -> None:
        if slots != self.slots:
            self._note(self.kernel.index, slots)
            self.slots = slots
