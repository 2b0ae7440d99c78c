"""The rows of `top`. Pure: DamonNodes and what else is known of pods in, rows out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from damon_cli.damon_node import DamonNode


class Grouping(StrEnum):
    """What a row stands for."""

    POD = "pod"
    NAMESPACE = "namespace"
    WORKLOAD = "workload"
    NODE = "node"
    PRIORITY = "priority"


class Order(StrEnum):
    """By what rows are sorted: the largest first, names from a on."""

    COLD = "cold"
    GIVEN_UP = "given-up"
    CAME_BACK = "came-back"
    CACHE_GONE = "cache-gone"
    WORKING_SET = "working-set"
    PRIORITY = "priority"
    NAME = "name"


@dataclass(frozen=True)
class Usage:
    """One pod, or several that share something. None: not known of any of them."""

    name: str
    pods: int
    processes: int
    priority: int
    """The lowest of them."""
    priority_most: int
    """The highest."""
    lane: str
    """Protected, Ladder or Eager, Mixed for several; empty: in no lane."""
    reclaimed_now: int
    """How many are in a lane that reclaims now."""
    spared: int
    by_reclaim: int
    """How many are in no lane, because memory.reclaim alone serves their node."""
    node: str | None = None
    """Of one pod."""
    working_set_bytes: int | None = None
    """In memory, as metrics-server says."""
    cold_bytes: int | None = None
    given_up_bytes: int | None = None
    """Out in swap."""
    came_back_bytes: int | None = None
    """Was out in swap and was needed again, since the pods started."""
    came_back_per_minute_bytes: int | None = None
    """The same within the last minute; only while watching."""
    cache_gone_bytes: int | None = None
    """Page cache that went by memory.reclaim, since the agent started."""


@dataclass(frozen=True)
class PodInfo:
    """What the Pod itself says, where it was asked for."""

    workload: str
    """KIND/NAME, of its owner."""


_REPORT_S: Final = 60.0
"""Agents write figures at most so often: what a report adds came back within that time."""

Selected = Callable[[str, str], bool]
"""Says whether a pod is asked for, by its namespace and uid."""


def usages(
    nodes: Iterable[DamonNode],
    *,
    selected: Selected,
    working_sets: Mapping[str, int],
    infos: Mapping[str, PodInfo],
    rates: Mapping[str, int],
    grouping: Grouping,
) -> list[Usage]:
    """Return one row for each pod of the plans, or for each group of them.

    `working_sets` is by NAMESPACE/NAME; `infos` and `rates` (per minute) are by uid.
    """
    rows: dict[str, Usage] = {}
    for node in nodes:
        for pod in node.planned:
            if not selected(pod.namespace, pod.uid):
                continue
            shown = f"{pod.namespace}/{pod.name}"
            each = _of_pod(node, pod.uid, shown, pod.priority)
            each = replace(
                each,
                working_set_bytes=working_sets.get(shown),
                came_back_per_minute_bytes=rates.get(pod.uid),
            )
            info = infos.get(pod.uid)
            key = {
                Grouping.POD: shown,
                Grouping.NAMESPACE: pod.namespace,
                Grouping.WORKLOAD: f"{pod.namespace}/{info.workload if info else 'pod'}",
                Grouping.NODE: node.name,
                Grouping.PRIORITY: str(pod.priority),
            }[grouping]
            if grouping is Grouping.POD:
                key, name = pod.uid, shown
            else:
                name = key
                each = replace(each, name=name, node=None)
            rows[key] = _sum(rows[key], each) if key in rows else each
    return list(rows.values())


@dataclass
class Rates:
    """How much comes back per minute, from sums that agents report every minute or so."""

    per_minute: dict[str, int] = field(default_factory=dict)
    """By uid."""
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def saw(self, sums: Mapping[str, int], now_s: float) -> None:
        """Take the sums of this moment, by uid."""
        for uid, size in sums.items():
            before, at_s = self._seen.setdefault(uid, (size, now_s))
            if size != before:
                minutes = max(_REPORT_S, now_s - at_s) / 60
                self.per_minute[uid] = int(max(0, size - before) / minutes)
                self._seen[uid] = (size, now_s)
            elif uid not in self.per_minute or now_s - at_s > 2 * _REPORT_S:
                self.per_minute[uid] = 0


def ordered(rows: Iterable[Usage], order: Order) -> list[Usage]:
    """Return the rows, those first that a person wants to see first."""
    return sorted(rows, key=lambda row: (*_KEYS[order](row), row.name))


_KEYS: Final[Mapping[Order, Callable[[Usage], tuple[int, ...]]]] = {
    Order.COLD: lambda row: (-(row.cold_bytes or -1),),
    Order.GIVEN_UP: lambda row: (-(row.given_up_bytes or -1),),
    Order.CAME_BACK: lambda row: (
        -(row.came_back_per_minute_bytes or -1),
        -(row.came_back_bytes or -1),
    ),
    Order.CACHE_GONE: lambda row: (-(row.cache_gone_bytes or -1),),
    Order.WORKING_SET: lambda row: (-(row.working_set_bytes or -1),),
    Order.PRIORITY: lambda row: (-row.priority,),
    Order.NAME: lambda _: (),
}


def _of_pod(node: DamonNode, uid: str, shown: str, priority: int) -> Usage:
    known, lane = node.figures.get(uid), node.lane_of(uid)
    alone = node.has_reclaim_alone and node.role(priority) != "Protected"
    cache = known.reclaimed if known else None
    spared = (known and known.spared_until) or (alone and cache and cache.spared_until)
    return Usage(
        name=shown,
        pods=1,
        processes=known.processes if known else 0,
        priority=priority,
        priority_most=priority,
        lane=lane.role if lane else "",
        reclaimed_now=int(lane is not None and lane.active),
        spared=int(bool(spared)),
        by_reclaim=int(alone),
        node=node.name,
        cold_bytes=known.cold_bytes if known else None,
        given_up_bytes=known.given_up_bytes if known else None,
        came_back_bytes=known.refaulted_bytes if known else None,
        cache_gone_bytes=cache.file_bytes if cache else None,
    )


def _sum(one: Usage, other: Usage) -> Usage:
    return replace(
        one,
        pods=one.pods + other.pods,
        processes=one.processes + other.processes,
        priority=min(one.priority, other.priority),
        priority_most=max(one.priority_most, other.priority_most),
        lane=one.lane if one.lane == other.lane else "Mixed",
        reclaimed_now=one.reclaimed_now + other.reclaimed_now,
        spared=one.spared + other.spared,
        by_reclaim=one.by_reclaim + other.by_reclaim,
        working_set_bytes=_added(one.working_set_bytes, other.working_set_bytes),
        cold_bytes=_added(one.cold_bytes, other.cold_bytes),
        given_up_bytes=_added(one.given_up_bytes, other.given_up_bytes),
        came_back_bytes=_added(one.came_back_bytes, other.came_back_bytes),
        came_back_per_minute_bytes=_added(
            one.came_back_per_minute_bytes, other.came_back_per_minute_bytes
        ),
        cache_gone_bytes=_added(one.cache_gone_bytes, other.cache_gone_bytes),
    )


def _added(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
