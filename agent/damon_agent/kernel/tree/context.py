"""One kdamond's files as a mapping from relative path to value: what sysfs must read. Pure.

Paths are relative to admin/kdamonds/<K>; the order is the order of writing: a count before its
children, a target's region before its pid. Values are as sysfs reads them back. Optional files
whose default is what we want are rendered as well, so that comparing notices who changed them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from damon_agent.kernel.slots import TOMBSTONE_PID, Slots, needs_clearing
from damon_agent.kernel.tree.features import CONTEXT, Features
from damon_agent.kernel.tree.signature import SIGNATURE

DUMMY_REGION: Final = (4096, 8192)
"""Below vm.mmap_min_addr, so it overlaps no region a process ever had: all of those are dropped."""

ULONG_MAX: Final = 2**64 - 1
UINT_MAX: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Pattern:
    """Access pattern of a scheme; an age counts aggregation intervals without change."""

    size_bytes: tuple[int, int]
    nr_accesses: tuple[int, int]
    age: tuple[int, int]


ANYTHING: Final = Pattern((0, ULONG_MAX), (0, UINT_MAX), (0, UINT_MAX))
"""Matches every region."""

NOTHING: Final = Pattern((0, 0), (0, 0), (0, 0))
"""Matches no region: the kernel's default."""


@dataclass(frozen=True, slots=True)
class Watermarks:
    """When a scheme works: while free memory is below the mark (high = mid = mark, low = 0)."""

    interval_us: int
    mark_permille: int


@dataclass(frozen=True, slots=True)
class Scheme:
    """One DAMOS scheme."""

    action: str
    pattern: Pattern
    watermarks: Watermarks | None = None
    """None: metric none, always active."""
    signed: bool = False
    """Whether it carries SIGNATURE; only where the metric is none."""
    quota_bytes: int = 0
    """0: no quota."""
    quota_window_ms: int = 0
    """0: a window per application, that is per aggregation."""
    only_target: int | None = None
    """Index of the one target it may touch; None: all of them."""
    most_snapshots: int = 0
    """After so many it does nothing more, where the kernel has max_nr_snapshots; 0: no limit."""


@dataclass(frozen=True, slots=True)
class Target:
    """One monitored process."""

    pid: int
    cleared: bool
    """Whether the dummy region replaces whatever regions the kernel has at this index."""
    priority: int = 0
    """The kernel RFC's target_priority, where that file exists; 0: leave its tuner alone."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything one kdamond is told."""

    sample_us: int
    aggregation_us: int
    update_us: int
    targets: tuple[Target, ...]
    schemes: tuple[Scheme, ...]
    page_bytes: int


def cold(min_age_us: int, aggregation_us: int, page_bytes: int) -> Pattern:
    """Return the pattern of memory without access for at least `min_age_us`, rounded up."""
    return Pattern((page_bytes, ULONG_MAX), (0, 0), (-(-min_age_us // aggregation_us), UINT_MAX))


def targets(slots: Slots) -> tuple[Target, ...]:
    """Return the targets for a list of slots, tombstones and dummy regions included."""
    return tuple(
        Target(
            pid=TOMBSTONE_PID if slot.process is None else slot.process.pid,
            cleared=needs_clearing(slot),
        )
        for slot in slots.slots
    )


def regions_limits(target_count: int) -> tuple[int, int]:
    """Return min and max of nr_regions: at least 100 per context and 10 per target.

    They are limits per context; with less, small processes are seen as three blobs. Beyond ten
    targets the minimum grows by doubling: a commit that changes it restarts the aggregation and
    the search for new mappings, so it must not change with every process. The kernel stops
    splitting at half the maximum.
    """
    minimum = 100
    if target_count > 10:
        minimum = 10 * (1 << (target_count - 1).bit_length())
    return minimum, max(1000, 4 * minimum)


def render(context: Context, features: Features) -> dict[str, str]:
    """Return all files of a kdamond but `state`, in the order in which to write them."""
    return {
        f"{path}": str(value)
        for part in (
            [("contexts/nr_contexts", 1)],
            _attributes(context, features),
            _targets(context, features),
            _schemes(context, features),
        )
        for path, value in part
    }


def _attributes(context: Context, features: Features) -> Iterator[tuple[str, int | str]]:
    if "refresh_ms" in features:
        yield "refresh_ms", 0
    yield f"{CONTEXT}/operations", "vaddr"
    if "addr_unit" in features:
        yield f"{CONTEXT}/addr_unit", 1
    if "pause" in features:
        yield f"{CONTEXT}/pause", "N"
    intervals = f"{CONTEXT}/monitoring_attrs/intervals"
    yield f"{intervals}/sample_us", context.sample_us
    yield f"{intervals}/aggr_us", context.aggregation_us
    yield f"{intervals}/update_us", context.update_us
    if "intervals_goal" in features:
        yield f"{intervals}/intervals_goal/access_bp", 0
        yield f"{intervals}/intervals_goal/aggrs", 0
    minimum, maximum = regions_limits(len(context.targets))
    yield f"{CONTEXT}/monitoring_attrs/nr_regions/min", minimum
    yield f"{CONTEXT}/monitoring_attrs/nr_regions/max", maximum


def _targets(context: Context, features: Features) -> Iterator[tuple[str, int | str]]:
    yield f"{CONTEXT}/targets/nr_targets", len(context.targets)
    for index, target in enumerate(context.targets):
        path = f"{CONTEXT}/targets/{index}"
        # The region first: whatever instant a crash picks, a new pid never stands over old regions.
        yield f"{path}/regions/nr_regions", int(target.cleared)
        if target.cleared:
            start, end = DUMMY_REGION
            yield f"{path}/regions/0/start", start
            yield f"{path}/regions/0/end", end
        yield f"{path}/pid_target", target.pid
        if "obsolete_target" in features:
            yield f"{path}/obsolete_target", "N"
        if "target_priority" in features:
            yield f"{path}/target_priority", target.priority


def _schemes(context: Context, features: Features) -> Iterator[tuple[str, int | str]]:
    yield f"{CONTEXT}/schemes/nr_schemes", len(context.schemes)
    for index, scheme in enumerate(context.schemes):
        path = f"{CONTEXT}/schemes/{index}"
        yield f"{path}/action", scheme.action
        if "apply_interval_us" in features:
            yield f"{path}/apply_interval_us", 0
        yield from _pattern(f"{path}/access_pattern", scheme.pattern)
        yield from _quotas(f"{path}/quotas", quota_kept(scheme, context, features), features)
        yield from _watermarks(f"{path}/watermarks", scheme)
        yield from _filters(path, scheme, features)
        if "max_nr_snapshots" in features:
            yield f"{path}/stats/max_nr_snapshots", scheme.most_snapshots


def _pattern(path: str, pattern: Pattern) -> Iterator[tuple[str, int]]:
    for name, (least, most) in (
        ("sz", pattern.size_bytes),
        ("nr_accesses", pattern.nr_accesses),
        ("age", pattern.age),
    ):
        yield f"{path}/{name}/min", least
        yield f"{path}/{name}/max", most


def quota_kept(scheme: Scheme, context: Context, features: Features) -> tuple[int, int]:
    """Return bytes and window (ms) of a quota that this kernel keeps from its first window on.

    Where the first window has no limit, each application is a window of its own and has its share
    of the bytes, in whole pages and at least one: less than a page is never applied. Schemes are
    applied every whole number of samples that fits into an aggregation.
    """
    window_us = scheme.quota_window_ms * 1000
    if features.limits_first_window or window_us <= context.aggregation_us:
        return scheme.quota_bytes, scheme.quota_window_ms
    applied_us = context.aggregation_us // context.sample_us * context.sample_us
    pages = scheme.quota_bytes // -(-window_us // applied_us) // context.page_bytes
    return max(1, pages) * context.page_bytes, 0


def _quotas(path: str, quota: tuple[int, int], features: Features) -> Iterator[tuple[str, int]]:
    size_bytes, window_ms = quota
    yield f"{path}/ms", 0
    yield f"{path}/bytes", size_bytes
    yield f"{path}/reset_interval_ms", window_ms
    # Weights would spend a byte quota on reserved address space first: it is always the oldest.
    yield f"{path}/weights/sz_permil", 0
    yield f"{path}/weights/nr_accesses_permil", 0
    yield f"{path}/weights/age_permil", 0
    if "goals" in features:
        yield f"{path}/goals/nr_goals", 0


def _watermarks(path: str, scheme: Scheme) -> Iterator[tuple[str, int | str]]:
    watermarks = scheme.watermarks
    high, mid, low = SIGNATURE if scheme.signed else (0, 0, 0)
    if watermarks is not None:
        # No band between mid and high: since 6.2 every commit wakes a scheme that sleeps in it.
        high = mid = watermarks.mark_permille
    yield f"{path}/metric", "none" if watermarks is None else "free_mem_rate"
    yield f"{path}/interval_us", 0 if watermarks is None else watermarks.interval_us
    yield f"{path}/high", high
    yield f"{path}/mid", mid
    yield f"{path}/low", low


def _filters(path: str, scheme: Scheme, features: Features) -> Iterator[tuple[str, int | str]]:
    used = "core_filters" if "core_filters" in features else "filters"
    for name in ("core_filters", "ops_filters", "filters"):
        if name not in features:
            continue
        if name != used or scheme.only_target is None:
            yield f"{path}/{name}/nr_filters", 0
            continue
        yield f"{path}/{name}/nr_filters", 1
        yield f"{path}/{name}/0/type", "target"
        yield f"{path}/{name}/0/matching", "Y"
        if "core_filters" in features:
            yield f"{path}/{name}/0/allow", "Y"
        yield f"{path}/{name}/0/damon_target_idx", scheme.only_target
