"""From which share of available memory on each priority gives up cold memory. Pure, integers only.

Marks are per mille of the node's capacity. A lane works while less than its mark is available, so
the lower the priority, the higher the mark, the earlier it works (docs/adr/0002). What a mark is
compared with, and by whom, is in `availability`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from damon_agent.kernel.intent import Intent
from damon_contract.priorities import HIGHEST, LOWEST, reclaim_rank

Role = Literal["Protected", "Ladder", "Eager"]

FULL: Final = 1000
"""All of the capacity, in per mille."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs of one node."""

    protect_from: int
    eager_up_to: int
    floor_permille: int
    """Mark of the most important pod that is not protected."""
    ceiling_permille: int
    """Mark of the least important pod; never below the floor."""
    last_rank: int
    """The reclaim rank that gets the ceiling."""

    def role(self, priority: int) -> Role:
        """Return what a lane of this priority does."""
        if priority >= self.protect_from:
            return "Protected"
        return "Eager" if priority <= self.eager_up_to else "Ladder"

    def mark(self, priority: int) -> int:
        """Return the mark of a priority below `protect_from`, in [floor, ceiling].

        Monotone: a less important priority never has a lower mark. Its rank is above that of
        `protect_from`, so the divisor is at least 1.
        """
        first = reclaim_rank(self.protect_from)
        steps = min(reclaim_rank(priority), self.last_rank) - first
        if steps <= 0:
            raise ValueError(f"priority {priority} is protected: it has no mark")
        span = self.ceiling_permille - self.floor_permille
        return self.floor_permille + steps * span // (self.last_rank - first)


def build(intent: Intent, priorities: Iterable[int]) -> Ladder:
    """Return the ladder for the priorities planned on this node.

    Relative: the least important pod of the node gets the ceiling. Absolute: priority 1 does.
    """
    ranks = [reclaim_rank(priority) for priority in priorities]
    last = max(ranks, default=HIGHEST) if intent.scaling == "Relative" else reclaim_rank(LOWEST)
    return Ladder(
        protect_from=intent.protect_from,
        eager_up_to=intent.eager_up_to,
        floor_permille=floor(intent),
        ceiling_permille=clamp(intent.ceiling_permille),
        last_rank=last,
    )


def floor(intent: Intent) -> int:
    """Return the floor, never above the ceiling.

    Automatic: the zones' high watermarks plus what the kubelet keeps back, its eviction threshold
    included, so that the last rung works before kswapd and before an eviction.
    """
    ceiling = clamp(intent.ceiling_permille)
    if intent.floor_permille is not None:
        return min(clamp(intent.floor_permille), ceiling)
    kept_bytes = intent.memory.zone_high_bytes + intent.reserved_bytes
    return min(clamp(-permille(-kept_bytes, intent.memory.capacity_bytes)), ceiling)


def lets_work(free_permille: int, watermark_permille: int) -> bool:
    """Say whether the kernel lets a scheme with this watermark work; both are of MemTotal.

    damos_wmark_wait_us() in mm/damon/core.c deactivates it above `high`.
    """
    return free_permille <= watermark_permille


def permille(part: int, whole: int) -> int:
    """Return part/whole in per mille, rounded down; 0 of nothing is 0."""
    return part * FULL // whole if whole > 0 else 0


def clamp(value: int) -> int:
    """Return the value moved into 0..1000."""
    return max(0, min(FULL, value))
