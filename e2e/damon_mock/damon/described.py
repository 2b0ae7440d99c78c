"""What the sysfs copy of a context describes, taken and validated at `on` and at `commit`.

Errors are the errnos these two give: EINVAL, or ENOMEM for what filters name and nobody finds.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass

from .memory import Range
from .parse import failure
from .processes import Identity
from .profiles import Profile
from .scheme import Filter, Pattern, QuotaLimits, SchemeInput
from .tree import Directory
from .watermarks import Watermarks


@dataclass(frozen=True)
class Attrs:
    """Monitoring intervals in microseconds and the bounds of the number of regions."""

    sample_us: int
    aggregation_us: int
    update_us: int
    min_regions: int
    max_regions: int

    @property
    def aggregation_samples(self) -> int:
        """Samples per aggregation."""
        return self.aggregation_us // max(1, self.sample_us)

    @property
    def update_samples(self) -> int:
        """Samples between two looks at the targets' ranges."""
        return self.update_us // max(1, self.sample_us)


@dataclass(frozen=True)
class TargetInput:
    """A target as sysfs describes it, its pid already resolved."""

    process: Identity | None
    ranges: tuple[Range, ...]
    obsolete: bool
    priority: int


@dataclass(frozen=True)
class ContextInput:
    """A whole context as sysfs describes it."""

    operations: str
    attrs: Attrs
    targets: tuple[TargetInput, ...]
    schemes: tuple[SchemeInput, ...]
    paused: bool = False


@dataclass(frozen=True)
class Lookup:
    """How names in sysfs are resolved: pids in the namespace of who asks, memcgs by path."""

    process: Callable[[int], Identity | None]
    memcg_exists: Callable[[str], bool]


def take(context: Directory, profile: Profile, lookup: Lookup) -> ContextInput:
    """Read contexts/0 as `on` and `commit` do, in the kernel's order; raises OSError."""
    operations = context.text("operations")
    attrs = _attrs(context.descend("monitoring_attrs"), profile)
    targets = context.descend("targets").numbered
    if operations == "paddr" and len(targets) > 1:
        raise failure(errno.EINVAL)
    return ContextInput(
        operations=operations,
        attrs=attrs,
        targets=tuple(_target(t, operations, profile, lookup) for t in targets),
        schemes=tuple(_scheme(s, profile, lookup) for s in context.descend("schemes").numbered),
        paused=context.flag("pause"),
    )


def _attrs(directory: Directory, profile: Profile) -> Attrs:
    attrs = Attrs(
        sample_us=directory.number("intervals/sample_us"),
        aggregation_us=directory.number("intervals/aggr_us"),
        update_us=directory.number("intervals/update_us"),
        min_regions=directory.number("nr_regions/min"),
        max_regions=directory.number("nr_regions/max"),
    )
    if attrs.min_regions < 3 or attrs.min_regions > attrs.max_regions:
        raise failure(errno.EINVAL)
    if attrs.aggregation_us < attrs.sample_us and not profile.aggregation_below_sample_accepted:
        raise failure(errno.EINVAL)
    return attrs


def _target(directory: Directory, operations: str, profile: Profile, lookup: Lookup) -> TargetInput:
    process = None
    if operations != "paddr":
        process = lookup.process(directory.number("pid_target"))
        if process is None:
            raise failure(errno.EINVAL)
    ranges = tuple(
        Range(region.number("start"), region.number("end"))
        for region in directory.descend("regions").numbered
    )
    for index, wanted in enumerate(ranges):
        if wanted.start > wanted.end:
            raise failure(errno.EINVAL)
        if wanted.start == wanted.end and not profile.empty_region_accepted:
            raise failure(errno.EINVAL)
        if index and ranges[index - 1].end > wanted.start:
            raise failure(errno.EINVAL)
    return TargetInput(
        process=process,
        ranges=tuple(wanted for wanted in ranges if wanted.size_bytes),
        obsolete=directory.flag("obsolete_target"),
        priority=int(directory.values.get("target_priority", "0")),
    )


def _scheme(directory: Directory, profile: Profile, lookup: Lookup) -> SchemeInput:
    number = directory.number
    pattern = Pattern(
        min_bytes=number("access_pattern/sz/min"),
        max_bytes=number("access_pattern/sz/max"),
        min_accesses=directory.uint("access_pattern/nr_accesses/min"),
        max_accesses=directory.uint("access_pattern/nr_accesses/max"),
        min_age=directory.uint("access_pattern/age/min"),
        max_age=directory.uint("access_pattern/age/max"),
    )
    limits = QuotaLimits(
        time_ms=number("quotas/ms"),
        size_bytes=number("quotas/bytes"),
        window_ms=directory.uint("quotas/reset_interval_ms"),
    )
    marks = Watermarks(
        metric=directory.text("watermarks/metric"),
        interval_us=number("watermarks/interval_us"),
        high=number("watermarks/high"),
        mid=number("watermarks/mid"),
        low=number("watermarks/low"),
    )
    stats = directory.descend("stats").values
    return SchemeInput(
        action=directory.text("action"),
        pattern=pattern,
        limits=limits,
        watermarks=marks,
        filters=_filters(directory, profile, lookup),
        apply_interval_us=int(directory.values.get("apply_interval_us", "0")),
        max_nr_snapshots=int(stats.get("max_nr_snapshots", "0")),
    )


def _filters(scheme: Directory, profile: Profile, lookup: Lookup) -> tuple[Filter, ...]:
    """Take the filters in the order of evaluation: core_filters, ops_filters, then filters."""
    if profile.filter_rule == "none":
        return ()
    directories = [
        entry
        for name in ("core_filters", "ops_filters", "filters")
        if name in scheme.fixed
        for entry in scheme.descend(name).numbered
    ]
    return tuple(_filter(directory, lookup) for directory in directories)


def _filter(directory: Directory, lookup: Lookup) -> Filter:
    kind = directory.text("type")
    if kind == "memcg" and not lookup.memcg_exists(directory.text("memcg_path").removesuffix("\n")):
        raise failure(errno.ENOMEM)
    start, end = directory.number("addr_start"), directory.number("addr_end")
    if kind == "addr" and start > end:
        raise failure(errno.ENOMEM)
    return Filter(
        kind=kind,
        matching=directory.flag("matching"),
        allow=directory.flag("allow"),
        target_index=directory.number("damon_target_idx"),
        start=start,
        end=end,
    )
