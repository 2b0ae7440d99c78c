"""Which pods are asked for memory by memory.reclaim, and for how much. Pure.

The kernel takes the end of its own list and knows no ages: when the cold part of a pod is gone it
goes on with the hot one. So a pod is asked for little at a time, and what comes back tells that the
cold part is gone: then it is left alone for a while, and asked for less when that is over
(docs/adr/0024).
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Final

from damon_agent.brake.brake import Brake, History, Limits, tolerated_pages
from damon_agent.facts import PodMemory
from damon_agent.kernel import ladder
from damon_agent.kernel.availability import Availability
from damon_agent.kernel.intent import Intent
from damon_contract.v1alpha1.node import PlannedPod

STEP_US: Final = 6_000_000
"""Between two steps: what a step did to a pod shows within that time."""
STEP_PERMILLE: Final = 50
"""Of a pod's memory, at most, in one step."""
LEAST_BYTES: Final = 256 << 10
"""A step that would be smaller is left out; and the first step of a pod."""
_TRIMMED_PAGES: Final = 1 << 12
"""With fewer file pages than these the kernel goes by swappiness (see `ANONYMOUS_FIRST`)."""
_SHARED_BY: Final = 2
"""So many processes map each page in the mean where lanes can't take most of them."""
FRESH_US: Final = 60_000_000
"""For so long the kernel's list of a pod that was asked tells hot pages from cold ones."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one pod is asked for."""

    uid: str
    size_bytes: int


def wanted(
    intent: Intent, pods: Collection[PlannedPod], available: Availability
) -> tuple[str, ...]:
    """Return the uids of the pods that are to give up memory now, the least important first.

    Each at its own mark, as a lane with this priority alone would be: eager pods always, others
    while less was available than their mark at one of the last two looks, protected ones never.
    """
    rungs = ladder.build(intent, {pod.priority for pod in pods})
    chosen = [
        pod
        for pod in pods
        if (role := rungs.role(pod.priority)) == "Eager"
        or (role == "Ladder" and available.wakes(rungs.mark(pod.priority)))
    ]
    return tuple(pod.uid for pod in sorted(chosen, key=lambda pod: pod.priority))


def in_turn(
    asked: Mapping[str, Collection[Step]],
    uids: Collection[str],
    last: tuple[str, str] | None,
) -> list[tuple[str, Step]]:
    """Return what is asked for in one round, by words, in its order.

    The less important a pod, the earlier it is asked, for whatever it is: `uids` are in that order.
    But a pod that takes all the time of a round must not keep others from ever being asked. So a
    turn that one round could not finish is gone on with by the next: that begins behind `last`, the
    uid and word that came last, and when it comes to the end it goes on at the beginning. Within a
    turn the order is that of importance, and between two turns of a pod there is one of every
    other. Where `last` is not to be asked any more, a new turn begins.
    """
    order = {uid: place for place, uid in enumerate(uids)}
    words = list(asked)
    turn = sorted(
        (
            (order[step.uid], place, step)
            for place, word in enumerate(words)
            for step in asked[word]
        ),
        key=itemgetter(0, 1),
    )
    begin = 0
    if last is not None and last[0] in order and last[1] in words:
        before = order[last[0]], words.index(last[1])
        begin = bisect_right(turn, before, key=itemgetter(0, 1))
    return [(words[place], step) for _, place, step in (*turn[begin:], *turn[:begin])]


def left_behind(
    uids: Collection[str],
    readings: Mapping[str, PodMemory | None],
    before: Mapping[str, int],
    *,
    spares_cache: bool,
    page_bytes: int,
) -> tuple[Step, ...]:
    """Return for how much of what lanes have swapped out, and a disk has left, each is asked.

    What a lane pages out to a disk is written beside it, and then lies in memory, clean and mapped
    by nobody, until the kernel looks at it again: asked for so much anonymous memory, it finds
    these pages first. `before`: uid -> what lay there at the look before. What is new since may
    still be on its way to the disk, and the kernel would take memory in use instead.

    `spares_cache`: only anonymous memory goes. Else a pod with so much page cache that this may go
    in its place is asked for no more at once than where both kinds are asked for.
    """
    asked = []
    for uid in uids:
        memory = readings.get(uid)
        if memory is None:
            continue
        size_bytes = min(memory.left_bytes, before.get(uid, 0))
        if not spares_cache and memory.file_bytes >= _TRIMMED_PAGES * page_bytes:
            all_bytes = memory.resident_bytes + memory.left_bytes
            size_bytes = min(size_bytes, all_bytes * STEP_PERMILLE // ladder.FULL)
        if size_bytes >= LEAST_BYTES:
            asked.append(Step(uid, size_bytes))
    return tuple(asked)


def shared(
    uids: Collection[str],
    readings: Mapping[str, PodMemory | None],
    mapped_bytes: Mapping[str, int],
    *,
    fresh: Collection[str],
) -> tuple[Step, ...]:
    """Return for how much anonymous memory each pod is asked whose processes share most of theirs.

    By virtual address the kernel pages out only what one process maps
    (madvise_cold_or_pageout_pte_range() in mm/madvise.c), so lanes can't take what a server shares
    with the workers that it has forked. `mapped_bytes`: anonymous memory that the processes of a
    pod have resident, each by itself, in the sum: at twice what their cgroup holds a page is mapped
    by two in the mean. `fresh`: as for `steps`.
    """
    asked = []
    for uid in uids:
        memory = readings.get(uid)
        if memory is None:
            continue
        held_bytes = memory.resident_bytes - memory.file_bytes
        size_bytes = held_bytes * STEP_PERMILLE // ladder.FULL
        if size_bytes >= LEAST_BYTES and mapped_bytes.get(uid, 0) >= _SHARED_BY * held_bytes:
            asked.append(Step(uid, size_bytes if uid in fresh else LEAST_BYTES))
    return tuple(asked)


def file_pages(memory: PodMemory | None) -> PodMemory | None:
    """Return a reading as the brake is to judge it: by file pages instead of anonymous ones.

    None, and so nobody to ask, where the kernel does not tell how many came back.
    """
    if memory is None or memory.file_refaults is None:
        return None
    return replace(
        memory,
        anonymous_bytes=memory.file_bytes,
        refaults=memory.file_refaults,
        swap_refusals=None,
    )


def steps(
    uids: Collection[str],
    readings: Mapping[str, PodMemory | None],
    brake: Brake,
    limits: Limits,
    *,
    fresh: Collection[str],
    all_memory: bool,
) -> tuple[Step, ...]:
    """Return what the pods `uids` are asked for, in their order; those that give nothing are out.

    `readings` and `brake` are of `file_pages`. `all_memory`: anonymous memory may go as well.

    `fresh`: pods that were asked within `FRESH_US`. Any other is asked for the least first. The
    multi-generational LRU of the kernel looks at the accessed bits of mapped pages when it is asked
    (inc_max_seq() in mm/vmscan.c), and the first time it finds all of them set since the pages were
    mapped, clears them, and takes what comes next in its list, be it hot. By the next step, those
    that are in use have been used again.

    Each time a pod was spared halves its steps. A step that the brake would tolerate, should all of
    it come back, is left out, because nobody would notice: so ends the asking of a pod that has
    only its hot part left, until the brake forgets a repetition.
    """
    asked = []
    for uid in uids:
        memory, held = readings.get(uid), brake.pods.get(uid, History(0))
        if memory is None or held.spared is not None:
            continue
        whole_bytes = memory.resident_bytes if all_memory else memory.file_bytes
        size_bytes = whole_bytes * STEP_PERMILLE // ladder.FULL >> held.repeats
        tolerated_bytes = tolerated_pages(memory, limits) * limits.page_bytes
        if size_bytes >= LEAST_BYTES and size_bytes > tolerated_bytes:
            asked.append(Step(uid, size_bytes if uid in fresh else LEAST_BYTES))
    return tuple(asked)
