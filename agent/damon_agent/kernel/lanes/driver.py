"""The driver `lanes`: a kdamond per priority, with marks computed here. For every kernel.

One step: are the kdamonds ours, who belongs where, and then each lane makes its next move. All is
read again at each step; what is remembered are delays, and what sysfs read a moment ago.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from damon_agent.facts import Process
from damon_agent.kernel.availability import Availability
from damon_agent.kernel.guard import Guard, Obstacle
from damon_agent.kernel.intent import Intent
from damon_agent.kernel.lanes import report as reporting
from damon_agent.kernel.lanes.assignment import Assignment, assign
from damon_agent.kernel.lanes.bands import KDAMONDS
from damon_agent.kernel.lanes.contents import Contents
from damon_agent.kernel.lanes.figures import Figures
from damon_agent.kernel.lanes.lane import Lane
from damon_agent.kernel.lanes.lifetimes import Lifetimes
from damon_agent.kernel.lanes.survey_schedule import SurveySchedule
from damon_agent.kernel.lanes.wanted import Wanted, wanted
from damon_agent.kernel.ownership.exclusive import (
    refuse_exclusive_users,
    resume_damon_stat,
    stop_damon_stat,
)
from damon_agent.kernel.ownership.ownership import Foreign, Ownership
from damon_agent.kernel.ownership.record import Record, StateDirectory
from damon_agent.kernel.report import IDLE_US, Report
from damon_agent.kernel.tree.commands import Commands
from damon_agent.kernel.tree.features import Features, probe
from damon_agent.kernel.tree.kdamond import POLL_US, Kdamond, Spent
from damon_agent.kernel.tree.sysfs import Sysfs


class LanesDriver:
    """See the module; implements damon_agent.kernel.report.Driver."""

    def __init__(
        self,
        damon: Sysfs,
        module: Sysfs,
        *,
        commands: Commands,
        state: StateDirectory,
        alive: Callable[[Process], bool],
        spent_us: Spent,
        kdamonds: int = KDAMONDS,
        stops_damon_stat: bool = False,
    ) -> None:
        """`alive` is asked right before a pid is written and again before it is committed.

        `spent_us` returns the CPU time of a thread. `stops_damon_stat`: DAMON_STAT may be switched
        off while there is a plan.
        """
        self._damon = damon
        self._module = module
        self._commands = commands
        self._alive = alive
        self._spent_us = spent_us
        self._stops_damon_stat = stops_damon_stat
        self._ownership = Ownership(damon, state, kdamonds=kdamonds)
        self._guard = Guard()
        self._features = Features()
        self._lanes: tuple[Lane, ...] = ()
        self._epoch = 0
        self._applied_plan: str | None = None
        self._memory = Availability()
        self._lifetimes = Lifetimes(alive)
        self._surveys = SurveySchedule()
        self._turn = 0
        self._releasing = False
        self._report = Report("lanes", ())

    def step(self, intent: Intent | None, now_us: int) -> Report:
        """See `Driver`."""
        wanted = None if intent is None or intent.mode == "Off" else intent
        obstacle = self._guard.run(lambda: self._step(wanted, now_us), now_us)
        return self._report if obstacle is None else self._hindered(obstacle)

    def _step(self, intent: Intent | None, now_us: int) -> None:
        if intent is not None and not self._releasing:
            self._own()
            self._report = self._drive(intent, now_us)
            return
        is_free = self._release(now_us)
        # It is finished, whatever the next intent says.
        self._releasing = not is_free
        self._report = self._told(now_us, is_free=is_free and intent is None)
        if intent is not None and is_free:
            self._report = replace(self._report, next_step_us=now_us)

    def _hindered(self, obstacle: Obstacle) -> Report:
        """Report what stands in the way; lanes that are ours run on as they were."""
        if self._ownership.record is None:
            self._lanes = ()
            self._report = self._told(obstacle.retry_us, is_free=False)
        told = self._report
        return replace(
            told,
            faults=obstacle.faults or told.faults,
            reclaims=self._may_reclaim,
            applied=told.applied and not obstacle.faults,
            at_rest=False,
            next_step_us=obstacle.retry_us,
        )

    # Owning

    def _own(self) -> None:
        """Make sure that the kdamonds are ours, and that there is a lane for each."""
        idle = not any(lane.is_on for lane in self._lanes)
        if idle:
            refuse_exclusive_users(self._module, stops_damon_stat=self._stops_damon_stat)
        record = self._ownership.take(idle=idle)
        if idle and self._stops_damon_stat:
            noted = replace(record, stopped_damon_stat=True)
            stop_damon_stat(self._module, lambda: self._ownership.keep(noted))
        if not self._lanes or self._epoch != self._ownership.epoch:
            self._lanes = ()
            self._features = probe(self._damon, len(record.kdamonds))
            self._build(record)

    def _build(self, record: Record) -> None:
        self._applied_plan = None
        self._memory = Availability()
        self._lanes = tuple(
            self._lane(Kdamond(index, self._damon, self._commands, self._spent_us), record)
            for index in range(len(record.kdamonds))
        )
        self._epoch = self._ownership.epoch

    def _lane(self, kernel: Kdamond, record: Record) -> Lane:
        contents = Contents(
            kernel,
            record.kdamonds[kernel.index],
            features=self._features,
            alive=self._alive,
            note=self._ownership.note,
        )
        figures = Figures(kernel, self._damon, self._surveys, self._features)
        return Lane(kernel, contents, figures, self._alive)

    def _release(self, now_us: int) -> bool:
        """Switch everything off and give it back; return whether nothing of ours is left.

        What is certainly somebody else's is no concern then.
        """
        try:
            record = self._ownership.adopt(idle=not any(lane.is_on for lane in self._lanes))
        except Foreign:
            record = None
        if record is None or not self._ownership.allocated:
            self._lanes = ()
        elif self._epoch != self._ownership.epoch or not self._lanes:
            # Without knowing the features: to switch off takes none.
            self._build(record)
        for lane in self._in_turn():
            self._step_lane(lane, None, now_us)
        if not all(lane.is_idle for lane in self._lanes):
            return False
        if record is not None:
            if record.stopped_damon_stat:
                # Before the record goes: whoever is killed in between does it again.
                resume_damon_stat(self._module)
            self._ownership.give_back()
            self._lanes = ()
        return True

    # Driving

    def _drive(self, intent: Intent, now_us: int) -> Report:
        assignment = assign(
            intent, {lane.kernel.index: lane.contents.slots.occupants for lane in self._lanes}
        )
        self._memory = self._memory.looked(intent, now_us)
        self._lifetimes.look(intent.members, now_us)
        if intent.plan != self._applied_plan:
            # A plan that comes back is another one: what came between may be in the kernel in part.
            self._applied_plan = None
        at_rest = applied = True
        carried = _carried(self._lanes)
        was_held = any(lane.kernel.holds_kernel for lane in self._lanes)
        for lane in self._in_turn():
            asked = self._wanted(lane, assignment, intent, now_us)
            self._step_lane(lane, asked, now_us)
            is_whole = asked is None or asked.is_whole
            at_rest = at_rest and is_whole and lane.rests_as(asked)
            has = lane.is_idle if asked is None else lane.applied_plan == asked.plan
            applied = applied and has
        is_held = any(lane.kernel.holds_kernel for lane in self._lanes)
        report = reporting.report(
            self._lanes,
            intent,
            assignment,
            memory=self._memory,
            features=self._features,
            now_us=now_us,
        )
        # Others may go on at once: the kernel is free again, or who had to leave has left.
        moved = (was_held and not is_held) or _carried(self._lanes) != carried
        if applied:
            # From now on lanes that come and go with their pods make that no less true.
            self._applied_plan = intent.plan
        return replace(
            report,
            applied=self._applied_plan == intent.plan and not report.faults,
            at_rest=at_rest,
            next_step_us=now_us if moved and not at_rest else report.next_step_us,
        )

    def _step_lane(self, lane: Lane, asked: Wanted | None, now_us: int) -> None:
        others = [other.kernel for other in self._lanes if other is not lane]
        is_free = not any(kernel.holds_kernel for kernel in others)
        is_locked = not is_free and self._features.sync_commit
        if is_locked or any(kernel.is_ending for kernel in others):
            # The command that is under way holds the lock every file needs; its end wakes us.
            lane.next_us = max(lane.next_us, now_us + POLL_US)
            return
        lane.step(asked, now_us, kernel_is_free=is_free)
        if lane.kernel.holds_kernel:
            self._turn = lane.kernel.index + 1

    def _in_turn(self) -> tuple[Lane, ...]:
        """Return the lanes in the order in which they are stepped: each has its turn.

        The one whose command is under way is first, so that the others find the kernel free as
        soon as it is; then those that come after the one that had a command last.
        """
        turn = self._turn % max(1, len(self._lanes))
        rest = (*self._lanes[turn:], *self._lanes[:turn])
        return tuple(sorted(rest, key=lambda lane: not lane.kernel.is_waiting))

    def _wanted(
        self, lane: Lane, assignment: Assignment, intent: Intent, now_us: int
    ) -> Wanted | None:
        """Return what a lane should be, without those who have to leave another lane first.

        The same process in two kdamonds would be sampled and paged out twice.
        """
        band = assignment.bands.get(lane.kernel.index)
        if band is None:
            return None
        due = [
            member
            for member in assignment.members[lane.kernel.index]
            if self._lifetimes.due_us(member) <= now_us
        ]
        elsewhere = _carried(other for other in self._lanes if other is not lane)
        free = tuple(member.process for member in due if member.process not in elsewhere)
        return wanted(
            intent,
            band,
            self._memory,
            self._features,
            processes=free,
            is_whole=len(free) == len(due),
        )

    @property
    def _may_reclaim(self) -> bool:
        """Whether the kernel may reclaim in a lane; before there are lanes the record tells."""
        if not self._lanes:
            return self._ownership.may_run
        return any(lane.may_reclaim for lane in self._lanes)

    def _told(self, now_us: int, *, is_free: bool) -> Report:
        """Return the report of a node that is not driven now."""
        return Report(
            driver_name="lanes",
            features=tuple(sorted(self._features.names)),
            faults=tuple(lane.trouble.fault for lane in self._lanes if lane.trouble.fault),
            applied=is_free,
            at_rest=is_free,
            reclaims=self._may_reclaim,
            next_step_us=min([now_us + IDLE_US, *(lane.next_us for lane in self._lanes)]),
        )


def _carried(lanes: Iterable[Lane]) -> frozenset[Process]:
    """Return every process that the kernel may hold in one of these lanes."""
    return frozenset[Process]().union(*(lane.contents.slots.carried for lane in lanes))
