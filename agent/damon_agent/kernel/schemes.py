"""What the schemes of a lane are: the tuning's words in DAMOS terms. Pure."""

from typing import Final

from damon_agent.kernel.availability import Availability
from damon_agent.kernel.intent import Intent
from damon_agent.kernel.ladder import Role
from damon_agent.kernel.tree.context import ANYTHING, Scheme, Watermarks, cold
from damon_agent.kernel.tree.features import Features

MONITOR: Final = 0
"""Index of the scheme that only counts, at every region: surveys read what it was tried on. It is
always active: without one, a kdamond whose schemes all sleep stops sampling, and on 6.12 a commit
then never returns."""

RECLAIM: Final = 1
"""Index of the scheme that acts."""

SLOWEST_SAMPLE_US: Final = 1_000_000
"""A kdamond answers a command between two samples, and from 6.16 on DAMON is locked until then."""

NEVER: Final = 0
"""A watermark that free memory is never below."""


def schemes(
    intent: Intent,
    role: Role,
    mark_permille: int | None,
    memory: Availability,
    *,
    min_age_us: int,
) -> tuple[Scheme, ...]:
    """Return the schemes of a lane; `min_age_us`: how long what it takes must have been idle.

    A protected lane has only the one that counts. A lane that sleeps, and every lane while the
    agent is about to end, has the action `stat`: nothing that happens in the kernel can reclaim
    from it. Observe: the acting scheme only counts what it would take.
    """
    monitor = Scheme("stat", ANYTHING, signed=True)
    if role == "Protected":
        return (monitor,)
    awake = mark_permille is None or memory.wakes(mark_permille)
    acts = awake and intent.mode == "Enforce" and not intent.halted
    watermarks = None
    if mark_permille is not None:
        kernel_mark = memory.kernel_mark(mark_permille, intent.memory) if awake else NEVER
        watermarks = Watermarks(intent.interval_us, kernel_mark)
    return (
        monitor,
        Scheme(
            action=intent.action if acts else "stat",
            pattern=cold(min_age_us, aggregation_us(intent, role), intent.memory.page_bytes),
            watermarks=watermarks,
            quota_bytes=intent.quota_bytes or 0,
            quota_window_ms=quota_window_ms(intent),
        ),
    )


def slowness(intent: Intent, role: Role) -> int:
    """Return by how much a lane's intervals are longer than the tuning says; 1: not at all.

    Nothing is reclaimed from a protected lane, and next to nothing from any lane of a node without
    swap. Their memory is looked at as slowly as serves the figures: cold is what three aggregations
    have not seen in use.
    """
    gives = role != "Protected" and (intent.memory.swap_total_bytes or intent.action != "pageout")
    if gives:
        return 1
    slowest = min(
        intent.min_age_us // (3 * intent.aggregation_us), SLOWEST_SAMPLE_US // intent.sample_us
    )
    return max(1, slowest)


def aggregation_us(intent: Intent, role: Role) -> int:
    """Return the aggregation interval of a lane."""
    return intent.aggregation_us * slowness(intent, role)


def cold_age(intent: Intent, role: Role) -> int:
    """Return the age, in aggregations, from which on a region without access is cold."""
    return -(-intent.min_age_us // aggregation_us(intent, role))


def quota_window_ms(intent: Intent) -> int:
    """Return the length of a quota window; 0 (one per application) when it is one aggregation.

    0 says the same, and a window of exactly one aggregation may close a tick late and be skipped.
    What becomes of a longer one where the kernel does not limit the first: context.quota_kept.
    """
    window_us = intent.quota_window_us
    if intent.quota_bytes is None or window_us is None or window_us <= intent.aggregation_us:
        return 0
    return -(-window_us // 1000)


def commit_spacing_us(intent: Intent, role: Role, features: Features) -> int:
    """Return the shortest time from one commit of a lane to the next (docs/adr/0006).

    Where each commit restarts the kdamond's clocks, an aggregation and a search for new mappings
    have to fit between two of them, or a lane whose processes come and go would see neither: those
    of the lane, which may be slower than the tuning says. Where it does not, the distance only
    keeps the work small.
    """
    if features.commit_keeps_clocks:
        return intent.aggregation_us // 2
    longest_us = max(intent.aggregation_us, intent.update_us) + 2 * intent.sample_us
    return longest_us * slowness(intent, role)


def most_snapshots(scheme: Scheme, counted: int, current: int, allowance: int) -> int:
    """Return after how many snapshots a scheme is to stop by itself: the dead man's switch.

    The kernel counts one per target and application over the life of the scheme (7.0 and later);
    `counted` is its last figure, `allowance` what comes together within `safety.maxPlanAge`, and
    `current` the limit that stands there. That is kept while at least half of the allowance is
    left, because a new one costs a commit. With a byte quota there is none: windows that are full
    are not counted, so it would be false safety (measured on 7.3.4).
    """
    if scheme.quota_bytes:
        return 0
    if counted + allowance // 2 <= current <= counted + allowance:
        return current
    return counted + allowance
