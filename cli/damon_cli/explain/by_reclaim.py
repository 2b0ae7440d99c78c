"""What memory.reclaim does to a pod, in words: alone, or beside its lane. Pure."""

from typing import Final

from damon_cli.explain.explanation import Memory, Placement, Standing
from damon_cli.sizes import percent

SWAP_FULL: Final = (
    "no anonymous memory is taken on {node} until some of its swap is free again, because it is "
    "used up; page cache still goes by memory.reclaim"
)
UNWATCHED: Final = "DAMON cannot be used on {}, so it is not watched either"
SWAP_USED_UP: Final = "the swap of its node is used up"


def taken(takes: str) -> str:
    """Return what goes this way."""
    return "page cache" if takes == "FilePages" else "page cache and anonymous memory"


def alone(placement: Placement, memory: Memory | None, stands: Standing, order: str) -> str:
    """Say how it serves a pod of a node without DAMON; `order`: who comes first there."""
    view, here = placement.memory_reclaim, placement.available_permille
    node, mark, takes = placement.node, view and view.mark_permille, view.takes if view else ""
    swaps = memory is None or memory.swappable
    goes = f"{taken(takes)} go" if swaps and takes != "FilePages" else "page cache goes"
    limit = f"less than {percent(mark)} of {node}'s memory is available" if mark else ""
    now = f"; {percent(here)} is available now" if here is not None else ""
    said = f"DAMON cannot be used on {node}, so its {goes} by memory.reclaim, a little at a time"
    if stands is Standing.EAGER:
        said += ", however much memory is available"
    elif stands is Standing.RECLAIMED:
        said += f", because {limit}{now}"
    elif limit:
        said += f" and in turn: once {limit}{now}, so nothing is taken{order}"
    else:
        said += f" and in turn: once less memory is available than its mark{order}"
    if goes != "page cache goes":
        return said
    why = (memory.why_not_swappable if memory is not None else "") or SWAP_USED_UP
    return f"{said}; its anonymous memory stays, because {why}"


def why_spared(memory: Memory) -> str:
    """Return why page cache of the pod is left alone."""
    return memory.cache_spared_why or memory.cache_spared_cause or "taking it hurt"


def beside(placement: Placement | None, memory: Memory | None) -> str:
    """Say what it does to a pod in a lane; nothing where it does nothing."""
    view, lane = (None, None) if placement is None else (placement.memory_reclaim, placement.lane)
    if view is None or lane is None:
        return ""
    if memory is not None and memory.cache_spared_until:
        until = memory.cache_spared_until
        return f"; its page cache is left alone until {until} at least: {why_spared(memory)}"
    if view.role == "Eager":
        when = "at once too" if lane.role == "Eager" else "at once"
    elif view.mark_permille is None:
        when = "in turn"
    else:
        same = view.mark_permille == lane.mark_permille
        below = f"once less than {percent(view.mark_permille)} is available"
        when = "at the same mark" if same else below
    return f"; its page cache goes by memory.reclaim, {when}"


def asleep(placement: Placement | None) -> str:
    """Say what a lane that sleeps comes to: by its own mark page cache of the pod may go."""
    view, lane = (None, None) if placement is None else (placement.memory_reclaim, placement.lane)
    same = view is None or lane is None or view.mark_permille == lane.mark_permille
    return "nothing is taken" if same else "its lane takes nothing"
