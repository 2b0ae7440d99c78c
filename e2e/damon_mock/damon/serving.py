"""What a kdamond does for a keyword written to `state`, and when (mm/damon/sysfs.c)."""

import errno

from . import context as contexts
from . import described
from .context import Context
from .kernel import Kernel
from .parse import failure
from .profiles import Profile
from .requests import Moment, Request
from .scheme import Scheme
from .tree import Directory


def is_moment(profile: Profile, request: Request, moment: Moment) -> bool:
    """Return whether a waiting keyword is served at this point of the kdamond's loop."""
    if profile.synchronous:
        return moment in {"sampled", "inactive"}
    if moment == "inactive":
        return request.keyword != "commit" or not profile.commit_hangs_when_inactive
    if request.keyword == "commit" or profile.updates_at_aggregation:
        return moment == "aggregated"
    return moment == "sampled"


def cancel(request: Request) -> None:
    """End a walk that cannot go on because all schemes sleep."""
    request.served = True
    request.error = failure(errno.ECANCELED)


def execute(kernel: Kernel, directory: Directory, context: Context, keyword: str) -> None:
    """Do what a keyword asks, between the sysfs copy and the kernel copy; raises OSError."""
    if not directory.descend("contexts").numbered:
        raise failure(errno.EINVAL)
    sysfs = directory.descend("contexts", "0")
    if keyword == "commit":
        wanted = described.take(sysfs, kernel.profile, kernel.lookup())
        contexts.commit(context, wanted, kernel.profile)
    elif keyword == "update_schemes_stats":
        _show_stats(sysfs, context)
    elif keyword == "update_schemes_effective_quotas":
        _show_quotas(sysfs, context)
    elif keyword == "clear_schemes_tried_regions":
        clear_tried(directory, kernel.profile)
    elif keyword == "update_tuned_intervals":
        _show_intervals(sysfs, context)
    elif keyword == "update_schemes_tried_bytes":
        _show_tried(sysfs, context, kernel.profile, regions=False)
    elif keyword == "update_schemes_tried_regions":
        _show_tried(sysfs, context, kernel.profile, regions=True)


def refresh(kernel: Kernel, directory: Directory, context: Context) -> None:
    """Refresh what refresh_ms asks for. The next time is one variable for all kdamonds."""
    refresh_ms = int(directory.values.get("refresh_ms", "0"))
    if not refresh_ms or kernel.now_us < kernel.next_refresh_us:
        return
    kernel.next_refresh_us = kernel.now_us + refresh_ms * 1000
    if directory.descend("contexts").numbered:
        sysfs = directory.descend("contexts", "0")
        _show_intervals(sysfs, context)
        _show_stats(sysfs, context)
        _show_quotas(sysfs, context)


def clear_tried(directory: Directory, profile: Profile) -> None:
    """Remove the tried regions from sysfs; needs no kdamond."""
    for scheme in directory.descend("contexts", "0", "schemes").numbered:
        tried = scheme.descend("tried_regions")
        _make_regions(tried, 0, profile)
        tried.values["total_bytes"] = "0"


def _pairs(sysfs: Directory, context: Context) -> list[tuple[Directory, Scheme]]:
    """Pair by index as far as both go; sysfs need not show what the kernel runs."""
    return list(zip(sysfs.descend("schemes").numbered, context.schemes, strict=False))


def _show_stats(sysfs: Directory, context: Context) -> None:
    for directory, scheme in _pairs(sysfs, context):
        values = directory.descend("stats").values
        for name, number in vars(scheme.stats).items():
            if name in values:
                values[name] = str(number)


def _show_quotas(sysfs: Directory, context: Context) -> None:
    for directory, scheme in _pairs(sysfs, context):
        values = directory.descend("quotas").values
        if "effective_bytes" in values:
            values["effective_bytes"] = str(scheme.quota.effective_bytes)


def _show_intervals(sysfs: Directory, context: Context) -> None:
    values = sysfs.descend("monitoring_attrs", "intervals").values
    values["sample_us"] = str(context.attrs.sample_us)
    values["aggr_us"] = str(context.attrs.aggregation_us)


def _make_regions(tried: Directory, number: int, profile: Profile) -> None:
    if profile.tried_counted_twice:
        tried.make_counting_twice(number, tried.creator)
    else:
        tried.make(number, tried.creator)


def _show_tried(sysfs: Directory, context: Context, profile: Profile, *, regions: bool) -> None:
    for directory, scheme in _pairs(sysfs, context):
        tried = directory.descend("tried_regions")
        _make_regions(tried, len(scheme.tried) if regions else 0, profile)
        tried.values["total_bytes"] = str(sum(region.size_bytes for region in scheme.tried))
        for entry, region in zip(tried.numbered, scheme.tried, strict=False):
            for name in ("start", "end", "nr_accesses", "age"):
                entry.values[name] = str(getattr(region, name))
