"""What is known about the node, in the words both the kernel room and the node room use. Pure."""

from dataclasses import dataclass
from typing import NamedTuple


class Process(NamedTuple):
    """A process, told apart from a later one with the same pid by its start time.

    A tuple, because it is hashed and compared hundreds of thousands of times a minute.
    """

    pid: int
    """Thread group id in the pid namespace of the host; of a process whose first thread has exited
    the id of another thread."""
    start_ticks: int
    """Start time in clock ticks since boot: field 22 of /proc/<pid>/stat (proc_pid_stat(5))."""


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """The node's memory at one moment, in bytes (/proc/meminfo, /proc/zoneinfo)."""

    capacity_bytes: int
    """MemTotal less all huge pages: nothing else can ever have those."""
    free_bytes: int
    """MemFree: the only thing the kernel's own DAMOS watermark metric sees."""
    available_bytes: int
    """MemAvailable."""
    swap_total_bytes: int
    """SwapTotal."""
    zone_high_bytes: int
    """Sum of the zones' high watermarks; below it kswapd reclaims on its own."""
    page_bytes: int
    """Size of a page: 4 KiB on x86, 4 to 64 KiB on arm64."""
    swap_free_bytes: int | None = None
    """SwapFree; None: it is not told."""
    swap_full: bool = False
    """Whether there is swap, and none of it is left to speak of."""
    huge_bytes: int = 0
    """Huge pages of all sizes (Hugetlb): no capacity."""

    @property
    def total_bytes(self) -> int:
        """MemTotal: what the kernel's own DAMOS watermark metric is a share of."""
        return self.capacity_bytes + self.huge_bytes


@dataclass(frozen=True, slots=True)
class PodMemory:
    """A pod's memory at one moment, as its own cgroup says."""

    resident_bytes: int
    """Anonymous memory and page cache charged to it: `anon` and `file` of memory.stat."""
    anonymous_bytes: int
    """Anonymous memory, resident or swapped out; without what is swapped where nothing ever came
    back."""
    refaults: int | None
    """Anonymous pages that were evicted and came back since the cgroup was made
    (workingset_refault_anon of memory.stat)."""
    pressure_bp: int | None
    """Share of the last 10 s in which some process waited for memory, in 1/10,000 (`some avg10` of
    memory.pressure)."""
    swapped_bytes: int | None = None
    """What is out in swap and not in memory as well; None where that was not read, or is not
    told."""
    swap_refusals: int | None = None
    """How often swap had no place for a page since the cgroup was made: a memory.swap.max was
    reached, or the node's swap used up (`fail` of memory.swap.events)."""
    left_bytes: int = 0
    """Anonymous memory that was written to swap, is mapped by nobody, and is still in memory: what
    is swapped to a disk stays until the kernel looks at it again, and on zram nothing does."""
    file_bytes: int = 0
    """Page cache charged to it (`file` of memory.stat)."""
    file_refaults: int | None = None
    """File pages that were evicted and came back since the cgroup was made
    (workingset_refault_file of memory.stat, Linux 5.9 and later)."""


class PodSwap(NamedTuple):
    """What has become of a pod's anonymous memory, whoever reclaimed it, in bytes."""

    given_up_bytes: int | None
    """Out in swap now; None where that is not told."""
    refaulted_bytes: int | None
    """Anonymous pages that were out and came back, since the pod's cgroup was made."""


class PodCharge(NamedTuple):
    """What a pod is charged for at one moment, in bytes."""

    file_bytes: int
    """Page cache (`file` of memory.stat)."""
    working_set_bytes: int
    """memory.current less `inactive_file`: by this the kubelet ranks pods for eviction."""
