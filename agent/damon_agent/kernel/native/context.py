"""What the native driver's one kdamond is told: slots, numbers, and a scheme for each slot. Pure.

Scheme i speaks of slot i and of nothing else: its only filter lets target i pass, and so whatever
no filter matches is rejected. The kernel RFC's own schemes lack that step, and take the memory of
any target; ours replace them while every slot is still empty.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel import ladder, schemes
from damon_agent.kernel.availability import Availability
from damon_agent.kernel.intent import Intent, effective_priorities, longest_min_age_us
from damon_agent.kernel.ladder import Ladder
from damon_agent.kernel.native.classes import SENTINELS, Layout
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree.context import NOTHING, Context, Scheme, Target, targets

ARMING_US: Final = (5_000, 100_000, 1_000_000)
"""Intervals while it is armed, the kernel's defaults: fast, so that arming is confirmed within a
second, over empty slots."""

PARKED_US: Final = (200_000, 2_000_000, 2_000_000)
"""Intervals without a plan: slow, because nobody is in any slot."""


@dataclass(frozen=True, slots=True)
class Rungs:
    """What decides the marks, at one moment."""

    intent: Intent
    ladder: Ladder
    memory: Availability
    priorities: Mapping[Process, int]
    """The priority each planned process is treated by, 1..100, higher = more important."""

    def mark(self, priority: int) -> int | None:
        """Return the share of available memory below which a priority gives up memory.

        None: that does not depend on memory.
        """
        return self.ladder.mark(priority) if self.ladder.role(priority) == "Ladder" else None


def rungs(intent: Intent, memory: Availability) -> Rungs:
    """Return the rungs for an intent.

    A spared process keeps its slot, whatever its class: its scheme is that of a protected one.
    """
    planned = [member.priority for member in intent.members]
    return Rungs(intent, ladder.build(intent, planned), memory, effective_priorities(intent))


def idle(layout: Layout, slots: Slots, intervals_us: tuple[int, int, int]) -> Context:
    """Return what a kdamond is told that has nothing to do; it stays on all the same.

    So it is armed: the kernel then replaces these schemes by its own, over empty slots.
    """
    vacant = tuple(_vacant(index) for index in range(len(layout.numbers)))
    return Context(*intervals_us, _targets(slots, layout), vacant, page_bytes=1)


def working(
    layout: Layout, slots: Slots, rungs: Rungs, snapshots: Mapping[int, tuple[int, int]]
) -> Context:
    """Return what the kdamond is told for a plan.

    `snapshots`, by slot: how many the kernel has counted of its scheme, and the most it allows.
    """
    intent = rungs.intent
    standing = [
        None if slot.process is None else rungs.priorities.get(slot.process) for slot in slots.slots
    ]
    slowness = schemes.slowness(intent, "Ladder")
    return Context(
        sample_us=intent.sample_us * slowness,
        aggregation_us=intent.aggregation_us * slowness,
        update_us=intent.update_us * slowness,
        targets=_targets(slots, layout),
        schemes=tuple(_schemes(standing, rungs, snapshots)),
        page_bytes=intent.memory.page_bytes,
    )


def _targets(slots: Slots, layout: Layout) -> tuple[Target, ...]:
    return tuple(
        replace(target, priority=number)
        for target, number in zip(targets(slots), layout.numbers, strict=True)
    )


def _vacant(index: int) -> Scheme:
    """Return the scheme of a sentinel or of an empty slot: always active, it does nothing.

    While one scheme is active a commit is quick, and the kernel looks every five seconds, not
    later, whether it has to compute marks again. The first carries our signature.
    """
    only = None if index < len(SENTINELS) else index
    return Scheme("stat", NOTHING, signed=index == 0, only_target=only)


def _schemes(
    standing: list[int | None], rungs: Rungs, snapshots: Mapping[int, tuple[int, int]]
) -> Iterable[Scheme]:
    """Yield for each slot what a lane of its priority would do, to this target only.

    A byte quota is for a priority; its processes share it evenly.
    """
    intent = rungs.intent
    carried = Counter(standing)
    aggregation_us = schemes.aggregation_us(intent, "Ladder")
    allowance = max(1, intent.max_plan_age_us // aggregation_us) * len(standing)
    for index, priority in enumerate(standing):
        if priority is None:
            yield _vacant(index)
            continue
        role = rungs.ladder.role(priority)
        scheme = schemes.schemes(
            intent,
            role,
            rungs.mark(priority),
            rungs.memory,
            min_age_us=longest_min_age_us(intent, [priority]),
        )[-1]
        scheme = replace(scheme, only_target=index, signed=False)
        if role != "Protected":
            counted, limit = snapshots.get(index, (0, 0))
            most = schemes.most_snapshots(scheme, counted, limit, allowance)
            share = max(intent.memory.page_bytes, scheme.quota_bytes // carried[priority])
            quota_bytes = scheme.quota_bytes and share
            scheme = replace(scheme, quota_bytes=quota_bytes, most_snapshots=most)
        yield scheme
