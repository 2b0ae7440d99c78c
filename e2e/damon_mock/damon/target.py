"""A monitoring target of the kernel copy: whose memory, its regions, and whose ages they hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .memory import PAGE, Range
from .processes import Identity


@dataclass(eq=False)
class Region:
    """A stretch of addresses thought to be accessed alike.

    nr_accesses: samples with an access in the last aggregation. age: aggregations for which that
    did not change. owner: the process whose accesses made this age; None for nobody's.
    """

    start: int
    end: int
    nr_accesses: int = 0
    age: int = 0
    owner: Identity | None = None
    last_nr_accesses: int = 0

    @property
    def range(self) -> Range:
        """The addresses."""
        return Range(self.start, self.end)

    @property
    def size_bytes(self) -> int:
        """Length."""
        return self.end - self.start


@dataclass
class Target:
    """One slot of the kernel's target list.

    process is None only for physical memory. priority is what `target_priority` said at `on`.
    """

    process: Identity | None
    regions: list[Region] = field(default_factory=list)
    priority: int = 0

    def set_regions(self, ranges: Sequence[Range]) -> None:
        """Make the regions cover exactly these ranges (mm/damon/core.c: damon_set_regions).

        Old regions that intersect survive, resized, with their ages; the rest is dropped, and holes
        are filled with new regions.
        """
        left = self.regions
        covered: list[Region] = []
        for wanted in ranges:
            start = wanted.start // PAGE * PAGE
            end = -(-wanted.end // PAGE) * PAGE
            inside = [r for r in left if r.range.intersects(wanted)]
            left = [r for r in left if r not in inside]
            if not inside:
                covered.append(Region(start, end, owner=self.process))
                continue
            inside[0].start = start
            inside[-1].end = end
            covered += self._filled(inside)
        self.regions = covered

    def aggregate(self, touched: Sequence[Range], most_accesses: int) -> None:
        """End an aggregation: count accesses, age the regions, join equal neighbours.

        `touched` is where the process touches its memory all the time. A region whose age another
        process made stays blind to its new process: DAMON samples one page of a region, and
        inherited regions do not fit the heir's memory.
        """
        for region in self.regions:
            if region.owner in {self.process, None}:
                hot = any(region.range.intersects(place) for place in touched)
                region.nr_accesses = most_accesses if hot else 0
            if region.nr_accesses == region.last_nr_accesses:
                region.age += 1
            else:
                region.age = 0
                region.owner = self.process
            region.last_nr_accesses = region.nr_accesses
        self._join_equal()

    def split(self, region: Region, size_bytes: int) -> None:
        """Split a region so that its first part has this size (damon_split_region_at)."""
        rest = Region(
            region.start + size_bytes,
            region.end,
            region.nr_accesses,
            region.age,
            region.owner,
            region.last_nr_accesses,
        )
        region.end = rest.start
        self.regions.insert(self.regions.index(region) + 1, rest)

    def _filled(self, inside: list[Region]) -> list[Region]:
        filled = [inside[0]]
        for region in inside[1:]:
            if region.start > filled[-1].end:
                filled.append(Region(filled[-1].end, region.start, owner=self.process))
            filled.append(region)
        return filled

    def _join_equal(self) -> None:
        joined: list[Region] = []
        for region in self.regions:
            before = joined[-1] if joined else None
            if (
                before is not None
                and before.end == region.start
                and (before.nr_accesses, before.age, before.owner)
                == (region.nr_accesses, region.age, region.owner)
            ):
                before.end = region.end
            else:
                joined.append(region)
        self.regions = joined
