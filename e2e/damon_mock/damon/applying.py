"""Applying schemes to regions (mm/damon/core.c: kdamond_apply_schemes and what it calls)."""

from collections.abc import Iterator
from dataclasses import dataclass

from .context import Context
from .kernel import Kernel
from .memory import PAGE, Range, layout
from .processes import Identity
from .scheme import Scheme
from .target import Region, Target


@dataclass(frozen=True)
class _Spot:
    """Where a scheme is being applied: a region of the target at an index."""

    kdamond: int
    index: int
    target: Target
    region: Region


def apply_schemes(kernel: Kernel, kdamond: int, context: Context) -> Iterator[int]:
    """Apply every scheme whose time has come; inactive ones only have their time moved on.

    Yields how long each part of the work takes, in microseconds, if it takes any time.
    """
    due = [s for s in context.schemes if context.passed_samples >= s.next_apply]
    active = [s for s in due if s.activated]
    for scheme in active:
        scheme.tried = []
        if scheme.quota.begin(
            kernel.now_us, first_window_unlimited=kernel.profile.first_window_unlimited
        ):
            scheme.stats.qt_exceeds += 1
    if active:
        for index, target in enumerate(context.targets):
            if target.process is not None and kernel.processes.exists(target.process):
                yield from _apply_to(kernel, kdamond, index, target, active)
    for scheme in due:
        scheme.next_apply = context.passed_samples + context.apply_samples(scheme)


def _apply_to(
    kernel: Kernel, kdamond: int, index: int, target: Target, active: list[Scheme]
) -> Iterator[int]:
    """Apply schemes to one target. Only who gets to its last region has a snapshot more.

    So a quota that fills before keeps `max_nr_snapshots` from being reached.
    """
    position = 0
    while position < len(target.regions):  # regions are split, and so added, on the way
        region = target.regions[position]
        for scheme in active:
            if scheme.quota.full or _already_charged(scheme, index, region, target):
                continue
            if scheme.exhausted:
                continue
            us = _apply_one(kernel, _Spot(kdamond, index, target, region), scheme)
            if us:
                yield us
            if region is target.regions[-1]:
                scheme.stats.nr_snapshots += 1
        position += 1


def _already_charged(scheme: Scheme, index: int, region: Region, target: Target) -> bool:
    """Skip to where the quota ended last time (damos_skip_charged_region)."""
    if scheme.resume_after is None:
        return False
    resume_index, address = scheme.resume_after
    if index < resume_index:
        return True
    if index == resume_index and region is not target.regions[-1]:
        if region.end <= address:
            return True
        if region.start < address:
            target.split(region, address - region.start)
            return True
    scheme.resume_after = None
    return index == resume_index and region is target.regions[-1]


def _apply_one(kernel: Kernel, spot: _Spot, scheme: Scheme) -> int:
    """Apply a scheme to a region if it is for it; return how long that takes."""
    region, quota = spot.region, scheme.quota
    if not scheme.wanted.pattern.matches(region):
        return 0
    if region.size_bytes > quota.room_bytes:
        room = quota.room_bytes // PAGE * PAGE
        if not room:
            return 0
        spot.target.split(region, room)
    filters_can_allow = kernel.profile.filter_rule == "allow"
    if scheme.rejects(spot.index, region, filters_can_allow=filters_can_allow):
        return 0
    applied_bytes, moved_bytes = _act(kernel, spot, scheme.wanted.action)
    quota.charged_bytes += region.size_bytes
    if quota.full:
        scheme.resume_after = (spot.index, region.end)
    stats = scheme.stats
    stats.nr_tried += 1
    stats.sz_tried += region.size_bytes
    if applied_bytes:
        stats.nr_applied += 1
        stats.sz_applied += applied_bytes
    scheme.tried.append(
        Region(region.start, region.end, region.nr_accesses, region.age, region.owner)
    )
    if scheme.wanted.action != "stat":
        region.age = 0
        region.owner = spot.target.process
    return kernel.memory.page_out_us(moved_bytes)


def _act(kernel: Kernel, spot: _Spot, action: str) -> tuple[int, int]:
    """Do it; return the bytes DAMON believes it was applied to, and those that were paged out.

    It was applied to whole regions, or to nothing.
    """
    process = spot.target.process
    if action == "stat" or process is None or not kernel.processes.has_memory(process):
        return 0, 0
    usage = kernel.memory.usage(process)
    where = layout(process, usage)
    region = spot.region.range
    if not any(region.intersects(part) for part in where.ranges):
        return 0, 0
    moved_bytes = _page_out(kernel, spot, process) if action == "pageout" else 0
    if region.intersects(where.heap) and region.start < where.held.start:
        return 0, moved_bytes  # madvise gave ENOMEM at the hole, though the rest was paged out
    return region.size_bytes, moved_bytes


def _page_out(kernel: Kernel, spot: _Spot, process: Identity) -> int:
    usage = kernel.memory.usage(process)
    where = layout(process, usage)
    cold_bytes = min(usage.cold_bytes, _shared_bytes(spot.region.range, where.held))
    hot_bytes = min(usage.hot_bytes, _shared_bytes(spot.region.range, where.mappings))
    if not kernel.memory.has_swap():
        return 0
    went = kernel.memory.page_out(process, cold_bytes)
    if went or hot_bytes:
        kernel.note(
            "reclaim",
            spot.kdamond,
            process=process,
            size_bytes=went + hot_bytes,
            hot_bytes=hot_bytes,
        )
    return went + hot_bytes


def _shared_bytes(one: Range, other: Range) -> int:
    return max(0, min(one.end, other.end) - max(one.start, other.start))
