"""What the schemes of a lane are: the tuning's words in DAMOS terms. Pure."""

from damon_agent.kernel.intent import Intent
from damon_agent.kernel.lanes import Band
from damon_agent.kernel.tree import Scheme, Watermarks, cold

METER = 0
"""Index of the scheme that only counts cold memory. It is always active: without one, a kdamond
whose schemes all sleep stops sampling, and on 6.12 a commit then never returns."""

RECLAIM = 1
"""Index of the scheme that acts."""


def schemes(intent: Intent, band: Band, mark_permille: int) -> tuple[Scheme, ...]:
    """Return the schemes of a lane; `mark_permille` speaks of free memory.

    A protected lane has only the meter. Observe: the acting scheme only counts what it would take.
    """
    pattern = cold(intent.min_age_us, intent.aggregation_us)
    meter = Scheme("stat", pattern)
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


def quota_window_ms(intent: Intent) -> int:
    """Return the length of a quota window; 0 (one per application) when it is one aggregation.

    0 says the same, but 6.12 to 6.17 leave the first window of any other length unlimited, and a
    window of exactly one aggregation may close a tick late and be skipped.
    """
    window_us = intent.quota_window_us
    if intent.quota_bytes is None or window_us is None or window_us <= intent.aggregation_us:
        return 0
    return -(-window_us // 1000)


def commit_spacing_us(intent: Intent, *, sync_commit: bool) -> int:
    """Return the shortest time between two commits of a lane (docs/adr/0006)."""
    if sync_commit:
        return intent.aggregation_us
    return max(intent.aggregation_us, 2 * intent.update_us)
