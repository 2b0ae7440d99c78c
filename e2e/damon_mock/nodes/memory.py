"""How full a node is: meminfo and zoneinfo."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from damon_mock.nodes import files

_KIB: Final = 1024
GIB: Final = 1024**3


@dataclass(frozen=True)
class Memory:
    """Bytes, as /proc/meminfo names them, and the sum of the zones' high watermarks."""

    total_bytes: int = 16 * GIB
    free_bytes: int = 2 * GIB
    available_bytes: int = 10 * GIB
    swap_total_bytes: int = 8 * GIB
    swap_free_bytes: int = 8 * GIB
    zone_high_bytes: int = 48 * 1024**2

    def with_available(self, permille: int) -> "Memory":
        """Return it with this share of the total available, a third of that really free."""
        available = self.total_bytes * permille // 1000
        return replace(self, available_bytes=available, free_bytes=available // 3)

    def meminfo(self) -> str:
        """Return the text of /proc/meminfo, as far as anybody reads it."""
        rows = {
            "MemTotal": self.total_bytes,
            "MemFree": self.free_bytes,
            "MemAvailable": self.available_bytes,
            "Buffers": 0,
            "Cached": max(0, self.available_bytes - self.free_bytes),
            "SwapCached": 0,
            "SwapTotal": self.swap_total_bytes,
            "SwapFree": self.swap_free_bytes,
        }
        return "".join(f"{n + ':':<16}{size // _KIB:>8} kB\n" for n, size in rows.items())

    def zoneinfo(self) -> str:
        """Return the text of /proc/zoneinfo with two zones; per-CPU `high:` lines are no marks."""
        pages = self.zone_high_bytes // 4096
        return "".join(
            f"Node 0, zone {zone:>8}\n"
            f"  pages free     {self.free_bytes // 4096 // 2}\n"
            f"        boost    0\n"
            f"        min      {high * 2 // 3}\n"
            f"        low      {high * 5 // 6}\n"
            f"        high     {high}\n"
            f"        spanned  {self.total_bytes // 4096 // 2}\n"
            f"  pagesets\n"
            f"    cpu: 0\n"
            f"              count: 10\n"
            f"              high:  100\n"
            f"              batch: 63\n"
            for zone, high in (("DMA32", pages // 4), ("Normal", pages - pages // 4))
        )

    def write(self, proc: Path) -> None:
        """Write both files below a proc root."""
        files.replace(proc / "meminfo", self.meminfo())
        files.replace(proc / "zoneinfo", self.zoneinfo())
