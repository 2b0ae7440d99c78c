"""The limits of the node at work: what is looked at when, and whether all lanes only watch.

What is remembered lives in this process: after a restart a node is held again if it is over a
limit, and not if it is only near one.
"""

from typing import TYPE_CHECKING, Final

from damon_agent import intents
from damon_agent.brake import safety
from damon_agent.brake.brake import LOOK_US
from damon_agent.brake.safety import NodeReading, SafetyLimits
from damon_agent.node import pods
from damon_contract.quantities import size_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from damon_agent.facts import MemoryReading, PodSwap
    from damon_agent.node.resolver import Resolution
    from damon_contract.v1alpha1.node import DamonNodeSpec


_APART_US: Final = 120_000_000
"""What pods have given up is read once a minute. Readings that are further apart than this say
nothing of a minute."""


class Holding:
    """Says whether the node is held; `look` is called at every tick."""

    def __init__(self) -> None:
        self.why = ""
        """The limits that the node is over; empty: it is not held."""
        self._pressure_bp: int | None = None
        self._next_us = 0
        self._swap: Mapping[str, PodSwap] = {}
        self._swap_us = 0
        self._reclaimed_bytes: int | None = None

    def look(
        self,
        spec: "DamonNodeSpec",
        resolution: "Resolution",
        memory: "MemoryReading",
        swap: "Mapping[str, PodSwap]",
        now_us: int,
    ) -> None:
        """Look at what the limits are about; `swap` is what pods had given up at the last look."""
        # Also while there are no limits: one that comes is judged by the minute before.
        self._follow(spec, swap, now_us)
        limits = limits_of(spec)
        if limits == SafetyLimits():
            self.why = ""
            return
        # Up to an eighth early, to spare the loop a pass of its own.
        if (
            limits.protected_pressure_permille is not None
            and now_us >= self._next_us - LOOK_US // 8
        ):
            self._next_us = now_us + LOOK_US
            self._pressure_bp = _pressure_bp(spec, resolution)
        seen = NodeReading(
            swap_used_permille=_swap_used_permille(memory),
            protected_pressure_bp=self._pressure_bp,
            reclaimed_bytes=self._reclaimed_bytes,
        )
        self.why = safety.over(seen, limits, was_held=bool(self.why))

    def forget(self) -> None:
        """Forget everything: there is no plan."""
        self.why = ""
        self._pressure_bp = self._reclaimed_bytes = None
        self._next_us = self._swap_us = 0
        self._swap = {}

    def _follow(self, spec: "DamonNodeSpec", swap: "Mapping[str, PodSwap]", now_us: int) -> None:
        """Take in how much went between the last two readings of what pods have given up."""
        if swap is self._swap:
            return
        mine = {uid: swap[uid] for uid in intents.unprotected(spec) & swap.keys()}
        before, elapsed_us = self._swap, now_us - self._swap_us
        self._swap, self._swap_us = swap, now_us
        self._reclaimed_bytes = (
            safety.given_up_bytes(before, mine, elapsed_us) if elapsed_us <= _APART_US else None
        )


def limits_of(spec: "DamonNodeSpec") -> SafetyLimits:
    """Return the limits of a plan; none where nothing is reclaimed."""
    asked = spec.settings.safety
    if spec.mode != "Enforce":
        return SafetyLimits()
    most = asked.max_reclaim_per_minute
    return SafetyLimits(
        swap_used_permille=asked.max_swap_used_permille,
        protected_pressure_permille=asked.max_protected_pressure_permille,
        reclaim_bytes=None if most is None else size_bytes(most),
    )


def _pressure_bp(spec: "DamonNodeSpec", resolution: "Resolution") -> int | None:
    protected = {pod.uid for pod in spec.pods} - intents.unprotected(spec)
    readings = pods.read(intents.homes(spec, resolution, protected))
    known = [seen.pressure_bp for seen in readings.values() if seen and seen.pressure_bp]
    return max(known, default=0) if readings else None


def _swap_used_permille(memory: "MemoryReading") -> int | None:
    total, free = memory.swap_total_bytes, memory.swap_free_bytes
    return None if free is None or not total else (total - free) * 1000 // total
