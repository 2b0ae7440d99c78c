"""The rungs that a plan would have on a node, by the agent's own arithmetic. Pure."""

from dataclasses import dataclass

from damon_agent.facts import MemoryReading
from damon_agent.intents import intent
from damon_agent.kernel import ladder
from damon_agent.kernel.lanes.bands import KDAMONDS, bands
from damon_cli.damon_node import DamonNode
from damon_contract.v1alpha1.node import DamonNodeSpec


@dataclass(frozen=True)
class Rung:
    """One lane; where memory.reclaim is alone, one priority."""

    priorities: tuple[int, ...]
    role: str
    mark_permille: int | None
    """Of the capacity: less available, and it reclaims; Ladder only."""
    pods: tuple[str, ...]


@dataclass(frozen=True)
class NodeLadder:
    """All rungs of one node."""

    node: str
    mode: str
    floor_permille: int
    floor_known: bool
    """Whether the automatic floor has the kernel's own watermarks in it, which only the node's
    agent knows."""
    ceiling_permille: int
    available_permille: int | None
    """What is available now; None: no agent has said."""
    rungs: tuple[Rung, ...]
    """Least important first, as they go."""
    without_damon: bool = False
    """Whether DAMON cannot be used there, so that there are no lanes."""
    memory_reclaim: str | None = None
    """FilePages or AllMemory: what goes by memory.reclaim there; None: nothing."""


def node_ladder(
    node: str, spec: DamonNodeSpec, capacity_bytes: int, seen: DamonNode | None
) -> NodeLadder:
    """Return the ladder of a plan.

    `seen` is the node's DamonNode as it stands, for what only its agent knows.
    """
    wanted = intent(spec, (), _memory(spec, capacity_bytes, seen))
    names: dict[int, list[str]] = {}
    for pod in spec.pods:
        names.setdefault(pod.priority, []).append(f"{pod.namespace}/{pod.name}")
    rungs = ladder.build(wanted, names)
    alone = seen is not None and seen.has_reclaim_alone
    return NodeLadder(
        node=node,
        mode=spec.mode,
        floor_permille=rungs.floor_permille,
        floor_known=wanted.floor_permille is not None or _floor(seen) is not None,
        ceiling_permille=rungs.ceiling_permille,
        available_permille=seen.available_permille if seen is not None else None,
        rungs=tuple(
            Rung(
                band.priorities,
                band.role,
                band.mark_permille,
                tuple(pod for priority in band.priorities for pod in sorted(names[priority])),
            )
            for band in bands(names, rungs, max(KDAMONDS, len(names)) if alone else KDAMONDS)
        ),
        without_damon=seen is not None and seen.without_damon,
        memory_reclaim=(seen.takes or None) if seen is not None else None,
    )


def _floor(seen: DamonNode | None) -> int | None:
    """Return the automatic floor that the agent has found; None where it was set, or is unknown."""
    return seen.automatic_floor_permille if seen is not None else None


def _memory(spec: DamonNodeSpec, capacity_bytes: int, seen: DamonNode | None) -> MemoryReading:
    capacity = seen.capacity_bytes if seen is not None and seen.capacity_bytes else capacity_bytes
    found = _floor(seen)
    # The floor is the zones' watermarks and what the kubelet keeps back, as a share: so from the
    # floor that the agent reports the watermarks can be had again.
    kept = 0 if found is None else found * capacity // ladder.FULL
    return MemoryReading(
        capacity_bytes=capacity,
        free_bytes=seen.available_bytes if seen is not None else 0,
        available_bytes=seen.available_bytes if seen is not None else 0,
        zone_high_bytes=max(0, kept - spec.reserved_bytes),
        page_bytes=4096,  # no mark depends on it
        swap_total_bytes=(seen.swap_total_bytes if seen is not None else None) or 0,
    )
