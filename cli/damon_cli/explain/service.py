"""What serves a pod, a lane or memory.reclaim or both, and what is out of their reach. Pure."""

from collections.abc import Iterator
from typing import Final

from damon_cli.damon_node import DamonNode, Planned
from damon_cli.explain.by_reclaim import SWAP_USED_UP
from damon_cli.explain.explanation import ReclaimView, Standing
from damon_cli.explain.rung import mark_permille

_UNTAKEN: Final = frozenset(
    {Standing.AGENT_SILENT, Standing.NO_DAMON, Standing.NOT_TAKEN, Standing.NO_PROCESS}
)
"""Without an agent nothing goes by memory.reclaim."""
_NOT_SWITCHED_ON: Final = "memory.reclaim is not switched on (the chart's agent.memoryReclaim)"


def reclaim_view(seen: DamonNode, planned: Planned, stands: Standing) -> ReclaimView | None:
    """Return how memory.reclaim serves a pod of the plan, if it does."""
    role = seen.role(planned.priority)
    if not seen.takes or role == "Protected" or stands in _UNTAKEN:
        return None
    return ReclaimView(seen.takes, role, mark_permille(seen, planned.priority))


def unserved(seen: DamonNode, stands: Standing) -> str | None:
    """Return why neither serves a pod of the plan, where the node or its tuning is the reason."""
    if stands is Standing.NO_DAMON:
        return f"DAMON cannot be used on {seen.name}, and {_no_reclaim(seen)}"
    if stands is Standing.PROTECTED and seen.has_reclaim_alone:
        return f"it is protected, and without DAMON on {seen.name} nothing watches it"
    return None


def out_of_reach(
    seen: DamonNode, planned: Planned, stands: Standing, why_not_swappable: str | None
) -> Iterator[str]:
    """Yield what cannot go of a pod that is to give up memory, each with the reason."""
    if stands in {*_UNTAKEN, Standing.PROTECTED}:
        return
    if why_not_swappable:
        yield f"anonymous memory: {why_not_swappable}"
    elif seen.has_reclaim_alone and seen.takes == "FilePages":
        yield f"anonymous memory: {SWAP_USED_UP}"
    if seen.mode == "Enforce" and not seen.takes and seen.lane_of(planned.uid) is not None:
        yield f"page cache that no process maps: {_no_reclaim(seen)}"


def _no_reclaim(seen: DamonNode) -> str:
    told = seen.memory_reclaim
    if told is None:
        return _NOT_SWITCHED_ON
    return "nothing goes by memory.reclaim" + (f" ({told.message})" if told.message else "")
