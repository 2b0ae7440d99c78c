"""Where each process of a lane is in use: read from the regions that a scheme was tried on.

The kernel shows those regions without saying whose they are, in the order of the targets and of the
addresses in each. So a target begins where addresses fall back; that is believed only if every slot
of the lane finds exactly one such run. What is in use is asked for, not what is cold: a cold region
is mostly address space with nothing in it, a hot one is not (docs/adr/0012).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from damon_agent.facts import Process
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree import DUMMY_REGION

MOST_REGIONS: Final = 10_000
"""A lane with more is not read: each region is a directory, each number of it a file."""

LANE_US: Final = 60_000_000
"""Shortest time between two surveys of a lane."""

APART_US: Final = 30_000_000
"""Shortest time between two surveys of any lanes, and between a change and a survey: from 6.16 on
the kernel holds DAMON's lock until the schemes have been applied, so up to one aggregation."""

LONGEST_US: Final = 300_000_000
"""How long changes may put surveys off."""

REGION_US: Final = 40_000
"""Pause for each region that was read: three files, some 35 us of CPU."""


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


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look at a lane has found."""

    taken_us: int
    hot_bytes: Mapping[Process, int] | None
    """Address space in use, by process; None: it can't be told whose the regions are."""


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


class Pace:
    """When lanes may be surveyed: seldom, one after the other, in quiet moments."""

    def __init__(self) -> None:
        self._next_us = 0
        self._last_us = 0
        self._due_us: dict[int, int] = {}
        self._pauses_us: dict[int, int] = {}

    def enter(self, kdamond: int, now_us: int) -> None:
        """Note that a lane waits for its turns, if that is not known; the first one as a change."""
        if not self._pauses_us:
            self.disturbed(now_us)
        self._pauses_us.setdefault(kdamond, APART_US)

    def due_us(self, kdamond: int) -> int:
        """Return the earliest moment for the next survey of a lane."""
        return max(self._next_us, self._due_us.get(kdamond, 0))

    def disturbed(self, now_us: int) -> None:
        """Note that something changes: more is likely to follow, and is not to wait for a look."""
        quiet_us = min(now_us + APART_US, max(now_us, self._last_us + LONGEST_US))
        self._next_us = max(self._next_us, quiet_us)

    def began(self, kdamond: int, now_us: int) -> None:
        """Note that a survey begins."""
        self._last_us = now_us
        self._hold(kdamond, now_us)

    def read(self, kdamond: int, regions: int, now_us: int) -> None:
        """Note how much it was to read; that is made up for by a pause."""
        self._pauses_us[kdamond] = max(APART_US, regions * REGION_US)
        self._hold(kdamond, now_us)

    def forget(self, kdamond: int) -> None:
        """Note that a lane has ended."""
        self._due_us.pop(kdamond, None)
        self._pauses_us.pop(kdamond, None)

    def _hold(self, kdamond: int, now_us: int) -> None:
        self.enter(kdamond, now_us)
        self._next_us = max(self._next_us, now_us + self._pauses_us[kdamond])
        # Not before every other lane has had its turn.
        self._due_us[kdamond] = now_us + max(LANE_US, sum(self._pauses_us.values()))
