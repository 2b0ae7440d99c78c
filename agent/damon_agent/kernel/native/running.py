"""Who stands in the slots of a running native kdamond, and the commits that make it so.

Only a slot's pid and its scheme ever change. Numbers, sentinels and the count of slots stay as
they were at `on`: the kernel keeps its own copy of the numbers by index, and divides by the
difference of the largest and the smallest that live. Every exit and every refill makes it compute
the marks again within five seconds, from free memory, over whatever was committed: so each commit
that changes a slot is followed by the same one again, later than that. To a scheme that sleeps
marks mean nothing: its action is `stat`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel import schemes
from damon_agent.kernel import slots as slot_rules
from damon_agent.kernel.availability import Availability
from damon_agent.kernel.intent import Intent, Member
from damon_agent.kernel.native import classes, context
from damon_agent.kernel.native.classes import SENTINELS, Layout
from damon_agent.kernel.native.context import PARKED_US, Rungs
from damon_agent.kernel.native.kdamond import KDAMOND, NativeKdamond
from damon_agent.kernel.ownership.ownership import Ownership
from damon_agent.kernel.report import Blocked, Fault
from damon_agent.kernel.slots import TOMBSTONE_PID, Slots
from damon_agent.kernel.tree.commands import Keyword
from damon_agent.kernel.tree.context import render
from damon_agent.kernel.tree.errors import StateUnwritable
from damon_agent.kernel.tree.features import CONTEXT, Features
from damon_agent.kernel.tree.kdamond import COUNTERS_US, Answer
from damon_agent.kernel.tree.retry_delay import RetryDelay
from damon_contract.v1alpha1.node import NodeReason

AGAIN_US: Final = 7_000_000
"""After a commit that changed a slot: the kernel looks every five seconds, and computes once."""

DRIFT_US: Final = 60_000_000
"""More often than in lanes: what somebody else writes here may crash the kernel."""


class Running:
    """The slots, from the record on, and one commit after the other."""

    def __init__(
        self,
        ownership: Ownership,
        kernel: NativeKdamond,
        features: Features,
        layout: Layout,
        alive: Callable[[Process], bool],
    ) -> None:
        self.fault: Fault | None = None
        self.at_rest = False
        self.applied_plan: str | None = None
        """Hash of the plan that the kernel has taken last, with everybody in it."""
        self.homeless: tuple[Member, ...] = ()
        self.memory = Availability()
        """What marks are compared with."""
        self.rungs: Rungs | None = None
        self.next_us = 0
        self.counted_bytes: dict[int, tuple[int, int]] = {}
        """sz_tried and sz_applied by slot, as last asked for."""
        self._ownership = ownership
        self._kernel = kernel
        self._features = features
        self._layout = layout
        self._alive = alive
        record = ownership.record
        held = self._noted = layout.vacant() if record is None else record.kdamonds[KDAMOND]
        if len(held.slots) != len(layout.numbers):
            held = layout.vacant()  # the record was lost: every slot is cleared
        # The kernel may have computed marks while nobody looked: all is committed once.
        self.slots = replace(held, committed=False)
        self._snapshots: dict[int, int] = {}
        self._sent_us = 0
        self._sent_changes = False
        self._sent_whole = False
        """Whether what was committed last is all that was wanted."""
        self._sent_grown_us: Mapping[Process, int] = {}
        self._grown_us: Mapping[Process, int] = {}
        """When processes had last grown as their regions began, where that is not 0."""
        self._commit_us = 0
        self._again_us: int | None = None
        self._drift_us = 0
        self._counters_us = 0
        self._failed = RetryDelay(1_000_000, 60_000_000)
        kernel.files.forget()

    @property
    def may_reclaim(self) -> bool:
        """Whether the kernel may reclaim here: it does, or it cannot be told that it does not."""
        files = self._kernel.files
        if self._kernel.is_waiting or files.is_unknown or not self.slots.committed:
            return True
        return any(files.known.get(path, "stat") != "stat" for path in self._actions)

    def step(self, intent: Intent | None, now_us: int) -> None:
        """Bring the slots nearer to the intent; None: nobody in any slot.

        Raise Blocked, Crashed, KernelError, StateUnwritable.
        """
        self.at_rest = False
        self.memory = Availability() if intent is None else self.memory.looked(intent, now_us)
        self.rungs = None if intent is None else context.rungs(intent, self.memory)
        if self._kernel.files.is_unknown:
            self._check_drift(now_us)
        elif self.slots.is_to_settle:
            self._settle()
        placed = self._place()
        desired = self._desired(placed)
        is_again = self._again_us is not None and now_us >= self._again_us
        if placed.committed and not is_again and not self._kernel.files.missing(desired):
            self._rest(now_us)
            return
        self.next_us = max(
            self._failed.until_us, 0 if self._is_urgent(desired) else self._commit_us
        )
        if now_us >= self.next_us:
            self._commit(placed, desired, now_us)

    def answered(self, answer: Answer, now_us: int) -> None:
        """Take in what came of a command. An error that is no commit's shows in the state."""
        if answer.keyword is Keyword.COMMIT:
            self._committed(answer, now_us)
        elif answer.error is None:
            files = self._kernel.files
            standing = [i for i, slot in enumerate(self.slots.slots) if slot.process is not None]
            self._snapshots = {i: files.counter(i, "nr_snapshots") for i in standing}
            self.counted_bytes = {
                i: (files.counter(i, "sz_tried"), files.counter(i, "sz_applied")) for i in standing
            }

    # Deciding

    def _place(self) -> Slots:
        placement = classes.place(
            self.slots,
            () if self.rungs is None else self.rungs.intent.members,
            self._layout,
            0 if self.rungs is None else self.rungs.intent.protect_from,
            self._alive,
        )
        self.homeless = placement.homeless
        return slot_rules.begin_anew(placement.slots, self._grown)

    @property
    def _grown(self) -> frozenset[Process]:
        """The processes whose regions are to begin anew."""
        began_us = self._grown_us
        grown = self._asked_grown_us.items()
        return frozenset(p for p, at_us in grown if at_us > began_us.get(p, 0))

    @property
    def _asked_grown_us(self) -> Mapping[Process, int]:
        """When processes were seen to have grown, by the intent."""
        return {} if self.rungs is None else self.rungs.intent.grown_us

    def _desired(self, slots: Slots) -> dict[str, str]:
        if self.rungs is None:
            told = context.idle(self._layout, slots, PARKED_US)
        else:
            known = self._kernel.files.known
            limit = f"{CONTEXT}/schemes/{{}}/stats/max_nr_snapshots"
            snapshots = {
                i: (counted, int(known.get(limit.format(i), 0)))
                for i, counted in self._snapshots.items()
            }
            told = context.working(self._layout, slots, self.rungs, snapshots)
        return render(told, self._features)

    def _is_urgent(self, desired: Mapping[str, str]) -> bool:
        """Say whether something reclaims that is not to, or may take what has only just come.

        Such a commit does not wait for its distance.
        """
        acts = [
            (self._kernel.files.known.get(path, "stat") != "stat", desired[path] != "stat")
            for path in self._actions
        ]
        if any(does and not is_to for does, is_to in acts):
            return True
        has_grown = not self._grown.isdisjoint(self.slots.occupants)
        return has_grown and any(does or is_to for does, is_to in acts)

    @property
    def _all_live(self) -> bool:
        return all(map(self._alive, self.slots.occupants))

    @property
    def _actions(self) -> tuple[str, ...]:
        return tuple(f"{CONTEXT}/schemes/{i}/action" for i in range(len(self._layout.numbers)))

    # Committing

    def _commit(self, placed: Slots, desired: Mapping[str, str], now_us: int) -> None:
        """Write and commit; nothing is committed that does not read back.

        Raise StateUnwritable where it can't be noted who is to stand where.
        """
        self._sent_us, self._sent_changes, self._sent_whole = now_us, not placed.committed, True
        self._sent_grown_us = self._asked_grown_us
        try:
            self._keep(replace(placed, committed=False))
        except StateUnwritable:
            # Who stands where stays as it is noted; whoever is to be left alone is.
            desired = self._desired(self.slots)
            if not self._kernel.files.missing(desired) or not self._all_live:
                raise
            self.slots = replace(self.slots, committed=False)
            self._sent_changes = self._sent_whole = False
            self._sent_grown_us = self._grown_us
        files = self._kernel.files
        files.write(desired)
        if differing := files.compare_written() | self._changed_sentinels():
            files.forget()
            raise Blocked(
                NodeReason.WRITE_REJECTED,
                f"kdamond {KDAMOND} does not read what was written to it "
                f"({', '.join(sorted(differing)[:3])}): it is not committed, but written again",
            )
        in_place = self._place() is self.slots if self._sent_whole else self._all_live
        if not in_place:
            self.next_us = now_us  # somebody died while we wrote: never commit a dead pid
            return
        self._kernel.tell(Keyword.COMMIT, now_us)

    def _changed_sentinels(self) -> frozenset[str]:
        """Look once more at what would crash the kernel if it were committed."""
        expected = {"nr_targets": str(len(self._layout.numbers))}
        for index in range(len(SENTINELS)):
            expected[f"{index}/pid_target"] = str(TOMBSTONE_PID)
            if "obsolete_target" in self._features:
                expected[f"{index}/obsolete_target"] = "N"
        return frozenset(
            path
            for path, value in expected.items()
            if self._kernel.read(f"{CONTEXT}/targets/{path}") != value
        )

    def _committed(self, answer: Answer, now_us: int) -> None:
        # Whoever died while the kernel took them may have left his number to another process: his
        # slot is cleared at once, before that one's memory can count as cold.
        died = not self._all_live
        if answer.error is not None:
            if not died:
                self.fault = Fault(NodeReason.COMMIT_FAILED, f"kdamond {KDAMOND}: {answer.error}")
                self._kernel.files.forget()
                self._failed.lengthen(now_us)
            return
        self.fault = None
        self._failed.clear()
        self.slots = slot_rules.taken(self.slots)
        self._grown_us = self._sent_grown_us
        self._commit_us = now_us if died else now_us + self._spacing_us
        if self._sent_changes:
            self._again_us = now_us + AGAIN_US
        elif self._again_us is not None and self._sent_us >= self._again_us:
            self._again_us = None
        if self._sent_whole:
            self._note_applied()

    @property
    def _spacing_us(self) -> int:
        if self.rungs is None:
            return 0
        return schemes.commit_spacing_us(self.rungs.intent, "Ladder", self._features)

    def _note_applied(self) -> None:
        if self.rungs is not None and not self.homeless:
            self.applied_plan = self.rungs.intent.plan

    def _settle(self) -> None:
        """Take the dummy regions back; where that can't be noted, the next agent clears again."""
        settled = self._kernel.settle(self.slots)
        try:
            self._keep(settled)
        except StateUnwritable:
            self.slots = settled

    def _keep(self, slots: Slots) -> None:
        """Note who stands where. Whether that is committed need not be: the next agent does it."""
        if (slots.slots, slots.leaving) != (self._noted.slots, self._noted.leaving):
            self._ownership.note(KDAMOND, slots)
            self._noted = slots
        self.slots = slots

    # Resting

    def _rest(self, now_us: int) -> None:
        self._note_applied()
        if now_us >= self._drift_us:
            self._check_drift(now_us)
            self.next_us = now_us
        elif now_us >= self._counters_us:
            self._counters_us = now_us + COUNTERS_US
            self._kernel.tell(Keyword.UPDATE_SCHEMES_STATS, now_us)
        else:
            self.at_rest = True
            due = (self._drift_us, self._counters_us, self._again_us)
            self.next_us = min(moment for moment in due if moment is not None)

    def _check_drift(self, now_us: int) -> None:
        """Read all files: where somebody else has written, it is unknown who is in a slot."""
        self._drift_us = now_us + DRIFT_US
        self.slots = self._kernel.check_drift(self.slots, self._desired(self.slots))
