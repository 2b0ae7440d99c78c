"""Which change of a status is worth a write, and how soon. Pure.

A cluster has thousands of agents: a status that is written whenever a number moves would be the
API server's largest load.
"""

from enum import IntEnum
from typing import Final

from damon_contract.v1alpha1.node import DamonNodeStatus, Memory, PodStatus

_MEMORY_STEP: Final = 50
"""Available memory counts as changed when it moved by a 50th of the capacity."""


_NO_LANE_FIGURES: Final = {
    "tried_bytes": 0,
    "applied_bytes": 0,
    "cold_bytes": None,
    "given_up_bytes": None,
}
_POD_FIGURES: Final = ("namespace", "name", "cold_bytes", "given_up_bytes", "refaulted_bytes")


class Urgency(IntEnum):
    """How much a change matters; the greater, the sooner it is written."""

    NONE = 0
    FIGURES = 1
    """Meters only: bytes tried, applied, cold, given up and refaulted, available memory."""
    CONTENT = 2
    """Lanes, pods, targets, the plan spoken of."""
    CONDITIONS = 3
    """Somebody may be waiting for it."""


INTERVAL_US: Final = {
    Urgency.FIGURES: 60_000_000,
    Urgency.CONTENT: 10_000_000,
    Urgency.CONDITIONS: 1_000_000,
}
"""Least time between two writes of which the later has this urgency."""


def urgency(written: DamonNodeStatus | None, wanted: DamonNodeStatus) -> Urgency:
    """Return how urgent it is to replace the status that stands there; None: none does."""
    if written is None or _verdicts(written) != _verdicts(wanted):
        return Urgency.CONDITIONS
    if _without_figures(written) != _without_figures(wanted):
        return Urgency.CONTENT
    # Hundreds of pods at every tick: mostly they are equal as they are.
    if written.pods != wanted.pods and _strangers(written.pods, wanted.pods):
        return Urgency.CONTENT
    figures = (written.lanes, written.pods, written.totals) != (
        wanted.lanes,
        wanted.pods,
        wanted.totals,
    )
    if figures or _moved(written.memory, wanted.memory):
        return Urgency.FIGURES
    return Urgency.NONE


def _verdicts(status: DamonNodeStatus) -> list[tuple[str, str, str]]:
    return [(c.type, c.status, c.reason) for c in status.conditions]


def _without_figures(status: DamonNodeStatus) -> DamonNodeStatus:
    memory = status.memory
    return status.model_copy(
        update={
            "lanes": tuple(lane.model_copy(update=_NO_LANE_FIGURES) for lane in status.lanes),
            "pods": (),
            "totals": None,
            "memory": memory
            and memory.model_copy(update={"available_bytes": 0, "swap_free_bytes": None}),
        }
    )


def _strangers(written: tuple[PodStatus, ...], wanted: tuple[PodStatus, ...]) -> bool:
    """Say whether pods differ in more than figures, and than who has room to tell them."""
    return len(written) != len(wanted) or any(
        one != other
        and one.model_copy(update={name: getattr(other, name) for name in _POD_FIGURES}) != other
        for one, other in zip(written, wanted, strict=True)
    )


def _moved(written: Memory | None, wanted: Memory | None) -> bool:
    if written is None or wanted is None:
        return written is not wanted
    step_bytes = wanted.capacity_bytes // _MEMORY_STEP
    return abs(wanted.available_bytes - written.available_bytes) > step_bytes
