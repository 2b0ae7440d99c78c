"""The rung of a pod by itself, which memory.reclaim goes by: a lane may be shared. Pure."""

from damon_agent.kernel.ladder import Ladder
from damon_cli.damon_node import DamonNode
from damon_contract.priorities import LOWEST, reclaim_rank


def mark_permille(seen: DamonNode, priority: int) -> int | None:
    """Return the mark of a priority by the agent's own arithmetic; None: none, or not known."""
    floor, ceiling = seen.floor_permille, seen.ceiling_permille
    if seen.role(priority) != "Ladder" or floor is None or ceiling is None:
        return None
    lowest = min([priority, *(pod.priority for pod in seen.planned)])
    ladder = Ladder(
        protect_from=seen.protect_from,
        eager_up_to=seen.eager_up_to,
        floor_permille=floor,
        ceiling_permille=ceiling,
        last_rank=reclaim_rank(lowest if seen.scaling == "Relative" else LOWEST),
    )
    return ladder.mark(priority)
