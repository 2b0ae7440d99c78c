"""What is known about a node, from the API or by the probe. None: it is not known. Pure."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Self


class Owner(StrEnum):
    """Who may have DAMON."""

    OURS = "damon-operator"
    STAT = "DAMON_STAT"
    MODULE = "module"
    OTHER = "other"


@dataclass(frozen=True)
class Holder:
    """Somebody who has DAMON on the node."""

    owner: Owner
    name: str
    """For people: who it is, and with what."""


@dataclass(frozen=True)
class SwapLimits:
    """What the node's containers, or its planned pods, may swap: their `memory.swap.max`."""

    what: str
    """containers or pods."""
    every: int
    nothing: int
    """Those of which anonymous memory cannot go."""
    limited: int = 0
    """Those with a share of swap, as LimitedSwap sets it; of pods it is not known."""


@dataclass(frozen=True)
class PodsBySwap:
    """The running pods of the node, by what the kubelet's LimitedSwap would let them swap."""

    guaranteed: int = 0
    best_effort: int = 0
    fixed: int = 0
    """Burstable, with a container whose memory request is its limit: that one may not swap."""
    burstable: int = 0
    """The others."""


@dataclass(frozen=True)
class Said:
    """A condition of the DamonNode that is not as it should be, or Ready."""

    ready: str
    """True, False or Unknown."""
    reason: str
    message: str


@dataclass(frozen=True)
class Unusable:
    """Why the agent cannot use DAMON."""

    reason: str
    message: str


class Takes(StrEnum):
    """What goes by memory.reclaim of pods' cgroups."""

    FILE_PAGES = "FilePages"
    ALL_MEMORY = "AllMemory"
    NOTHING = "Nothing"
    OFF = "Off"
    """The agent may not write it."""


@dataclass(frozen=True)
class Reclaim:
    """What the agent says of memory.reclaim."""

    takes: Takes
    message: str = ""
    """Why nothing goes, or what is wrong."""
    due: bool = True
    """Whether the tuning's mode lets anything go."""


@dataclass(frozen=True)
class NodeFacts:
    """One node."""

    probed: bool = False
    """Whether the node itself was read, and not the API alone."""
    linux: bool | None = None
    release: str | None = None
    damon: bool | None = None
    """Whether the kernel has DAMON's sysfs."""
    vaddr: bool | None = None
    """Whether its DAMON can monitor the addresses of processes."""
    features: tuple[str, ...] | None = None
    holders: tuple[Holder, ...] | None = None
    unusable: Unusable | None = None
    """None: nothing says that the agent cannot use DAMON."""
    reclaim: Reclaim | None = None
    reclaim_file: bool | None = None
    """Whether the kernel has memory.reclaim."""
    agent: Said | None = None
    """None: the node has no DamonNode."""
    memory_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    swap_kinds: tuple[str, ...] | None = None
    """zram, disk or file, one for each device."""
    zswap: bool | None = None
    zram_limited: tuple[str, ...] | None = None
    """Devices of zram with a mem_limit."""
    cgroup_version: int | None = None
    swap_limits: SwapLimits | None = None
    pods: PodsBySwap | None = None
    throttled: int | None = None
    """Containers with a memory.high."""
    page_bytes: int | None = None
    transparent_huge: str | None = None
    """always, madvise or never; none: the kernel has no such pages."""
    huge_bytes: int | None = None
    """Reserved huge pages of all sizes."""
    mglru: bool | None = None

    @property
    def served_by_reclaim(self) -> str:
        """Return what memory.reclaim does where DAMON cannot be used; empty: nothing."""
        served = {
            Takes.FILE_PAGES: "memory.reclaim serves page cache",
            Takes.ALL_MEMORY: "memory.reclaim serves page cache and anonymous memory",
        }
        return served.get(self.reclaim.takes, "") if self.reclaim and self.unusable else ""

    def completed_by(self, other: Self) -> Self:
        """Return the same with what only the other one knows."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(other, **{name: value for name, value in own.items() if value is not None})
