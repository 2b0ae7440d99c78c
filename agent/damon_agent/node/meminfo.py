"""The node's memory, read as seldom as each part of it changes."""

from dataclasses import replace
from typing import Final

from damon_agent.facts import MemoryReading
from damon_agent.node.procfs import Procfs

_ZONES_US: Final = 60_000_000
"""Watermarks change with min_free_kbytes and memory hotplug; /proc/zoneinfo is long where there
are many CPUs."""
_FULL_PERMILLE: Final = 20
"""Swap with less than this left is used up: to page out then moves pages about and frees none."""
_FREE_AGAIN_PERMILLE: Final = 50
"""Swap that was used up is not before so much is free."""


class MemoryMeter:
    """Reads /proc/meminfo each time and /proc/zoneinfo once a minute."""

    def __init__(self, procfs: Procfs) -> None:
        self._procfs = procfs
        self._zone_high_bytes = 0
        self._next_zones_us: int | None = None
        self._swap_full = False

    @property
    def page_bytes(self) -> int:
        """Size of a page of this kernel."""
        return self._procfs.page_bytes

    def read(self, now_us: int) -> MemoryReading:
        """Return the memory now; raise UnreadableError or MalformedError."""
        if self._next_zones_us is None or now_us >= self._next_zones_us:
            self._zone_high_bytes = self._procfs.zone_high_bytes()
            self._next_zones_us = now_us + _ZONES_US
        memory = self._procfs.memory(self._zone_high_bytes)
        self._swap_full = _is_full(memory, full_before=self._swap_full)
        return replace(memory, swap_full=self._swap_full)


def _is_full(memory: MemoryReading, *, full_before: bool) -> bool:
    """Say whether swap is used up.

    While swapoff(8) runs, SwapTotal is what it still has to bring back, and nothing of it is free:
    so it is used up until there is none.
    """
    if memory.swap_free_bytes is None:
        return False
    limit = _FREE_AGAIN_PERMILLE if full_before else _FULL_PERMILLE
    return memory.swap_free_bytes * 1000 < memory.swap_total_bytes * limit
