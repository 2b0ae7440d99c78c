"""Which pods are spared: those that reclaim hurts. Pure.

DAMON pages out what looks cold, and does not see what comes back (docs/adr/0011). What hurts a pod
shows in its own cgroup: its processes wait for memory, or anonymous pages that were taken return.
And a pod whose swap is used up is troubled for nothing: what is to be taken cannot go. A pod over a
limit is spared; it is forgiven once the time is over and it is well below both limits.
Each repetition doubles the time, and is forgotten after the longest one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from damon_agent.facts import PodMemory

Cause = Literal["Pressure", "Refaults", "SwapRefused"]

LOOK_US: Final = 10_000_000
"""How often pods are looked at: memory.pressure speaks of the last ten seconds."""

_MINUTE_US: Final = 60_000_000
FEWEST_PAGES: Final = 16
"""So many pages a minute never count, however small the pod: they hurt nobody."""
_MOST_REPEATS: Final = 32
_ALWAYS: Final = 1000
"""All of the time, in per mille: no pod waits for more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too much, and for how long a pod is then spared; as in the tuning's `brake`."""

    pressure_permille: int
    """Of time."""
    refaults_permille: int
    """Of anonymous pages, resident or swapped, per minute."""
    spare_us: int
    spare_at_most_us: int
    page_bytes: int
    """Size of a page on this node."""

    def halved(self) -> "Limits":
        """Return what a spared pod must not be above to be forgiven."""
        never = self.pressure_permille == _ALWAYS
        return replace(
            self,
            pressure_permille=_ALWAYS if never else self.pressure_permille // 2,
            refaults_permille=self.refaults_permille // 2,
        )


@dataclass(frozen=True, slots=True)
class Spared:
    """A pod that is not to be reclaimed now."""

    until_us: int
    """When it may be forgiven."""
    cause: Cause


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of one pod."""

    since_us: int
    """When it was last forgiven, or a repetition last forgotten."""
    refaults: int | None = None
    """The counter as it read at the last look."""
    came: tuple[tuple[int, int], ...] = ()
    """Pages that have come back within the last minute: when that was seen, and how many."""
    refusals: int | None = None
    """The counter of refusals as it read at the last look."""
    refused: bool = False
    """Whether swap refused pages between the last two looks."""
    repeats: int = 0
    """How often it has been spared, less what is forgotten."""
    spared: Spared | None = None


@dataclass(frozen=True, slots=True)
class Brake:
    """All pods that may be reclaimed, by uid."""

    pods: Mapping[str, History] = field(default_factory=dict)

    @property
    def spared(self) -> Mapping[str, Spared]:
        """The pods to keep out of every lane that reclaims."""
        return {uid: held.spared for uid, held in self.pods.items() if held.spared is not None}


def look(
    brake: Brake, readings: Mapping[str, PodMemory | None], now_us: int, limits: Limits
) -> Brake:
    """Return the brake after a look; None: the pod can't be seen, so nothing is held against it.

    Pods without an entry are forgotten. More pressure or more refaults never spare fewer pods, nor
    for a shorter time.
    """
    return Brake(
        {
            uid: _judged(
                brake.pods.get(uid, History(now_us)), reading, now_us=now_us, limits=limits
            )
            for uid, reading in readings.items()
        }
    )


def _judged(held: History, reading: PodMemory | None, *, now_us: int, limits: Limits) -> History:
    seen = _counted(held, reading, now_us)
    if seen.spared is None:
        seen = _forgetting(seen, now_us, limits)
        cause = _cause(seen, reading, limits)
        if cause is None:
            return seen
        spare_us = min(limits.spare_us << seen.repeats, limits.spare_at_most_us)
        repeats = min(seen.repeats + 1, _MOST_REPEATS)
        return replace(seen, spared=Spared(now_us + spare_us, cause), repeats=repeats)
    if now_us < seen.spared.until_us:
        return seen
    cause = _cause(seen, reading, limits.halved())
    if cause is None:
        return replace(seen, spared=None, since_us=now_us)
    # Not by our doing: we have kept off. It is no repetition, but no time to begin again either.
    return replace(seen, spared=Spared(now_us + limits.spare_us, cause))


def _counted(held: History, reading: PodMemory | None, now_us: int) -> History:
    """Return the history with what has come back since the last look."""
    came = tuple(each for each in held.came if each[0] > now_us - _MINUTE_US)
    counter = None if reading is None else reading.refaults
    # A container that ended takes its count along: then it is lower than before.
    if counter is not None and held.refaults is not None and counter > held.refaults:
        came = (*came, (now_us, counter - held.refaults))
    refusals = None if reading is None else reading.swap_refusals
    refused = refusals is not None and held.refusals is not None and refusals > held.refusals
    return replace(held, refaults=counter, came=came, refusals=refusals, refused=refused)


def _forgetting(held: History, now_us: int, limits: Limits) -> History:
    """Return the history with one repetition less for each longest time without any."""
    forgotten = (now_us - held.since_us) // limits.spare_at_most_us
    if not forgotten:
        return held
    return replace(
        held,
        repeats=max(0, held.repeats - forgotten),
        since_us=held.since_us + forgotten * limits.spare_at_most_us,
    )


def tolerated_pages(reading: PodMemory, limits: Limits) -> int:
    """Return how many pages may come back within a minute."""
    pages = reading.anonymous_bytes // limits.page_bytes
    return max(FEWEST_PAGES, pages * limits.refaults_permille // 1000)


def _cause(held: History, reading: PodMemory | None, limits: Limits) -> Cause | None:
    """Return what is over its limit; the surer signs first."""
    if reading is None:
        return None
    back = sum(pages for _, pages in held.came)
    if reading.refaults is not None and back > tolerated_pages(reading, limits):
        return "Refaults"
    if held.refused:
        return "SwapRefused"
    pressure_bp = reading.pressure_bp
    if pressure_bp is not None and pressure_bp > 10 * limits.pressure_permille:
        return "Pressure"
    return None
