"""The node's memory, read as seldom as each part of it changes."""

from typing import Final

from damon_agent.facts import MemoryReading
from damon_agent.node.procfs import Procfs

_ZONES_US: Final = 60_000_000
"""Watermarks change with min_free_kbytes and memory hotplug; /proc/zoneinfo is long where there
are many CPUs."""


class MemoryMeter:
    """Reads /proc/meminfo each time and /proc/zoneinfo once a minute."""

    def __init__(self, procfs: Procfs) -> None:
        self._procfs = procfs
        self._zone_high_bytes = 0
        self._next_zones_us: int | None = None

    @property
    def page_bytes(self) -> int:
        """Size of a page of this kernel."""
        return self._procfs.page_bytes

    def read(self, now_us: int) -> MemoryReading:
        """Return the memory now; raise UnreadableError or MalformedError."""
        if self._next_zones_us is None or now_us >= self._next_zones_us:
            self._zone_high_bytes = self._procfs.zone_high_bytes()
            self._next_zones_us = now_us + _ZONES_US
        return self._procfs.memory(self._zone_high_bytes)
