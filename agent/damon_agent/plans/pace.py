"""Which change of a status is worth a write, and how soon. Pure.

A cluster has thousands of agents: a status that is written whenever a number moves would be the
API server's largest load.
"""

from enum import IntEnum
from typing import Final

from damon_contract.quantities import size_bytes
from damon_contract.v1alpha1.node import DamonNodeStatus, Memory, MemoryReclaim, PodStatus
from damon_contract.v1alpha1.totals import Totals

_MEMORY_STEP: Final = 50
"""Available memory counts as changed when it moved by a 50th of the capacity."""
_STEP: Final = 4
"""Cold memory of a pod, and what all have given up, count as changed when moved by a quarter."""
_LEAST_BYTES: Final = 4 << 20
"""And by no less than this."""


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
    """Meters only: what is cold, gone or back, and what is available, moved by a good deal."""
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
    if (
        _cold_moved(written, wanted)
        or _swap_moved(written.totals, wanted.totals)
        or _reclaim_moved(written.memory_reclaim, wanted.memory_reclaim)
        or _moved(written.memory, wanted.memory)
    ):
        return Urgency.FIGURES
    return Urgency.NONE


def _verdicts(status: DamonNodeStatus) -> list[tuple[str, str, str, str]]:
    # A new time with an old status: somebody else said otherwise in between.
    return [(c.type, c.status, c.reason, c.last_transition_time) for c in status.conditions]


def _cold_moved(written: DamonNodeStatus, wanted: DamonNodeStatus) -> bool:
    """Say whether cold memory is worth telling anew; both have the same pods.

    Lanes are measured in turn: the first measures of all are told together. While a lane reclaims,
    its measures come and go with its work. What lanes have tried and applied only ever grows while
    they work, and is told along with something else.
    """
    moving = {pod.uid for pod in wanted.pods if _is_moving(pod)}
    before = {
        pod.uid: pod.cold_bytes
        for pod in written.pods
        if pod.cold_bytes is not None and pod.uid not in moving
    }
    after = {pod.uid: pod for pod in wanted.pods if pod.cold_bytes is not None}
    if len(after) < len(before):
        return True
    measured = all(lane.cold_bytes is not None for lane in wanted.lanes if lane.targets)
    if len(after) > len(before) and measured:
        return True
    reclaiming = {lane.kdamond for lane in wanted.lanes if lane.active}
    return any(
        _step(before[uid], pod.cold_bytes or 0)
        for uid, pod in after.items()
        if uid in before and pod.kdamond not in reclaiming
    )


def _swap_moved(written: Totals | None, wanted: Totals | None) -> bool:
    """Say whether the pods together gave up, or took back, much more or much less than was told."""
    before, after = _swap_bytes(written), _swap_bytes(wanted)
    return any(_step(one, other) for one, other in zip(before, after, strict=True))


def _reclaim_moved(written: MemoryReclaim | None, wanted: MemoryReclaim | None) -> bool:
    """Say whether much more has gone by memory.reclaim than was told."""
    if written is None or wanted is None:
        return written is not wanted
    return _step(written.file_bytes, wanted.file_bytes)


def _swap_bytes(totals: Totals | None) -> tuple[int, int]:
    if totals is None:
        return 0, 0
    return size_bytes(totals.given_up or "0"), size_bytes(totals.refaulted or "0")


def _step(before_bytes: int, after_bytes: int) -> bool:
    step_bytes = max(before_bytes, after_bytes) // _STEP
    return abs(after_bytes - before_bytes) > max(step_bytes, _LEAST_BYTES)


def _without_figures(status: DamonNodeStatus) -> DamonNodeStatus:
    memory, reclaim = status.memory, status.memory_reclaim
    return status.model_copy(
        update={
            "lanes": tuple(lane.model_copy(update=_NO_LANE_FIGURES) for lane in status.lanes),
            "pods": (),
            "totals": None,
            "memory_reclaim": reclaim
            and reclaim.model_copy(update={"file_bytes": 0, "working_set_bytes": 0}),
            "memory": memory
            and memory.model_copy(update={"available_bytes": 0, "swap_free_bytes": None}),
        }
    )


def _strangers(written: tuple[PodStatus, ...], wanted: tuple[PodStatus, ...]) -> bool:
    """Say whether pods differ in more than figures, and in more than for a moment."""
    return len(written) != len(wanted) or any(
        one != other and _still(one, other) != other
        for one, other in zip(written, wanted, strict=True)
    )


def _still(one: PodStatus, other: PodStatus) -> PodStatus:
    """Return `one` with what may differ without being news."""
    update = {name: getattr(other, name) for name in _POD_FIGURES}
    if other.reclaim is not None:
        spared = one.reclaim and one.reclaim.spared
        update["reclaim"] = other.reclaim.model_copy(update={"spared": spared})
    if _is_moving(other):
        update["kdamond"] = None
    return one.model_copy(update=update)


def _is_moving(pod: PodStatus) -> bool:
    """Say whether a pod has processes and no place: as long as a commit of its lane takes.

    What keeps it without one is told by the lane's state, or as a fault.
    """
    return pod.kdamond is None and pod.processes > 0


def _moved(written: Memory | None, wanted: Memory | None) -> bool:
    if written is None or wanted is None:
        return written is not wanted
    step_bytes = wanted.capacity_bytes // _MEMORY_STEP
    return abs(wanted.available_bytes - written.available_bytes) > step_bytes
