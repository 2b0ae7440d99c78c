"""Who stands in the slots of a running native kdamond, and the commits that make it so.

Only a slot's pid and its scheme ever change. Numbers, sentinels and the count of slots stay as
they were at `on`: the kernel keeps its own copy of the numbers by index, and divides by the
difference of the largest and the smallest that live. Every exit and every refill makes it compute
the marks again within five seconds, from free memory, over whatever was committed: so each commit
that changes a slot is followed by the same one again, later than that.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel import classes, ladder, policy
from damon_agent.kernel import slots as slot_rules
from damon_agent.kernel.backoff import Backoff
from damon_agent.kernel.claim import Claim
from damon_agent.kernel.classes import SENTINELS, Layout
from damon_agent.kernel.commands import Keyword
from damon_agent.kernel.errors import Busy, KernelError
from damon_agent.kernel.features import CONTEXT, Features
from damon_agent.kernel.intent import Intent, Member
from damon_agent.kernel.native import context
from damon_agent.kernel.native.context import PARKED_AGGREGATION_US, Rungs
from damon_agent.kernel.native.kdamond import KDAMOND, NativeKdamond
from damon_agent.kernel.report import Fault, Withheld
from damon_agent.kernel.slots import TOMBSTONE_PID, Slots
from damon_agent.kernel.tree import render
from damon_contract.v1alpha1.node import NodeReason

REPEAT_US: Final = 7_000_000
"""After a commit that changed a slot: the kernel looks every five seconds, and computes once."""

SWEEP_US: Final = 60_000_000
STATS_US: Final = 30_000_000


class Running:
    """The slots, from the record on, and one commit after the other."""

    def __init__(
        self,
        claim: Claim,
        kdamond: NativeKdamond,
        features: Features,
        layout: Layout,
        alive: Callable[[Process], bool],
    ) -> None:
        self.fault: Fault | None = None
        self.at_rest = False
        self.homeless: tuple[Member, ...] = ()
        self.rungs: Rungs | None = None
        self.next_us = 0
        self.counted_bytes: dict[int, tuple[int, int]] = {}
        """sz_tried and sz_applied by slot, as last asked for."""
        self._claim = claim
        self._kdamond = kdamond
        self._files = kdamond.files
        self._features = features
        self._layout = layout
        self._alive = alive
        record = claim.record
        self.slots = layout.vacant() if record is None else record.kdamonds[KDAMOND]
        self._shift = None if record is None else record.shift_permille
        self._anchored_us: int | None = None
        self._unconfirmed = True
        self._untidied = False
        self._committed_us: int | None = None
        self._repeat_us: int | None = None
        self._trouble = Backoff(1_000_000, 60_000_000)
        self._sweep_us = 0
        self._stats_us = 0
        self._files.forget()

    def step(self, intent: Intent | None, now_us: int) -> None:
        """Bring the slots nearer to the intent; None: nobody in any slot.

        Raise Withheld, Crashed, KernelError, StateUnwritable.
        """
        self.at_rest = False
        self.next_us = now_us + SWEEP_US
        if self._untidied:
            self._tidy()
        self._anchor(intent, now_us)
        self.rungs = None if intent is None else context.rungs(intent, self._shift or 0)
        if self._files.is_unknown:
            self._sweep(now_us)
        placed = self._place(self.slots)
        desired = self._desired(placed)
        if self._is_due(placed, desired, now_us):
            if self._may_commit(now_us):
                self._commit(placed, desired, now_us)
        else:
            self._rest(now_us)

    # Deciding

    def _anchor(self, intent: Intent | None, now_us: int) -> None:
        """Follow available memory, once per interval and only when it has moved enough."""
        if intent is None:
            self._anchored_us = None
            return
        due = self._anchored_us is None or now_us - self._anchored_us >= intent.interval_us
        if due or (intent.metric == "FreeMemory" and self._shift != 0):
            measured = ladder.shift(intent.memory, intent.metric)
            exact = intent.metric == "FreeMemory"
            self._shift = measured if exact else ladder.anchored(self._shift, measured)
            self._anchored_us = now_us

    def _place(self, current: Slots) -> Slots:
        intent = None if self.rungs is None else self.rungs.intent
        placement = classes.place(
            current,
            () if intent is None else intent.members,
            self._layout,
            0 if intent is None else intent.protect_from,
            self._alive,
        )
        self.homeless = placement.homeless
        return placement.slots

    def _desired(self, slots: Slots) -> Mapping[str, str]:
        told = (
            context.parked(self._layout, slots)
            if self.rungs is None
            else context.working(self._layout, slots, self.rungs)
        )
        return render(told, self._features)

    def _is_due(self, placed: Slots, desired: Mapping[str, str], now_us: int) -> bool:
        return (
            self._unconfirmed
            or not placed.committed
            or bool(self._files.missing(desired))
            or (self._repeat_us is not None and now_us >= self._repeat_us)
        )

    def _may_commit(self, now_us: int) -> bool:
        due_us = self._trouble.until_us
        if self._committed_us is not None:
            due_us = max(due_us, self._committed_us + self._spacing_us)
        self.next_us = due_us
        return now_us >= due_us

    @property
    def _spacing_us(self) -> int:
        if self.rungs is None:
            return PARKED_AGGREGATION_US
        return policy.commit_spacing(self.rungs.intent, self._features).us

    # Committing

    def _commit(self, placed: Slots, desired: Mapping[str, str], now_us: int) -> None:
        """Write and commit; nothing is committed that does not read back."""
        self._keep(replace(placed, committed=False))
        self._files.write(desired)
        if differing := self._files.compare_written():
            self._files.forget()
            raise Withheld(
                NodeReason.WRITE_REJECTED,
                f"kdamond {KDAMOND} does not read what was written to it "
                f"({', '.join(sorted(differing)[:3])}): it is not committed",
            )
        self._require_sentinels()
        if self._place(self.slots) is not self.slots:
            self.next_us = now_us  # somebody died while we wrote: never commit a dead pid
            return
        repeats = self._repeat_us is not None and now_us >= self._repeat_us
        self._kdamond.start(
            Keyword.COMMIT,
            now_us,
            lambda error, done_us: self._committed(error, done_us, repeats=repeats),
        )

    def _require_sentinels(self) -> None:
        """Look once more at what would crash the kernel if it were committed.

        Raise Withheld if somebody else has written there since; the next step writes it again.
        """
        expected = {"targets/nr_targets": str(len(self._layout.numbers))}
        for index in range(len(SENTINELS)):
            expected[f"targets/{index}/pid_target"] = str(TOMBSTONE_PID)
            if "obsolete_target" in self._features:
                expected[f"targets/{index}/obsolete_target"] = "N"
        for path, value in expected.items():
            if self._kdamond.read(f"{CONTEXT}/{path}") != value:
                self._files.forget()
                raise Withheld(
                    NodeReason.DAMON_BUSY,
                    f"somebody else has written to {path} of kdamond {KDAMOND}; it is set up again",
                )

    def _committed(self, error: KernelError | None, now_us: int, *, repeats: bool) -> None:
        if isinstance(error, Busy):
            raise error
        if error is not None:
            # A process that died between our look and the kernel's explains it: its slot becomes a
            # tombstone, and the others are committed at the next step.
            if all(map(self._alive, self.slots.occupants)):
                self.fault = Fault(NodeReason.COMMIT_FAILED, f"kdamond {KDAMOND}: {error}")
                self._files.forget()
                self._trouble.lengthen(now_us)
            return
        self.fault = None
        self._trouble.clear()
        # Whoever died while the kernel took them may have left his number to another process: his
        # slot is cleared at once, before that one's memory can count as cold.
        died = not all(map(self._alive, self.slots.occupants))
        self._committed_us = None if died else now_us
        if self._unconfirmed:
            self._stats_us = now_us + STATS_US
        if self._unconfirmed or not all(slot.settled for slot in self.slots.slots):
            self._repeat_us = now_us + REPEAT_US
        elif repeats:
            self._repeat_us = None
        self._unconfirmed = False
        self.slots = slot_rules.taken(self.slots)
        self._untidied = True
        self._tidy()

    def _tidy(self) -> None:
        """Take the dummy regions of live slots back: else the next commit would impose them."""
        for index, slot in enumerate(self.slots.slots):
            if slot.process is not None and not slot.settled:
                self._files.remove_regions(index)
        self._keep(slot_rules.settle(self.slots))
        self._untidied = False

    def _keep(self, slots: Slots) -> None:
        self._claim.note(KDAMOND, slots, self._shift)
        self.slots = slots

    # Resting

    def _rest(self, now_us: int) -> None:
        self.at_rest = True
        if now_us >= self._sweep_us:
            self._sweep(now_us)
            self.next_us = now_us
        elif now_us >= self._stats_us:
            self._stats_us = now_us + STATS_US
            self._kdamond.start(
                Keyword.UPDATE_SCHEMES_STATS, now_us, lambda error, _: self._counted(error)
            )
        else:
            due = (self._sweep_us, self._stats_us, self._repeat_us)
            self.next_us = min(moment for moment in due if moment is not None)

    def _counted(self, error: KernelError | None) -> None:
        """Read the counters; an error means the kdamond is ending, and its state will say so."""
        if isinstance(error, Busy):
            raise error
        if error is None:
            self.counted_bytes = {
                index: self._files.counted_bytes(index)
                for index, slot in enumerate(self.slots.slots)
                if slot.process is not None
            }

    def _sweep(self, now_us: int) -> None:
        """Read all files. Where somebody else has written, it is unknown who is in a slot.

        In the middle of a change, what reads differently may as well be of our own making; then the
        slots that matter are unsettled already.
        """
        changed = self._files.sweep(self._desired(self.slots))
        self._sweep_us = now_us + SWEEP_US
        if self.slots.committed:
            self.slots = slot_rules.doubt(self.slots, changed)
