"""Limits of the whole node: over one of them every lane only watches. Pure.

The brake keeps single pods from being reclaimed; this is for what no single pod shows. A node that
is held comes back when it is well below each limit, so that it does not go on and off at one line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from damon_agent.facts import PodSwap

_WELL_BELOW: Final = {"swap": 900, "pressure": 500, "reclaim": 500}
"""Share of a limit, in per mille, that a node that is held must not be above to come back. Swap
empties slowly; the others are next to nothing soon after nothing is reclaimed."""
_MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """What is too much, as in the tuning's `safety`; None: there is no limit."""

    swap_used_permille: int | None = None
    protected_pressure_permille: int | None = None
    reclaim_bytes: int | None = None
    """Per minute."""


@dataclass(frozen=True, slots=True)
class NodeReading:
    """What is the case; None: it is not known, so nothing is held against the node."""

    swap_used_permille: int | None = None
    protected_pressure_bp: int | None = None
    """The highest `some avg10` of the protected pods, in 1/10,000."""
    reclaimed_bytes: int | None = None
    """What pods that may be reclaimed gave up within a minute."""


def over(seen: NodeReading, limits: SafetyLimits, *, was_held: bool) -> str:
    """Return which limits the node is over, for people; empty: none, so it is not held.

    `was_held`: it was over one before, and has to be well below all of them.
    """
    found = []
    if _is_over(seen.swap_used_permille, limits.swap_used_permille, "swap", was_held=was_held):
        found.append(
            f"{seen.swap_used_permille} permille of swap are used "
            f"(safety.maxSwapUsedPermille is {limits.swap_used_permille})"
        )
    most = limits.protected_pressure_permille
    limit_bp = None if most is None else 10 * most
    if _is_over(seen.protected_pressure_bp, limit_bp, "pressure", was_held=was_held):
        found.append(
            f"a protected pod waits for memory {(seen.protected_pressure_bp or 0) / 100} % of the "
            f"time (safety.maxProtectedPressurePermille is {most})"
        )
    if _is_over(seen.reclaimed_bytes, limits.reclaim_bytes, "reclaim", was_held=was_held):
        found.append(
            f"{(seen.reclaimed_bytes or 0) >> 20} MiB were given up within a minute "
            f"(safety.maxReclaimPerMinute is {(limits.reclaim_bytes or 0) >> 20} MiB)"
        )
    return "; ".join(found)


def given_up_bytes(
    before: Mapping[str, PodSwap], now: Mapping[str, PodSwap], elapsed_us: int
) -> int | None:
    """Return what pods gave up per minute between two looks; None: nothing is known of any.

    What a pod has out in swap grows by what goes and shrinks by what comes back, which is counted:
    together they say what went.
    """
    sums = []
    for uid, after in now.items():
        was = before.get(uid)
        if was is None or was.given_up_bytes is None or after.given_up_bytes is None:
            continue
        back = (after.refaulted_bytes or 0) - (was.refaulted_bytes or 0)
        sums.append(max(0, after.given_up_bytes - was.given_up_bytes + max(0, back)))
    return sum(sums) * _MINUTE_US // elapsed_us if sums and elapsed_us > 0 else None


def _is_over(value: int | None, limit: int | None, what: str, *, was_held: bool) -> bool:
    if value is None or limit is None:
        return False
    return value * 1000 > limit * (_WELL_BELOW[what] if was_held else 1000)
