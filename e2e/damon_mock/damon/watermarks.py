"""When a scheme works: the kernel's watermark rule over free memory in per-mille.

Source: mm/damon/core.c, damos_wmark_wait_us(); the same in every version played here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Watermarks:
    """Marks in per-mille of MemTotal, validated by nobody, and how often to look while inactive.

    metric: "none" (no wait; `activated` stays what it was) or "free_mem_rate" (MemFree, not
    MemAvailable).
    """

    metric: str = "none"
    interval_us: int = 0
    high: int = 0
    mid: int = 0
    low: int = 0

    def wait_us(self, free_permille: int, *, activated: bool) -> tuple[int, bool]:
        """Return (how long to wait before the next look, whether the scheme is activated now)."""
        if self.metric == "none":
            return 0, activated
        if free_permille > self.high or free_permille < self.low:
            return self.interval_us, False
        if free_permille >= self.mid and not activated:
            return self.interval_us, False
        return 0, True
