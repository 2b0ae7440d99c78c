"""A simple model of memory: what each process holds, where it lies, and how much is free.

Every process has three ranges, as DAMON's vaddr operations see any process: heap (its cold bytes,
resident or swapped), mappings (its hot bytes) and stack. The ranges of any two processes overlap,
as on real machines: so an inherited region really covers the heir's memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from .processes import Identity

PAGE: Final = 4096
MIB: Final = 1024 * 1024

_HEAP: Final = 0x5555_0000_0000
_MAPPINGS: Final = 0x7F00_0000_0000
_STACK: Final = 0x7FFD_0000_0000
_SMALLEST_PAGES: Final = 64
_SHIFT_PAGES: Final = 32  # less than the smallest range, so that all processes overlap


@dataclass(frozen=True)
class Usage:
    """What a process holds, in bytes: untouched, in constant use, swapped out, and unmapped holes.

    Holes are address space in front of what the heap range holds. A pageout of a region with a
    hole pages out what is there and reports that nothing was applied; quotas are charged for it.
    """

    cold_bytes: int = 64 * MIB
    hot_bytes: int = 16 * MIB
    swapped_bytes: int = 0
    hole_bytes: int = 0


@dataclass(frozen=True)
class Range:
    """Addresses from start to before end."""

    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """Length."""
        return self.end - self.start

    def intersects(self, other: "Range") -> bool:
        """Return whether at least one address is in both."""
        return not (self.end <= other.start or other.end <= self.start)


@dataclass(frozen=True)
class Layout:
    """Where the memory of a process lies. `held` is the heap range without its holes."""

    heap: Range
    held: Range
    mappings: Range
    stack: Range

    @property
    def ranges(self) -> tuple[Range, Range, Range]:
        """The three that DAMON monitors, in address order."""
        return (self.heap, self.mappings, self.stack)


def layout(identity: Identity, usage: Usage) -> Layout:
    """Return where a process with this identity and usage has its ranges."""
    shift = (identity.pid * 7 + identity.start_ticks) % _SHIFT_PAGES * PAGE

    def span(base: int, size_bytes: int) -> Range:
        pages = max(_SMALLEST_PAGES, -(-size_bytes // PAGE))
        return Range(base + shift, base + shift + pages * PAGE)

    heap_bytes = usage.cold_bytes + usage.swapped_bytes + usage.hole_bytes
    heap = span(_HEAP, heap_bytes)
    held = Range(heap.start + usage.hole_bytes, heap.end)
    return Layout(heap, held, span(_MAPPINGS, usage.hot_bytes), span(_STACK, 0))


class Memory(Protocol):
    """What the emulated kernel asks about memory."""

    def free_permille(self) -> int:
        """Return MemFree in per-mille of MemTotal, an integer, as the watermark metric is."""
        ...

    def usage(self, identity: Identity) -> Usage:
        """Return what a process holds now."""
        ...

    def has_swap(self) -> bool:
        """Return whether anonymous memory has anywhere to go."""
        ...

    def page_out(self, identity: Identity, size_bytes: int) -> int:
        """Page out at most so many cold bytes of a process; return how many really went."""
        ...

    def page_out_us(self, size_bytes: int) -> int:
        """Return how long it takes to page out so many bytes, in microseconds."""
        ...

    def pass_time(self, us: int) -> None:
        """Let so many microseconds pass."""
        ...


class SimulatedMemory:
    """Memory that is what a test says. Paged-out bytes become free, while there is swap.

    cache_bytes: page cache that nobody maps. It is not free, so watermarks count it as used, but
    it is available. page_out_us_per_mib: what paging out costs the kdamond that does it.
    """

    def __init__(
        self,
        *,
        total_bytes: int = 8192 * MIB,
        free_bytes: int = 4096 * MIB,
        swap_free_bytes: int = 8192 * MIB,
        cache_bytes: int = 0,
        page_out_us_per_mib: int = 0,
        default: Usage | None = None,
    ) -> None:
        self.total_bytes = total_bytes
        self.free_bytes = free_bytes
        self.swap_free_bytes = swap_free_bytes
        self.cache_bytes = cache_bytes
        self.page_out_us_per_mib = page_out_us_per_mib
        self._cache_growth_bytes_per_s = 0
        self._least_free_bytes = 0
        self._growth_left = 0  # bytes times microseconds that made no whole byte yet
        self._default = default or Usage()
        self._usages: dict[Identity, Usage] = {}

    @property
    def usages(self) -> Mapping[Identity, Usage]:
        """What was set or changed, by process."""
        return self._usages

    def set_usage(self, identity: Identity, usage: Usage) -> None:
        """Let a process hold this from now on."""
        self._usages[identity] = usage

    def set_free_permille(self, permille: int) -> None:
        """Let so much be free."""
        self.free_bytes = -(-self.total_bytes * permille // 1000)

    @property
    def available_bytes(self) -> int:
        """MemAvailable: what is free, and the page cache."""
        return self.free_bytes + self.cache_bytes

    def grow_cache(self, bytes_per_s: int, *, least_free_permille: int = 0) -> None:
        """Let page cache take free memory from now on, as reading files does.

        It ends where a kernel begins to take back cache itself: at `least_free_permille`.
        """
        self._cache_growth_bytes_per_s = bytes_per_s
        self._least_free_bytes = -(-self.total_bytes * least_free_permille // 1000)
        self._growth_left = 0

    def pass_time(self, us: int) -> None:
        """See `Memory`."""
        grown, self._growth_left = divmod(
            self._growth_left + us * self._cache_growth_bytes_per_s, 1_000_000
        )
        grown = max(0, min(grown, self.free_bytes - self._least_free_bytes))
        self.free_bytes -= grown
        self.cache_bytes += grown

    def page_out_us(self, size_bytes: int) -> int:
        """See `Memory`."""
        return size_bytes * self.page_out_us_per_mib // MIB

    def free_permille(self) -> int:
        """See `Memory`."""
        return self.free_bytes * 1000 // self.total_bytes

    def usage(self, identity: Identity) -> Usage:
        """See `Memory`."""
        return self._usages.get(identity, self._default)

    def has_swap(self) -> bool:
        """See `Memory`."""
        return self.swap_free_bytes > 0

    def page_out(self, identity: Identity, size_bytes: int) -> int:
        """See `Memory`."""
        usage = self.usage(identity)
        went = min(usage.cold_bytes, size_bytes, self.swap_free_bytes)
        if went > 0:
            self._usages[identity] = replace(
                usage,
                cold_bytes=usage.cold_bytes - went,
                swapped_bytes=usage.swapped_bytes + went,
            )
            self.swap_free_bytes -= went
            self.free_bytes = min(self.total_bytes, self.free_bytes + went)
        return went


class MeminfoMemory:
    """Memory whose gauge is a file in the form of /proc/meminfo; usages are simulated.

    A missing or torn file counts as half free: the mock goes on while somebody rewrites it.
    """

    def __init__(self, meminfo: Path, simulated: SimulatedMemory | None = None) -> None:
        self._meminfo = meminfo
        self.simulated = simulated or SimulatedMemory()

    def free_permille(self) -> int:
        """See `Memory`."""
        fields = self._fields()
        total, free = fields.get("MemTotal", 0), fields.get("MemFree", 0)
        return free * 1000 // total if total > 0 else 500

    def usage(self, identity: Identity) -> Usage:
        """See `Memory`."""
        return self.simulated.usage(identity)

    def has_swap(self) -> bool:
        """See `Memory`. SwapTotal 0 in the file means there is nowhere to go."""
        return self._fields().get("SwapTotal", 1) > 0 and self.simulated.has_swap()

    def page_out(self, identity: Identity, size_bytes: int) -> int:
        """See `Memory`."""
        return self.simulated.page_out(identity, size_bytes) if self.has_swap() else 0

    def page_out_us(self, size_bytes: int) -> int:
        """See `Memory`."""
        return self.simulated.page_out_us(size_bytes)

    def pass_time(self, us: int) -> None:
        """See `Memory`. The file says what is free, so only its writer can let cache grow."""

    def _fields(self) -> dict[str, int]:
        try:
            lines = self._meminfo.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return {}
        pairs = (line.partition(":") for line in lines)
        return {
            name: int(value.split()[0])
            for name, _, value in pairs
            if value.split() and value.split()[0].isdecimal()
        }
