"""What the schemes of a lane are: the tuning's words in DAMOS terms. Pure."""

from dataclasses import dataclass
from typing import Final

from damon_agent.kernel.features import Features
from damon_agent.kernel.intent import Intent
from damon_agent.kernel.lanes import Band
from damon_agent.kernel.tree import ANYTHING, Scheme, Watermarks, cold

METER = 0
"""Index of the scheme that only looks, at every region: surveys read what it was tried on. It is
always active: without one, a kdamond whose schemes all sleep stops sampling, and on 6.12 a commit
then never returns."""

RECLAIM = 1
"""Index of the scheme that acts."""

LEAST_ARRIVAL_US: Final = 250_000
"""Between two commits of a lane, however short its samples are: each makes the kernel build and
compare a context, and us write and read files."""


def schemes(intent: Intent, band: Band, mark_permille: int) -> tuple[Scheme, ...]:
    """Return the schemes of a lane; `mark_permille` speaks of free memory.

    A protected lane has only the meter. Observe: the acting scheme only counts what it would take.
    """
    pattern = cold(intent.min_age_us, intent.aggregation_us)
    meter = Scheme("stat", ANYTHING)
    if band.role == "Protected":
        return (meter,)
    return (
        meter,
        Scheme(
            action="stat" if intent.mode == "Observe" else intent.action,
            pattern=pattern,
            watermarks=(
                None if band.role == "Eager" else Watermarks(intent.interval_us, mark_permille)
            ),
            quota_bytes=intent.quota_bytes or 0,
            quota_window_ms=quota_window_ms(intent),
        ),
    )


def cold_age(intent: Intent) -> int:
    """Return the age, in aggregations, from which on a region without access is cold."""
    return cold(intent.min_age_us, intent.aggregation_us).age[0]


def quota_window_ms(intent: Intent) -> int:
    """Return the length of a quota window; 0 (one per application) when it is one aggregation.

    0 says the same, and a window of exactly one aggregation may close a tick late and be skipped.
    What becomes of a longer one where the kernel does not limit the first: tree.quota_kept.
    """
    window_us = intent.quota_window_us
    if intent.quota_bytes is None or window_us is None or window_us <= intent.aggregation_us:
        return 0
    return -(-window_us // 1000)


@dataclass(frozen=True, slots=True)
class Spacing:
    """Shortest time from one commit of a lane to the next (docs/adr/0006)."""

    us: int
    arrival_us: int
    """The same, if the next one brings a process in."""


def commit_spacing(intent: Intent, features: Features) -> Spacing:
    """Return how far apart the commits of a lane must be; arrivals never wait longer than others.

    Where each commit restarts the clocks, a lane needs two update intervals to learn the mappings
    of those who came. Where it does not, an arrival waits for two samples: between two commits of
    one lane there is then room for a command of another.
    """
    if not features.commit_keeps_clocks:
        us = max(intent.aggregation_us, 2 * intent.update_us)
        return Spacing(us, us)
    arrival_us = max(2 * intent.sample_us, LEAST_ARRIVAL_US)
    return Spacing(intent.aggregation_us, min(intent.aggregation_us, arrival_us))
