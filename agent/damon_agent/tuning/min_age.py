"""How long memory must be idle before it is taken: a closed loop on the promotion rate. Pure.

A pod that sleeps longer than its memory must be idle loses that memory, and has to fault it back in
when it wakes. So the age is raised while more comes back to the pods of a priority than that
priority should bear, and lowered step by step once that is made up for (docs/adr/0025).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from damon_agent.brake.brake import FEWEST_PAGES
from damon_contract.quantities import microseconds
from damon_contract.v1alpha1.tuning import MIN_AGE

LOWEST_US: Final = microseconds(MIN_AGE)
HIGHEST_US: Final = 3_600_000_000

SETTLED_US: Final = 300_000_000
"""The age is lowered no sooner after a change, nor sooner than twice the age itself: what is taken
under an age shows only when whoever sleeps for longer has woken."""

LONGEST_DEBT_US: Final = 12 * 3_600_000_000
"""What came back is made up for in this time at the latest."""

_MINUTE_US: Final = 60_000_000
_ALL_PPM: Final = 1_000_000

_DEFAULT_PRIORITY: Final = 50
_DEFAULT_PPM: Final = 2_000
"""Of the pages, per minute, at the default priority: what Google tolerates (docs/adr/0025)."""
_DOUBLES_EACH: Final = 20
"""Priorities."""
_LEAST_PPM: Final = 500
_MOST_PPM: Final = 8_000
"""Below the brake's limit for a single pod (`brake.refaultsPermille`), 1 % by default."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back to the pods of one priority between two looks."""

    pages: int
    """Anonymous pages that were out in swap and were needed."""
    of_pages: int
    """Anonymous pages of these pods, resident or out in swap."""


@dataclass(frozen=True, slots=True)
class Age:
    """What is known of one priority."""

    since_us: int
    """When the age last changed, or something was last left to make up for."""
    min_age_us: int = LOWEST_US
    debt_ppm: int = 0
    """What came back beyond the tolerated rate and is not made up for yet, in millionths of the
    pages. It shrinks at the tolerated rate, so that in the mean no more than that comes back."""


def tolerated_ppm(priority: int) -> int:
    """Return which share of its pages may come back to a priority per minute, in millionths.

    0.2 % at the default priority, doubled for each 20 below it, halved for each 20 above it, 0.05 %
    to 0.8 %.
    """
    steps = (_DEFAULT_PRIORITY - priority) / _DOUBLES_EACH
    return max(_LEAST_PPM, min(_MOST_PPM, round(_DEFAULT_PPM * 2**steps)))


def look(
    ages: Mapping[int, Age], returned: Mapping[int, Returned], *, now_us: int, elapsed_us: int
) -> dict[int, Age]:
    """Return the ages by priority after a look; `elapsed_us`: the time since the last one.

    To a priority without an entry nothing came back: it goes on from what is known of it. More that
    comes back never gives a lower age.
    """
    nothing = Returned(0, 0)
    return {
        priority: _judged(
            ages.get(priority, Age(now_us)),
            returned.get(priority, nothing),
            tolerated_ppm(priority),
            now_us=now_us,
            elapsed_us=elapsed_us,
        )
        for priority in sorted(ages.keys() | returned.keys())
    }


def _judged(age: Age, back: Returned, tolerated: int, *, now_us: int, elapsed_us: int) -> Age:
    counts = back.pages > FEWEST_PAGES
    share_ppm = back.pages * _ALL_PPM // max(1, back.of_pages) if counts else 0
    allowed_ppm = tolerated * elapsed_us // _MINUTE_US
    debt_ppm = age.debt_ppm + share_ppm - allowed_ppm
    debt_ppm = max(0, min(tolerated * LONGEST_DEBT_US // _MINUTE_US, debt_ppm))
    # A burst within what a minute may bring is none; what is still owed leaves no such room.
    if share_ppm > allowed_ppm and debt_ppm > tolerated:
        return Age(now_us, min(HIGHEST_US, 2 * age.min_age_us), debt_ppm)
    if debt_ppm:
        return Age(now_us, age.min_age_us, debt_ppm)
    if now_us - age.since_us < max(SETTLED_US, 2 * age.min_age_us):
        return Age(age.since_us, age.min_age_us)
    return Age(now_us, max(LOWEST_US, age.min_age_us * 9 // 10))
