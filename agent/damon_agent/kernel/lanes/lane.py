"""One kdamond of ours: looks at it, lets `moves` decide, and carries the move out.

Between two steps sysfs holds what the kernel holds: the files are written and committed in one
step. Whatever interrupts that (EBUSY, a death, a crash of the agent), the next step starts from
what the record and sysfs say, and no commit is sent before every file is right.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel.guard import RETRY_US
from damon_agent.kernel.lanes import moves
from damon_agent.kernel.lanes.contents import Contents
from damon_agent.kernel.lanes.figures import Figures
from damon_agent.kernel.lanes.moves import Action, Seen
from damon_agent.kernel.lanes.trouble import Trouble
from damon_agent.kernel.lanes.wanted import GRACE_US, Wanted
from damon_agent.kernel.tree.commands import Keyword
from damon_agent.kernel.tree.errors import Busy, KernelError, StateUnwritable
from damon_agent.kernel.tree.kdamond import DRIFT_US, QUESTIONS, Answer, Kdamond
from damon_contract.v1alpha1.node import NodeReason

DRIFT_APART_US: Final = 10_000_000
"""Between the comparisons of two lanes, so that no tick has to do them all."""


class Lane:
    """The executor of one kdamond; damon_agent.kernel.lanes.driver steps it."""

    def __init__(
        self,
        kernel: Kdamond,
        contents: Contents,
        figures: Figures,
        alive: Callable[[Process], bool],
    ) -> None:
        self.kernel = kernel
        self.contents = contents
        self.figures = figures
        self.trouble = Trouble(kernel.index)
        self.is_on = bool(contents.slots.carried)
        """What the state read at the last look; before the first one by the record."""
        self.applied_plan: str | None = None
        """Hash of the plan that the kernel has taken last, with everybody in it."""
        self.next_us = 0
        self._alive = alive
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
        return not self.kernel.is_waiting and not self.is_on and not self.contents.slots.slots

    def rests_as(self, wanted: Wanted | None) -> bool:
        """Say whether just this is in the kernel; a question for figures does not change that."""
        return self._rests and self._asked == wanted

    @property
    def may_reclaim(self) -> bool:
        """Whether the kernel may reclaim here: it does, or it cannot be told that it does not."""
        return self.is_on and self.contents.may_reclaim

    def step(self, wanted: Wanted | None, now_us: int, *, kernel_is_free: bool) -> None:
        """Make the next move; None: switch it off. Raise Blocked.

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
        except StateUnwritable as error:
            # Nothing was written, so nothing has failed that is worth a longer pause.
            self._rests = False
            self.trouble.is_unwritable(f"{error}; nothing is changed until it works")
            self.next_us = now_us + RETRY_US
        else:
            self.trouble.lock.clear()

    def _look(self, wanted: Wanted | None, now_us: int) -> Seen:
        if self.kernel.is_waiting:
            return Seen(under_way=True, hangs=self.kernel.hangs(now_us))
        self.is_on = self.kernel.is_on
        if not self.is_on:
            self._notice_end(wanted, now_us)
        contents = self.contents
        if self.is_on:
            contents.settle()
        seen = Seen(
            is_on=self.is_on,
            is_wanted=wanted is not None and any(map(self._alive, wanted.processes)),
            is_known=bool(contents.slots.slots),
            files_known=not self.kernel.files.is_unknown,
            retry_us=self.trouble.retry_us,
        )
        if wanted is None or not (seen.is_on and seen.is_wanted and seen.is_known):
            return seen
        self._patience_us = wanted.patience_us
        contents.want(wanted, self.figures.snapshots)
        return replace(
            seen,
            is_missing=contents.is_missing,
            must_restart=contents.must_restart,
            is_urgent=contents.is_urgent,
            commit_us=self._commit_us,
            drift_us=self._drift_us,
            counters_us=self.figures.counters_us,
            regions_us=self.figures.regions_us(now_us),
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
                self.figures.ended()
                all_live = self.contents.lay_out(wanted, self.figures.snapshots)
                self._send_unless_late(Keyword.ON, now_us, all_live=all_live)
            case Action.COMMIT, _:
                self._commit(now_us)
            case Action.CHECK_DRIFT, Wanted():
                # First: a comparison that fails is not to come again at once.
                self._drift_us = now_us + DRIFT_US
                self.contents.check_drift(wanted, self.figures.snapshots)
            case Action.ASK_REGIONS, Wanted():
                read = self.figures.ask_regions(wanted.cold_age, now_us)
                self._send(Keyword.UPDATE_SCHEMES_TRIED_REGIONS, now_us, read)
            case _:
                return  # to wait is all there is to do

    def _rest(self, wanted: Wanted | None, now_us: int) -> None:
        self.trouble.overcome(now_us - self._started_us)
        if wanted is not None and wanted.is_whole:
            self.applied_plan = wanted.plan

    # Commands

    def _commit(self, now_us: int) -> None:
        """Write what is wanted and commit it; raise StateUnwritable where it can't be noted.

        If the lane reclaims what it must not, it is switched off then: that takes no note, and
        whatever moment the agent is killed at, the next one finds what it knows.
        """
        try:
            all_live = self.contents.write()
        except StateUnwritable as error:
            if not self.contents.must_let_go:
                raise
            self.trouble.is_unwritable(
                f"{error}; it is switched off, because it can't be told what not to reclaim"
            )
            self._ran = False
            self._send(Keyword.OFF, now_us)
        else:
            self._send_unless_late(Keyword.COMMIT, now_us, all_live=all_live)

    def _send_unless_late(self, keyword: Keyword, now_us: int, *, all_live: bool) -> None:
        if all_live:
            self._send(keyword, now_us)
        else:
            self.next_us = now_us  # somebody died while we wrote: never tell the kernel a dead pid

    def _send(self, keyword: Keyword, now_us: int, then: Callable[[], None] | None = None) -> None:
        if keyword in {Keyword.ON, Keyword.COMMIT}:
            self.figures.changed(now_us)
            change = self.contents.change
            if change is None or change.wanted.plan != self.applied_plan:
                # Until it is answered the kernel has one plan or the other.
                self.applied_plan = None
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
            self.figures.read_regions(self.contents.slots, self._alive, now_us)
        elif answer.keyword in {Keyword.ON, Keyword.COMMIT}:
            self._taken(answer.keyword, now_us)

    def _taken(self, keyword: Keyword, now_us: int) -> None:
        """Note that the kernel has what the last change brought.

        Up to 6.12 numbers are resolved when the kdamond gets to it. Whoever died meanwhile may have
        left his to another process: that slot is cleared at once, before anything is applied to it.
        """
        self._ran = True
        self.contents.taken()
        change = self.contents.change
        self._commit_us = now_us
        if keyword is Keyword.ON:
            self._started_us = now_us
            self._drift_us = now_us + DRIFT_US + self.kernel.index * DRIFT_APART_US
            self.figures.started(now_us)
        elif change is not None and self.contents.all_live:
            self._commit_us += change.wanted.spacing_us
        if change is not None and change.wanted.is_whole:
            self.applied_plan = change.wanted.plan
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
        if self.contents.all_live:
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
        if ran and not explained and self.contents.all_carried_live:
            self._fail(
                NodeReason.KDAMOND_STOPPED,
                "the kernel stopped it although it should run; it is started again",
                now_us,
            )
        self.figures.ended()
        self.contents.ended()

    def _fail(self, reason: NodeReason, message: str, now_us: int) -> None:
        self._rests = False
        self.kernel.files.forget()
        self.trouble.fail(reason, message, now_us)
        self.next_us = self.trouble.retry_us
