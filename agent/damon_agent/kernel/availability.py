"""What the last two looks at the node's memory have found, and so which lanes are awake. Pure.

The kernel can compare a watermark with free memory only, and page cache uses that up on every
healthy node. So a lane reclaims only while the agent keeps it awake: while less than its mark was
available at one of the last two looks (docs/adr/0016). Two, so that a lane whose own work lifts
the node above its mark is not told to stop and to start at every look. While it is awake the
kernel's watermark stops it between two looks.
"""

from dataclasses import dataclass
from typing import Final

from damon_agent.facts import MemoryReading
from damon_agent.kernel.intent import Intent
from damon_agent.kernel.ladder import FULL, Role, clamp, lets_work, permille

SHIFT_TOLERANCE_PERMILLE: Final = 8
"""A shift that has moved by no more than this is left where it is: each move costs a commit."""


@dataclass(frozen=True, slots=True)
class Availability:
    """What marks are compared with, in per mille of the capacity."""

    permille: int = 1000
    """At the last look."""
    before_permille: int = 1000
    """At the look before that."""
    shift_permille: int = 0
    """Available less free memory: what a mark is lowered by for the kernel. Negative where the
    kernel counts less as available than is free (its reserves)."""
    looked_us: int | None = None
    """When the last look was; None: there was none."""

    def looked(self, intent: Intent, now_us: int) -> "Availability":
        """Return what is known after a look, or self while the last one is fresh enough."""
        first = self.looked_us is None
        if self.looked_us is not None and now_us - self.looked_us < intent.interval_us:
            return self
        found, shift = _compared(intent.memory, intent.metric)
        if not first and shift and abs(shift - self.shift_permille) <= SHIFT_TOLERANCE_PERMILLE:
            shift = self.shift_permille
        return Availability(found, found if first else self.permille, shift, now_us)

    def due_us(self, intent: Intent) -> int:
        """Return when the next look is due."""
        return 0 if self.looked_us is None else self.looked_us + intent.interval_us

    def wakes(self, mark_permille: int) -> bool:
        """Say whether a lane with this mark is to reclaim; a higher mark wakes no later."""
        return min(self.permille, self.before_permille) < mark_permille

    def kernel_mark(self, mark_permille: int, memory: MemoryReading) -> int:
        """Return the watermark for a lane that is awake: in 0..1000 of MemTotal, free memory.

        A mark is a share of the capacity, which is less where there are huge pages. The kernel
        rounds down what is free, so a scheme works until a whole per mille more than its watermark
        is: that must not be more memory than the mark says (docs/adr/0016).
        """
        free_permille = clamp(mark_permille - self.shift_permille)
        if memory.capacity_bytes >= memory.total_bytes:
            return free_permille
        stops_bytes = (free_permille + 1) * memory.capacity_bytes
        return min(FULL, max(0, stops_bytes // memory.total_bytes - 1))


def works(intent: Intent, role: Role, mark_permille: int | None, memory: Availability) -> bool:
    """Say whether a lane's scheme works now: it is awake, and the kernel does not stop it."""
    free = permille(intent.memory.free_bytes, intent.memory.total_bytes)
    is_awake = mark_permille is not None and memory.wakes(mark_permille)
    below = lets_work(free, memory.kernel_mark(mark_permille or 0, intent.memory))
    return not intent.halted and (role == "Eager" or (is_awake and below))


def _compared(memory: MemoryReading, metric: str) -> tuple[int, int]:
    """Return the share that marks are compared with, and by how much free memory is less."""
    if metric == "FreeMemory":
        return permille(memory.free_bytes, memory.capacity_bytes), 0
    cache_bytes = memory.available_bytes - memory.free_bytes
    return (
        permille(memory.available_bytes, memory.capacity_bytes),
        permille(cache_bytes, memory.capacity_bytes),
    )
