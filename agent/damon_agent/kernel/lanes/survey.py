"""Where each process of a lane is in use: read from the regions that a scheme was tried on.

The kernel shows those regions without saying whose they are, in the order of the targets and of the
addresses in each. So a target begins where addresses fall back; that is believed only if every slot
of the lane finds exactly one such run. What is in use is asked for, not what is cold: a cold region
is mostly address space with nothing in it, a hot one is not (docs/adr/0012).
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple

from damon_agent.facts import Process
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree.context import DUMMY_REGION

MOST_REGIONS: Final = 10_000
"""A lane with more is not read: each region is a directory, each number of it a file."""


class Stretch(NamedTuple):
    """A region, as far as it matters."""

    start: int
    """First address."""
    hot_bytes: int
    """Its size, if it was accessed or has not been idle long enough; else 0.

    A scheme that acts sets the age of what it has tried back to 0: such a region counts as in use
    for a while, so that what is taken for cold is never too much.
    """
    is_dummy: bool
    """Whether it is the one region of a tombstone."""


def stretches(
    read: Callable[[int, str], int], numbers: Iterable[int], cold_age: int
) -> tuple[Stretch, ...]:
    """Return the regions of these numbers; `read` returns what a file of one of them says.

    `cold_age`: number of aggregations without access after which a region is cold.
    """
    return tuple(_stretch(partial(read, number), cold_age) for number in numbers)


def _stretch(read: Callable[[str], int], cold_age: int) -> Stretch:
    start = read("start")
    if start == DUMMY_REGION[0] and read("end") == DUMMY_REGION[1]:
        return Stretch(start, 0, is_dummy=True)
    hot = read("nr_accesses") > 0 or read("age") < cold_age
    return Stretch(start, read("end") - start if hot else 0, is_dummy=False)


def attribute(found: Iterable[Stretch], slots: Slots) -> dict[Process, int] | None:
    """Return the bytes in use by process; None unless every slot has its run of regions.

    A process that still has the dummy region, because it is new, is left out.
    """
    runs: list[list[Stretch]] = []
    for stretch in found:
        before = runs[-1][-1] if runs else None
        if before is None or before.is_dummy or stretch.is_dummy or stretch.start <= before.start:
            runs.append([])
        runs[-1].append(stretch)
    if len(runs) != len(slots.slots):
        return None
    hot: dict[Process, int] = {}
    for slot, run in zip(slots.slots, runs, strict=True):
        if run[0].is_dummy:
            continue
        if slot.process is None:
            return None
        hot[slot.process] = sum(stretch.hot_bytes for stretch in run)
    return hot
