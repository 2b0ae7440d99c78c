"""What the native driver's one kdamond is told: slots, numbers, and a scheme for each slot. Pure.

Scheme i speaks of slot i and of nothing else: its only filter lets target i pass, and so whatever
no filter matches is rejected. The kernel RFC's own schemes lack that step, and take the memory of
any target; ours replace them while every slot is still empty.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel import ladder, policy
from damon_agent.kernel.assignment import standings, unique
from damon_agent.kernel.classes import SENTINELS, Layout
from damon_agent.kernel.intent import Intent
from damon_agent.kernel.ladder import Ladder
from damon_agent.kernel.lanes import Band
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree import NOTHING, PAGE_BYTES, Context, Scheme, Target, targets

ARMING_SAMPLE_US: Final = 5_000
ARMING_AGGREGATION_US: Final = 100_000
ARMING_UPDATE_US: Final = 1_000_000
"""The kernel's defaults: fast, so that arming is confirmed within a second, over empty slots."""

PARKED_SAMPLE_US: Final = 200_000
PARKED_AGGREGATION_US: Final = 2_000_000
PARKED_UPDATE_US: Final = 2_000_000
"""Slow: nobody is in any slot."""

KEEP_ALIVE: Final = Scheme("stat", NOTHING)
"""Always active, does nothing: while one scheme is active a commit is quick, and the kernel looks
every five seconds, not later, whether it has to compute marks again."""


@dataclass(frozen=True, slots=True)
class Rungs:
    """What decides the marks, at one moment."""

    intent: Intent
    ladder: Ladder
    shift_permille: int
    priorities: Mapping[Process, int]
    """The priority each planned process is treated by, 1..100, higher = more important."""

    def kernel_mark(self, priority: int) -> int | None:
        """Return the mark to compare free memory with; None without watermarks.

        Never an underflow: unlike the kernel's own formula it subtracts nothing unsigned, and is
        clamped to 0..1000.
        """
        if self.ladder.role(priority) != "Ladder":
            return None
        return ladder.kernel_mark(self.ladder.mark(priority), self.shift_permille)


def rungs(intent: Intent, shift_permille: int) -> Rungs:
    """Return the rungs for an intent; a process in two pods counts as the more important one.

    A spared one keeps its slot, whatever its class: its scheme is that of a protected one.
    """
    members = unique(intent).values()
    planned = [member.priority for member in members]
    priorities = standings(intent, members)
    return Rungs(intent, ladder.build(intent, planned), shift_permille, priorities)


def arming(layout: Layout) -> Context:
    """Return what the kdamond is started with: every number, and nobody in any slot.

    The schemes are placeholders: the kernel replaces them by its own, which then show here.
    """
    return Context(
        ARMING_SAMPLE_US,
        ARMING_AGGREGATION_US,
        ARMING_UPDATE_US,
        _targets(layout.vacant(), layout),
        tuple(KEEP_ALIVE for _ in layout.numbers),
    )


def parked(layout: Layout, slots: Slots) -> Context:
    """Return what a kdamond is told that has nothing to do, but may have again."""
    return Context(
        PARKED_SAMPLE_US,
        PARKED_AGGREGATION_US,
        PARKED_UPDATE_US,
        _targets(slots, layout),
        tuple(_vacant(index) for index in range(len(layout.numbers))),
    )


def working(layout: Layout, slots: Slots, rungs: Rungs) -> Context:
    """Return what the kdamond is told for a plan."""
    carried = Counter(
        rungs.priorities[process] for process in slots.occupants if process in rungs.priorities
    )
    schemes = [
        _vacant(index)
        if slot.process is None or slot.process not in rungs.priorities
        else _scheme(index, rungs, rungs.priorities[slot.process], carried)
        for index, slot in enumerate(slots.slots)
    ]
    return Context(
        rungs.intent.sample_us,
        rungs.intent.aggregation_us,
        rungs.intent.update_us,
        _targets(slots, layout),
        tuple(schemes),
    )


def _targets(slots: Slots, layout: Layout) -> tuple[Target, ...]:
    return tuple(
        replace(target, priority=number)
        for target, number in zip(targets(slots), layout.numbers, strict=True)
    )


def _vacant(index: int) -> Scheme:
    """Return the scheme of a sentinel or of an empty slot."""
    return KEEP_ALIVE if index < len(SENTINELS) else replace(KEEP_ALIVE, only_target=index)


def _scheme(index: int, rungs: Rungs, priority: int, carried: Counter[int]) -> Scheme:
    """Return the scheme of a slot: what a lane of this priority would do, to this target only.

    A byte quota is for a priority; its processes share it evenly.
    """
    role = rungs.ladder.role(priority)
    mark = rungs.ladder.mark(priority) if role == "Ladder" else None
    band = Band((priority,), role, mark)
    acting = policy.schemes(rungs.intent, band, rungs.kernel_mark(priority) or 0)[-1]
    quota_bytes = acting.quota_bytes
    if quota_bytes:
        quota_bytes = max(PAGE_BYTES, quota_bytes // carried[priority])
    return replace(acting, only_target=index, quota_bytes=quota_bytes)
