"""The driver `lanes`: a kdamond per priority, with marks computed here. For every kernel.

One step: are the kdamonds ours, who belongs where, and then each lane does what it can. Everything
is read again at each step; what is remembered are delays, and what sysfs read a moment ago.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel import ladder as rungs
from damon_agent.kernel import policy
from damon_agent.kernel.assignment import Assignment, assign
from damon_agent.kernel.backoff import Backoff
from damon_agent.kernel.claim import Claim, kdamond_path, probe
from damon_agent.kernel.commands import Commands, state_path
from damon_agent.kernel.errors import Busy, KernelError, StateUnwritable
from damon_agent.kernel.exclusive import refuse_exclusive_users
from damon_agent.kernel.features import Features
from damon_agent.kernel.intent import Intent, Member
from damon_agent.kernel.lane import LOCKED_US, POLL_US, Lane
from damon_agent.kernel.lanes import KDAMONDS, Band
from damon_agent.kernel.native.phase import Phase, broken
from damon_agent.kernel.record import Record, RecordStore
from damon_agent.kernel.report import Fault, LaneReport, Report, Withheld
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.survey import Pace, Survey
from damon_agent.kernel.sysfs import Sysfs
from damon_agent.kernel.turns import Standing, Turns
from damon_agent.kernel.wanted import Wanted
from damon_contract.v1alpha1.node import NodeReason

RETRY_US: Final = 1_000_000
"""How soon to look again whether DAMON is to be had."""

IDLE_US: Final = 5_000_000
"""How soon to look again when there is nothing to do."""


class LanesDriver:
    """See the module; implements damon_agent.kernel.report.Driver."""

    def __init__(
        self,
        damon: Sysfs,
        module: Sysfs,
        *,
        commands: Commands,
        store: RecordStore,
        alive: Callable[[Process], bool],
        spent_us: Callable[[], int],
        comm: Callable[[int], str | None] = lambda _pid: "kdamond",
        kdamonds: int = KDAMONDS,
        stops_damon_stat: bool = False,
    ) -> None:
        """`alive` is asked right before a pid is written and again before it is committed.

        `spent_us` is the CPU time of the thread that steps: how often all files are compared goes
        by it. `comm` names a thread; it is asked only after the native driver had armed an RFC
        kernel.
        `stops_damon_stat`: DAMON_STAT may be switched off while there is a plan.
        """
        self._damon = damon
        self._module = module
        self._commands = commands
        self._alive = alive
        self._spent_us = spent_us
        self._comm = comm
        self._most = kdamonds
        self._stops_damon_stat = stops_damon_stat
        self._claim = Claim(damon, module, store, driver="lanes", kdamonds=kdamonds)
        self._features = Features()
        self._lanes: tuple[Lane, ...] = ()
        self._epoch = 0
        self._shift: int | None = None
        self._anchored_us: int | None = None
        self._busy = Backoff(5_000, 50_000)
        self._turns = Turns()
        self._pace = Pace()
        self._releasing = False
        self._last = self._report(None, None, settled=False, now_us=0)

    def step(self, intent: Intent | None, now_us: int) -> Report:
        """See `Driver`."""
        if intent is not None and intent.mode == "Off":
            intent = None
        try:
            if intent is None:
                report = self._release(now_us)
            elif self._releasing:
                report = _due(replace(self._release(now_us), settled=False), now_us)
            else:
                self._own()
                report = self._drive(intent, now_us)
        except Busy as error:
            return self._locked(error, now_us)
        except Withheld as withheld:
            return self._withheld(withheld.fault, now_us)
        except StateUnwritable as error:
            return self._withheld(
                Fault(NodeReason.STATE_UNWRITABLE, f"{error}; nothing is changed until it works"),
                now_us,
            )
        except KernelError as error:
            return self._withheld(Fault(error.reason, str(error)), now_us)
        self._busy.clear()
        self._last = report
        return report

    # Owning

    def _own(self) -> None:
        """Make sure that the kdamonds are ours, and that there is a lane for each."""
        idle = not any(lane.state == "on" for lane in self._lanes)
        if idle:
            stops = self._stops_damon_stat and not self._armed
            refuse_exclusive_users(self._module, stops_damon_stat=stops)
        record = self._claim.take()
        if idle and self._stops_damon_stat:
            self._claim.stop_damon_stat()
        if self._lanes and self._epoch == self._claim.epoch:
            return
        self._lanes = ()
        self._features = probe(self._damon, record.nr_kdamonds, self._is_off)
        self._build(record)

    def _build(self, record: Record) -> None:
        adopted = record.kdamonds
        if record.armed and record.driver != "lanes":
            self._refuse_dead_threads(record.nr_kdamonds)
            adopted = (Slots(),) * record.nr_kdamonds
        self._shift = record.shift_permille
        self._anchored_us = None
        self._lanes = tuple(
            Lane(
                kdamond,
                held,
                damon=self._damon,
                commands=self._commands,
                features=self._features,
                alive=self._alive,
                note=self._note,
                pace=self._pace,
                spent_us=self._spent_us,
            )
            for kdamond, held in enumerate(adopted)
        )
        self._epoch = self._claim.epoch

    def _note(self, kdamond: int, slots: Slots) -> None:
        self._claim.note(kdamond, slots, self._shift)

    def _is_off(self, kdamond: int) -> bool:
        return self._damon.read(state_path(kdamond)) == "off"

    def _refuse_dead_threads(self, kdamonds: int) -> None:
        """Raise Withheld if the RFC kernel's kdamond has crashed: any write of state would, too."""
        record = self._claim.record
        if record is not None and record.phase == Phase.BROKEN:
            raise broken("the record says that a kdamond's thread has died")
        for kdamond in range(kdamonds):
            if self._is_off(kdamond):
                continue
            pid = int(self._damon.read(f"{kdamond_path(kdamond)}/pid"))
            if not (self._comm(pid) or "").startswith("kdamond"):
                raise broken(f"kdamond {kdamond} is on, but its thread {pid} is gone")

    def _release(self, now_us: int) -> Report:
        """Switch everything off and give it back; what is somebody else's is no concern then."""
        try:
            record = self._claim.adopt()
        except Withheld as withheld:
            if withheld.fault.reason is NodeReason.DAMON_STAT_OFF:
                raise
            record = None
        if record is None:
            self._lanes = ()
        elif self._epoch != self._claim.epoch or not self._lanes:
            # Without knowing the features: to switch off takes none. It is finished, whatever the
            # next intent says.
            self._build(record)
            self._releasing = True
        for lane in self._lanes:
            lane.step(None, now_us)
        idle = all(lane.is_idle for lane in self._lanes)
        if record is not None and idle:
            self._claim.give_back()
            self._lanes = ()
        self._releasing = self._releasing and not idle
        return self._report(None, None, settled=idle, now_us=now_us)

    # Driving

    def _drive(self, intent: Intent, now_us: int) -> Report:
        if len(self._lanes) != self._most and not self._armed:
            return self._allocate_anew(now_us)
        assignment = assign(intent, {lane.kdamond: lane.slots.occupants for lane in self._lanes})
        self._anchor(intent, now_us)
        carried = self._carried()
        blocked = waited = False
        settled = True
        for lane in self._in_turn(assignment, now_us):
            alone = self._is_alone(lane, now_us)
            waited = waited or not alone
            wanted, waits = self._wanted(lane, assignment, intent)
            blocked = blocked or waits
            if not alone and self._features.sync_commit:
                # The command that is under way holds the lock every file needs; its end wakes us.
                lane.next_us = max(lane.next_us, now_us + POLL_US)
            else:
                lane.step(wanted, now_us, may_ask=alone, calm=self._turns.is_calm(now_us))
            settled = settled and lane.rests_as(wanted)
        settled = settled and not blocked
        settled = settled and all(self._has_all(lane, assignment) for lane in self._lanes)
        report = self._report(intent, assignment, settled=settled, now_us=now_us)
        free_again = waited and not any(lane.under_way for lane in self._lanes)
        if free_again or (blocked and self._carried() != carried):
            return _due(report, now_us)
        return report

    @property
    def _armed(self) -> bool:
        return self._claim.record is not None and self._claim.record.armed

    def _allocate_anew(self, now_us: int) -> Report:
        """Give back kdamonds that another driver allocated, to take our own number."""
        for lane in self._lanes:
            lane.step(None, now_us)
        if all(lane.is_idle for lane in self._lanes):
            self._claim.give_back()
            self._lanes = ()
        return _due(self._report(None, None, settled=False, now_us=now_us), now_us)

    def _anchor(self, intent: Intent, now_us: int) -> None:
        """Follow available memory, once per interval and only when it has moved enough."""
        due = self._anchored_us is None or now_us - self._anchored_us >= intent.interval_us
        if due or (intent.metric == "FreeMemory" and self._shift != 0):
            measured = rungs.shift(intent.memory, intent.metric)
            exact = intent.metric == "FreeMemory"
            self._shift = measured if exact else rungs.anchored(self._shift, measured)
            self._anchored_us = now_us

    def _carried(self) -> frozenset[Process]:
        return frozenset[Process]().union(*(lane.slots.carried for lane in self._lanes))

    def _in_turn(self, assignment: Assignment, now_us: int) -> Iterable[Lane]:
        """Return the lanes in the order in which they are stepped."""
        turns = self._turns.order(
            (self._standing(lane, assignment) for lane in self._lanes), now_us
        )
        return [self._lanes[kdamond] for kdamond in turns]

    @staticmethod
    def _standing(lane: Lane, assignment: Assignment) -> Standing:
        members = {member.process for member in assignment.members.get(lane.kdamond, ())}
        return Standing(
            lane.kdamond,
            under_way=lane.under_way is not None,
            awaits=lane.slots.arriving or not members <= set(lane.slots.occupants),
            leaves=not lane.slots.carried <= members,
        )

    def _is_alone(self, lane: Lane, now_us: int) -> bool:
        """Whether no other lane's command is under way: every kernel takes one at a time."""
        return not any(
            other.under_way is not None and not other.under_way.overdue(now_us)
            for other in self._lanes
            if other is not lane
        )

    def _wanted(
        self, lane: Lane, assignment: Assignment, intent: Intent
    ) -> tuple[Wanted | None, bool]:
        """Return what a lane should be, and whether somebody has to leave another lane first.

        The same process in two kdamonds would be sampled and paged out twice.
        """
        band = assignment.bands.get(lane.kdamond)
        if band is None:
            return None, False
        elsewhere = frozenset[Process]().union(
            *(other.slots.carried for other in self._lanes if other is not lane)
        )
        members = assignment.members[lane.kdamond]
        free = tuple(member.process for member in members if member.process not in elsewhere)
        wanted = Wanted(
            processes=free,
            schemes=policy.schemes(intent, band, self._kernel_mark(band)),
            sample_us=intent.sample_us,
            aggregation_us=intent.aggregation_us,
            update_us=intent.update_us,
            cold_age=policy.cold_age(intent),
            spacing=policy.commit_spacing(intent, self._features),
            asleep=(
                intent.mode == "Enforce"
                and band.role == "Ladder"
                and rungs.sleeps(intent.memory, self._kernel_mark(band))
            ),
        )
        return wanted, len(free) < len(members)

    def _kernel_mark(self, band: Band) -> int:
        return rungs.kernel_mark(band.mark_permille or 0, self._shift or 0)

    def _has_all(self, lane: Lane, assignment: Assignment) -> bool:
        members = assignment.members.get(lane.kdamond, ())
        return {member.process for member in members} == set(lane.slots.occupants)

    # Reporting

    def _locked(self, error: Busy, now_us: int) -> Report:
        """Come back in milliseconds; say so once it lasts."""
        self._busy.lengthen(now_us)
        if now_us - self._busy.since_us <= LOCKED_US:
            return replace(self._last, settled=False, next_step_us=self._busy.until_us)
        fault = Fault(
            NodeReason.SYSFS_LOCKED, f"{error}; something else keeps DAMON's sysfs locked"
        )
        return self._withheld(fault, now_us)

    def _withheld(self, fault: Fault, now_us: int) -> Report:
        """Report what stands in the way; lanes that are ours run on as they were."""
        if self._claim.record is None:
            self._lanes = ()
            self._last = self._report(None, None, settled=False, now_us=now_us)
        return replace(self._last, faults=(fault,), settled=False, next_step_us=now_us + RETRY_US)

    def _report(
        self,
        intent: Intent | None,
        assignment: Assignment | None,
        *,
        settled: bool,
        now_us: int,
    ) -> Report:
        lanes: list[LaneReport] = []
        placed: dict[str, int] = {}
        surveys: dict[int, Survey] = {}
        if intent is not None and assignment is not None:
            for kdamond, band in assignment.bands.items():
                lane, members = self._lanes[kdamond], assignment.members[kdamond]
                lanes.append(self._lane_report(lane, band, members, intent))
                if lane.survey is not None:
                    surveys[kdamond] = lane.survey
                if lane.state == "on" and lane.slots.committed:
                    held = set(lane.slots.occupants)
                    placed.update({m.pod_uid: kdamond for m in members if m.process in held})
        idle_us = IDLE_US if intent is None else min(IDLE_US, intent.interval_us)
        return Report(
            driver_name="lanes",
            features=tuple(sorted(self._features.names)),
            lanes=tuple(sorted(lanes, key=lambda lane: lane.priorities)),
            placed=placed,
            surveys=surveys,
            faults=tuple(lane.fault for lane in self._lanes if lane.fault is not None),
            settled=settled,
            next_step_us=min([now_us + idle_us, *(lane.next_us for lane in self._lanes)]),
        )

    def _lane_report(
        self, lane: Lane, band: Band, members: tuple[Member, ...], intent: Intent
    ) -> LaneReport:
        on = lane.state == "on"
        mark = self._kernel_mark(band) if band.role == "Ladder" else None
        free_permille = rungs.permille(intent.memory.free_bytes, intent.memory.capacity_bytes)
        tried, applied = lane.counted_bytes
        return LaneReport(
            kdamond=lane.kdamond,
            priorities=band.priorities,
            role=band.role,
            mark_permille=band.mark_permille,
            kernel_mark_permille=mark,
            pods=len({member.pod_uid for member in members}),
            targets=len(lane.slots.occupants),
            state=lane.state,
            active=on and (band.role == "Eager" or (mark is not None and free_permille < mark)),
            tried_bytes=tried,
            applied_bytes=applied,
        )


def _due(report: Report, at_us: int) -> Report:
    return replace(report, next_step_us=min(report.next_step_us, at_us))
