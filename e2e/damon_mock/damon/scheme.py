"""A DAMOS scheme of the kernel copy: what it looks for, what it does, how much, and what it did."""

from dataclasses import dataclass, field, replace
from typing import Final

from .parse import ULONG_MAX
from .target import Region
from .watermarks import Watermarks

PAGEOUT_BYTES_PER_MS: Final = 4 * 1024 * 1024
"""The kernel's first guess of throughput; the emulator never learns a better one."""


@dataclass(frozen=True)
class Pattern:
    """Which regions a scheme is for: bounds, both included. All zero matches nothing."""

    min_bytes: int = 0
    max_bytes: int = 0
    min_accesses: int = 0
    max_accesses: int = 0
    min_age: int = 0
    max_age: int = 0

    def matches(self, region: Region) -> bool:
        """Return whether a region is of this pattern."""
        return (
            self.min_bytes <= region.size_bytes <= self.max_bytes
            and self.min_accesses <= region.nr_accesses <= self.max_accesses
            and self.min_age <= region.age <= self.max_age
        )


@dataclass(frozen=True)
class Filter:
    """A filter: of a type, for those that match or those that do not, letting pass or rejecting.

    core: evaluated per region by DAMON itself (addr, target); the others belong to the operations
    set, and vaddr ignores them for madvise actions.
    """

    kind: str
    matching: bool
    allow: bool
    target_index: int = 0
    start: int = 0
    end: int = 0

    @property
    def core(self) -> bool:
        """Whether DAMON itself evaluates it."""
        return self.kind in {"addr", "target"}

    def holds(self, index: int, region: Region) -> bool:
        """Return whether the filter is satisfied by a region of the target at this index."""
        if self.kind == "target":
            is_of_type = index == self.target_index
        else:
            is_of_type = self.start <= region.start and region.end <= self.end
        return is_of_type == self.matching


@dataclass(frozen=True)
class QuotaLimits:
    """What a quota allows in each window; zeros are no limit. The window is in milliseconds."""

    time_ms: int = 0
    size_bytes: int = 0
    window_ms: int = 0

    @property
    def effective_bytes(self) -> int:
        """The smaller of both limits in bytes; 0 for none."""
        by_time = self.time_ms * PAGEOUT_BYTES_PER_MS
        given = [limit for limit in (by_time, self.size_bytes) if limit]
        return min(given, default=0)


@dataclass
class Quota:
    """A quota at work: its window, and what was charged in it. Outlives commits."""

    limits: QuotaLimits
    window_started_us: int = 0
    effective_bytes: int = 0
    charged_bytes: int = 0
    total_charged_bytes: int = 0
    opened: bool = False

    def begin(self, now_us: int, *, first_window_unlimited: bool) -> bool:
        """Open the window that is due; return whether the one before it was used up."""
        if not self.limits.effective_bytes:
            self.effective_bytes = 0
            return False
        if not self.opened:
            # It begins when the scheme is first applied, however long that slept before.
            self.opened = True
            self.window_started_us = now_us
            if not first_window_unlimited:
                self.effective_bytes = self.limits.effective_bytes
                return False
        if now_us < self.window_started_us + self.limits.window_ms * 1000:
            return False
        exceeded = 0 < self.effective_bytes <= self.charged_bytes
        self.window_started_us = now_us
        self.total_charged_bytes += self.charged_bytes
        self.charged_bytes = 0
        self.effective_bytes = self.limits.effective_bytes
        return exceeded

    @property
    def full(self) -> bool:
        """Whether nothing more may be done in this window."""
        return 0 < self.effective_bytes <= self.charged_bytes

    @property
    def room_bytes(self) -> int:
        """What may still be done in this window."""
        if not self.effective_bytes:
            return ULONG_MAX
        return max(0, self.effective_bytes - self.charged_bytes)


@dataclass
class Stats:
    """Counters of the kernel; sysfs shows them as of the last update. Only `on` resets them."""

    nr_tried: int = 0
    sz_tried: int = 0
    nr_applied: int = 0
    sz_applied: int = 0
    qt_exceeds: int = 0
    nr_snapshots: int = 0


@dataclass(frozen=True)
class SchemeInput:
    """A scheme as sysfs describes it, taken at `on` or `commit`."""

    action: str
    pattern: Pattern
    limits: QuotaLimits
    watermarks: Watermarks
    filters: tuple[Filter, ...] = ()
    apply_interval_us: int = 0
    max_nr_snapshots: int = 0


@dataclass
class Scheme:
    """A scheme at work.

    default_reject: what happens to a region no core filter is satisfied by, where filters can
    allow. next_apply: the sample, counted since `on`, after which it is applied next. tried: the
    regions it was tried on last, for `tried_regions`. resume_after: index of the target and address
    from which a scheme stopped by its quota goes on.
    """

    wanted: SchemeInput
    quota: Quota
    activated: bool = True
    default_reject: bool = False
    next_apply: int = 0
    stats: Stats = field(default_factory=Stats)
    tried: list[Region] = field(default_factory=list)
    resume_after: tuple[int, int] | None = None

    @classmethod
    def made(cls, wanted: SchemeInput, next_apply: int) -> "Scheme":
        """Return a fresh scheme; it starts activated, whatever its watermarks say."""
        quota = Quota(wanted.limits)
        scheme = cls(wanted, quota, next_apply=next_apply)
        scheme.settle_filters()
        return scheme

    def change(self, wanted: SchemeInput, *, reactivate: bool) -> None:
        """Take a committed description; counters and quota charges go on."""
        self.wanted = wanted
        self.quota.limits = wanted.limits
        if reactivate:
            self.activated = True
        self.settle_filters()

    def settle_filters(self) -> None:
        """Decide what happens to regions that satisfy no core filter.

        The opposite of what the last one does, unless a filter of the operations set follows: then
        they are let through (mm/damon/core.c: damos_set_filters_default_reject).
        """
        core = [f for f in self.wanted.filters if f.core]
        if not core or len(core) < len(self.wanted.filters):
            self.default_reject = False
        else:
            self.default_reject = core[-1].allow

    def rejects(self, index: int, region: Region, *, filters_can_allow: bool) -> bool:
        """Return whether the core filters keep the scheme away from a region."""
        core = [f for f in self.wanted.filters if f.core]
        if not filters_can_allow:
            return any(f.holds(index, region) for f in core)
        for candidate in core:
            if candidate.holds(index, region):
                return not candidate.allow
        return self.default_reject

    def set_mark(self, mark: int) -> None:
        """Set high and mid to a mark, and low to 0, as the priority patches' tuner does."""
        marks = replace(self.wanted.watermarks, high=mark, mid=mark, low=0)
        self.wanted = replace(self.wanted, watermarks=marks)

    @property
    def exhausted(self) -> bool:
        """Whether max_nr_snapshots has been reached."""
        return 0 < self.wanted.max_nr_snapshots <= self.stats.nr_snapshots
