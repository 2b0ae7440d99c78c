"""The sums of a report. Pure: pods and DamonNodes in, sums by namespace, workload and more out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from damon_cli.damon_node import DamonNode, Planned
from damon_cli.report.pod_resources import limit_bytes, requested_bytes
from damon_contract.v1alpha1.node import NodeReason

_ENDED: Final = frozenset({"Succeeded", "Failed"})
NO_PLAN: Final = "in no plan"


@dataclass(frozen=True)
class PodMemory:
    """What is known of the memory of one pod. None: not known."""

    namespace: str
    workload: str
    """KIND/NAME."""
    requested_bytes: int
    limit_bytes: int | None
    """None: without a limit."""
    working_set_bytes: int | None = None
    """As metrics-server says."""
    priority: int | None = None
    """None: in no plan."""
    min_age: str = ""
    """`reclaim.minAge` of its node."""
    cold_bytes: int | None = None
    given_up_bytes: int | None = None


@dataclass(frozen=True)
class Sums:
    """Some pods, added up. None: known of none of them."""

    name: str
    pods: int
    planned: int
    """How many of them are in a plan."""
    measured: int
    """Of how many it is known what is cold."""
    requested_bytes: int
    limit_bytes: int
    """Of those that have a limit."""
    unlimited: int
    """How many have none."""
    working_set_bytes: int | None
    cold_bytes: int | None
    given_up_bytes: int | None
    """Out in swap."""
    cold_of_requested_permille: int | None
    """None: nothing is requested, or nothing is known. Too little where not all are measured."""


@dataclass(frozen=True)
class Age:
    """The cold memory of one `reclaim.minAge`: what was not touched for so long."""

    min_age: str
    pods: int
    cold_bytes: int


@dataclass(frozen=True)
class Account:
    """All pods, added up in several ways; each way holds every pod once."""

    total: Sums
    namespaces: tuple[Sums, ...]
    workloads: tuple[Sums, ...]
    priorities: tuple[Sums, ...]
    """Highest first."""
    ages: tuple[Age, ...]


def is_silent(node: DamonNode) -> bool:
    """Say whether what a node reports may not hold any more, or was never reported."""
    return not node.reported or node.ready.reason == NodeReason.AGENT_SILENT.value


def pods_memory(
    pods: Iterable[dict[str, Any]],
    nodes: Iterable[DamonNode],
    working_sets: Mapping[str, int],
    workload: Callable[[dict[str, Any]], str],
) -> list[PodMemory]:
    """Return the pods that hold memory of a node. `working_sets` is by NAMESPACE/NAME."""
    plans = {pod.uid: (node, pod) for node in nodes for pod in node.planned}
    found = []
    for raw in pods:
        ended = (raw.get("status") or {}).get("phase") in _ENDED
        if not ended and (raw.get("spec") or {}).get("nodeName"):
            metadata = raw["metadata"]
            shown = f"{metadata.get('namespace')}/{metadata.get('name')}"
            plan = plans.get(str(metadata.get("uid")))
            found.append(_pod(raw, plan, working_sets.get(shown), workload(raw)))
    return found


def account(pods: Sequence[PodMemory]) -> Account:
    """Return the sums; those with the most cold memory first."""
    ages: dict[str, list[int]] = {}
    for pod in pods:
        if pod.cold_bytes is not None:
            ages.setdefault(pod.min_age, []).append(pod.cold_bytes)
    return Account(
        total=_sums("total", pods),
        namespaces=_grouped(pods, lambda pod: pod.namespace),
        workloads=_grouped(pods, lambda pod: f"{pod.namespace}/{pod.workload}"),
        priorities=_by_priority(pods),
        ages=tuple(Age(age, len(sizes), sum(sizes)) for age, sizes in sorted(ages.items())),
    )


def _pod(
    raw: Mapping[str, Any],
    plan: tuple[DamonNode, Planned] | None,
    working_set_bytes: int | None,
    workload: str,
) -> PodMemory:
    node, planned = plan or (None, None)
    figures = None
    if node is not None and planned is not None and not is_silent(node):
        figures = node.figures.get(planned.uid)
    return PodMemory(
        namespace=str(raw["metadata"].get("namespace")),
        workload=workload,
        requested_bytes=requested_bytes(raw),
        limit_bytes=limit_bytes(raw),
        working_set_bytes=working_set_bytes,
        priority=planned.priority if planned else None,
        min_age=node.min_age if node else "",
        cold_bytes=figures.cold_bytes if figures else None,
        given_up_bytes=figures.given_up_bytes if figures else None,
    )


def _by(pods: Iterable[PodMemory], key: Callable[[PodMemory], Any]) -> dict[Any, list[PodMemory]]:
    groups: dict[Any, list[PodMemory]] = {}
    for pod in pods:
        groups.setdefault(key(pod), []).append(pod)
    return groups


def _by_priority(pods: Sequence[PodMemory]) -> tuple[Sums, ...]:
    groups = _by(pods, lambda pod: -1 if pod.priority is None else pod.priority)
    return tuple(
        _sums(NO_PLAN if priority < 0 else str(priority), those)
        for priority, those in sorted(groups.items(), reverse=True)
    )


def _grouped(pods: Sequence[PodMemory], key: Callable[[PodMemory], str]) -> tuple[Sums, ...]:
    sums = [_sums(name, those) for name, those in _by(pods, key).items()]
    return tuple(sorted(sums, key=lambda each: (-(each.cold_bytes or 0), each.name)))


def _sums(name: str, pods: Sequence[PodMemory]) -> Sums:
    requested = sum(pod.requested_bytes for pod in pods)
    cold = _known(pod.cold_bytes for pod in pods)
    return Sums(
        name=name,
        pods=len(pods),
        planned=sum(pod.priority is not None for pod in pods),
        measured=sum(pod.cold_bytes is not None for pod in pods),
        requested_bytes=requested,
        limit_bytes=sum(pod.limit_bytes or 0 for pod in pods),
        unlimited=sum(pod.limit_bytes is None for pod in pods),
        working_set_bytes=_known(pod.working_set_bytes for pod in pods),
        cold_bytes=cold,
        given_up_bytes=_known(pod.given_up_bytes for pod in pods),
        cold_of_requested_permille=(
            None if cold is None or not requested else cold * 1000 // requested
        ),
    )


def _known(sizes: Iterable[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None
