"""What the API knows of a node, as facts: the Node, its DamonNode and its pods. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from damon_cli.damon_node import DamonNode
from damon_cli.doctor.facts import (
    Holder,
    NodeFacts,
    Owner,
    PodsBySwap,
    Reclaim,
    Said,
    SwapLimits,
    Takes,
    Unusable,
)
from damon_contract.quantities import quantity_bytes

Raw = Mapping[str, Any]

_UNPLANNED = frozenset({"NoPlan", "PlanExpired", "PlanInvalid", "Applying"})
"""Reasons for which the agent may have no plan, and so says nothing of memory.reclaim."""
_FOREIGN = {"DamonBusy": Owner.OTHER, "DamonStatEnabled": Owner.STAT}


def facts(node: Raw | None, damon_node: Raw | None, pods: Iterable[Raw] | None) -> NodeFacts:
    """Return what is known of a node; None: there is no such object, or it cannot be read."""
    known = NodeFacts() if damon_node is None else _of_agent(damon_node)
    of_node = NodeFacts() if node is None else _of_node(node)
    of_pods = NodeFacts(pods=None if pods is None else _by_swap(pods))
    return known.completed_by(of_node).completed_by(of_pods)


def _part(raw: Raw, *names: str) -> Raw:
    for name in names:
        part = raw.get(name)
        raw = part if isinstance(part, Mapping) else {}
    return raw


def _number(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(raw: Raw, name: str) -> str | None:
    return str(raw[name]) if raw.get(name) else None


def _of_node(raw: Raw) -> NodeFacts:
    info, capacity = _part(raw, "status", "nodeInfo"), _part(raw, "status", "capacity")
    system = _text(info, "operatingSystem")
    return NodeFacts(
        linux=None if system is None else system == "linux",
        release=_text(info, "kernelVersion"),
        memory_bytes=_sum(capacity, "memory") if "memory" in capacity else None,
        swap_total_bytes=_number(_part(info, "swap"), "capacity"),
        huge_bytes=_sum(capacity, "hugepages-") if "memory" in capacity else None,
    )


def _sum(capacity: Raw, start: str) -> int | None:
    try:
        return sum(quantity_bytes(str(v)) for name, v in capacity.items() if name.startswith(start))
    except ValueError:
        return None


def _of_agent(raw: Raw) -> NodeFacts:
    """Return what the agent says; of one that is silent only that it is."""
    node = DamonNode.of(raw)
    said = Said(node.ready.status, node.ready.reason or "NoReport", node.ready.message)
    if not node.reported or node.ready.status == "Unknown":
        return NodeFacts(agent=said)
    status = _part(raw, "status")
    kernel, memory = _part(status, "kernel"), _part(status, "memory")
    available, reason = node.available.status == "True", node.available.reason
    foreign = _FOREIGN.get(reason)
    holders = None
    if available:
        holders = (Holder(Owner.OURS, "damon-operator's agent"),)
    elif foreign:
        holders = (Holder(foreign, node.available.message or reason),)
    absent = reason == "NoDamon"
    # Both are files of cgroup v2.
    swapped = any(each.given_up_bytes is not None for each in node.figures.values())
    is_v2 = swapped or bool(node.takes)
    return NodeFacts(
        linux=True,
        release=_text(kernel, "release"),
        damon=False if absent else True if available or foreign else None,
        vaddr=True if available else None,
        features=tuple(map(str, kernel.get("features") or ())) if kernel else None,
        holders=holders,
        unusable=Unusable(reason, node.available.message) if node.without_damon else None,
        reclaim=_reclaim(node),
        agent=said,
        swap_total_bytes=_number(memory, "swapTotalBytes"),
        swap_free_bytes=_number(memory, "swapFreeBytes"),
        cgroup_version=2 if is_v2 else None,
        swap_limits=_swap_limits(node),
    )


def _reclaim(node: DamonNode) -> Reclaim | None:
    told = node.memory_reclaim
    if told is None:
        return None if node.ready.reason in _UNPLANNED else Reclaim(Takes.OFF)
    if told.takes not in set(Takes):
        return None
    takes = Takes(told.takes) if node.takes else Takes.NOTHING
    why = told.message or (node.available.message if node.without_damon else "")
    return Reclaim(takes, told.message if node.takes else why, due=node.mode == "Enforce")


def _swap_limits(node: DamonNode) -> SwapLimits | None:
    every = len(node.figures)
    nothing = sum(not each.swappable for each in node.figures.values())
    return SwapLimits("planned pods", every, nothing) if every else None


def _by_swap(pods: Iterable[Raw]) -> PodsBySwap:
    running = [pod for pod in pods if _part(pod, "status").get("phase") == "Running"]
    counts = Counter(_swap_class(pod) for pod in running)
    return PodsBySwap(**counts)


def _swap_class(pod: Raw) -> str:
    whole = {"Guaranteed": "guaranteed", "BestEffort": "best_effort"}
    if (found := whole.get(str(_part(pod, "status").get("qosClass")))) is not None:
        return found
    containers = _part(pod, "spec").get("containers") or ()
    return "fixed" if any(map(_is_fixed, containers)) else "burstable"


def _is_fixed(container: Raw) -> bool:
    limit = _part(container, "resources", "limits").get("memory")
    request = _part(container, "resources", "requests").get("memory", limit)
    return limit is not None and request == limit
