"""Processes that have grown: their regions are to begin anew.

DAMON keeps one age for a region, not one for each page. A region that is widened over memory that
its process has just taken keeps its age (damon_set_regions() in mm/damon/core.c), and so does one
whose untouched part comes into use, until a sample happens to meet an access. So memory of two
seconds is paged out as what has been idle since before it was there (docs/adr/0028). The kernel
has no remedy, and the agent can see the growth.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from damon_agent import intents
from damon_agent.errors import AgentError
from damon_agent.facts import Process
from damon_agent.kernel.intent import Member
from damon_contract.quantities import microseconds
from damon_contract.v1alpha1.node import DamonNodeSpec
from damon_contract.v1alpha1.tuning import MIN_AGE

LEAST_BYTES: Final = 16 << 20
"""Growth that is no more than this is left alone: little can come back of it."""
_SHARE: Final = 4
"""And so is growth of less than this part of what a process has: to begin anew keeps all of it from
being taken for a while."""

_LEAST_APART_US: Final = 1_000_000
"""Between two looks, however short an aggregation is: each is a pass of the agent's loop while a
lane is awake."""


class Reading(NamedTuple):
    """A process at one moment."""

    resident_bytes: int | None
    """None: nothing says how large it is now."""
    min_age_us: int
    """How long memory must be idle before it goes, by its priority."""


@dataclass(frozen=True, slots=True)
class Size:
    """What is remembered of one process."""

    least_bytes: int
    """The least that it had resident since `since_us`."""
    before_bytes: int
    """The least in the half of `min_age_us` before that."""
    since_us: int
    quiet_until_us: int
    """Until then no growth counts: no region of it can be old enough to be taken before, or its
    cold memory has yet to get its turn."""
    grown_us: int | None = None
    """When it was last seen to have grown."""


@dataclass(frozen=True, slots=True)
class Growth:
    """All processes that may be reclaimed."""

    sizes: Mapping[Process, Size] = field(default_factory=dict)

    @property
    def grown_us(self) -> Mapping[Process, int]:
        """When those were seen to have grown that have."""
        return {
            process: size.grown_us
            for process, size in self.sizes.items()
            if size.grown_us is not None
        }


def look(growth: Growth, readings: Mapping[Process, Reading], now_us: int) -> Growth:
    """Return what is known after a look.

    Growth is what came within half of `min_age_us`, or within all of it where the halves fall so.
    A process begins anew no more often than every second such time, so that what is cold of one
    that grows again and again goes in between. Processes without an entry are forgotten.
    """
    # Whoever is there at the first look may have been there for long.
    are_new = bool(growth.sizes)
    sizes = {}
    for process, reading in readings.items():
        held = growth.sizes.get(process)
        if reading.resident_bytes is None:
            after = held
        elif held is None:
            quiet_us = reading.min_age_us if are_new else 0
            after = _anew(reading.resident_bytes, now_us, quiet_us)
        else:
            after = _after(held, reading.resident_bytes, now_us, reading.min_age_us)
        if after is not None:
            sizes[process] = after
    return Growth(sizes)


def _anew(resident_bytes: int, now_us: int, quiet_us: int, grown_us: int | None = None) -> Size:
    return Size(resident_bytes, resident_bytes, now_us, now_us + quiet_us, grown_us)


def _after(held: Size, resident_bytes: int, now_us: int, min_age_us: int) -> Size:
    grown_bytes = resident_bytes - min(held.least_bytes, held.before_bytes)
    if now_us < held.quiet_until_us:
        return _anew(resident_bytes, now_us, held.quiet_until_us - now_us, held.grown_us)
    if grown_bytes > max(LEAST_BYTES, resident_bytes // _SHARE):
        return _anew(resident_bytes, now_us, 2 * min_age_us, grown_us=now_us)
    least_bytes = min(held.least_bytes, resident_bytes)
    if now_us - held.since_us < min_age_us // 2:
        return replace(held, least_bytes=least_bytes)
    # A window that began anew as a whole would lose what came before and behind that moment.
    return replace(held, least_bytes=resident_bytes, before_bytes=least_bytes, since_us=now_us)


class Growing:
    """Reads how large processes are; `look` is called at every tick."""

    def __init__(self, resident_bytes: Callable[[int], int | None]) -> None:
        """`resident_bytes` returns what the process with a pid has in memory, None: it has gone."""
        self._resident_bytes = resident_bytes
        self._growth = Growth()
        self.next_us = 0
        """When to look again at the latest, in mode Enforce."""
        self._available_bytes = 0
        """What the node had available at the last look."""

    @property
    def grown_us(self) -> Mapping[Process, int]:
        """When those were seen to have grown that have: no region of theirs may be older."""
        return self._growth.grown_us

    def look(
        self,
        spec: DamonNodeSpec,
        members: Iterable[Member],
        now_us: int,
        *,
        available_bytes: int,
        min_ages_us: Mapping[int, int],
    ) -> int:
        """Look at all processes that may be reclaimed, unless the last look is too short ago.

        That is a sample less than an aggregation, and a second at least. When the node has less
        available than at the last look somebody may have grown just now, and a lane may wake by
        that in this very tick: then the next look is due at once.
        Return how many of them were seen to have grown.
        `min_ages_us`: by priority, where the agent has chosen how long memory must be idle.
        """
        if spec.mode != "Enforce":
            self.forget()
            return 0
        # Half of it may have been freed by somebody else meanwhile.
        is_less = available_bytes < self._available_bytes - LEAST_BYTES // 2
        if now_us < self.next_us and not is_less:
            return 0
        self._available_bytes = available_bytes
        monitoring = spec.settings.monitoring
        aggregation_us = microseconds(monitoring.aggregation_interval)
        # A lane that this tick wakes pages out one aggregation later at the earliest, which the
        # kernel counts in whole samples, rounded down (damon_set_attrs() in mm/damon/core.c).
        apart_us = aggregation_us - microseconds(monitoring.sample_interval)
        self.next_us = now_us + max(apart_us, _LEAST_APART_US)
        unprotected = intents.unprotected(spec)
        min_age_us = microseconds(spec.settings.reclaim.min_age or MIN_AGE)
        readings = {
            member.process: Reading(
                self._read(member.process), min_ages_us.get(member.priority, min_age_us)
            )
            for member in members
            if member.pod_uid in unprotected
        }
        self._growth = look(self._growth, readings, now_us)
        return sum(at_us == now_us for at_us in self.grown_us.values())

    def forget(self) -> None:
        """Forget everybody: nothing is reclaimed."""
        self._growth = Growth()

    def _read(self, process: Process) -> int | None:
        try:
            return self._resident_bytes(process.pid)
        except AgentError:
            # The look for processes says so of whom it can't read.
            return None
