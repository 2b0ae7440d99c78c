"""What must be in the kernel, worked out from the manifests apart from operator and agent.

Written the other way round on purpose: rationals instead of integers, a pod at a time instead of a
plan. If this and the product agree, it is not because they share a mistake.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

Body = Mapping[str, Any]

_ANNOTATION: Final = "damon-operator.io/priority"
_EXEMPT: Final = "damon-operator.io/exempt"


@dataclass(frozen=True)
class Meter:
    """The memory of a simulated node, in bytes."""

    total: int
    free: int
    available: int
    reserved: int
    """Capacity minus allocatable memory of the Node object."""
    zone_high: int
    """Sum of the zones' high watermarks."""


@dataclass(frozen=True)
class ExpectedPod:
    """How one pod must be treated."""

    name: str
    source: str
    priority: int
    role: str
    """protected, ladder or eager."""
    mark: int | None
    """Per mille of capacity, of available memory; ladder only."""
    watermark: int | None
    """What the kernel compares free memory with; ladder only. 0 while more than the mark is
    available: then the lane sleeps."""
    action: str
    """Of the scheme that reclaims: pageout, stat while the lane sleeps, "" without one."""
    pids: frozenset[int]


def cluster_wide(
    pods: Iterable[Body],
    classes: Iterable[Body],
    namespaces: Iterable[Body],
) -> dict[str, tuple[int, str]]:
    """Return pod uid -> (priority, source) by examples/tuning.yaml, exempt pods left out."""
    values = {c["metadata"]["name"]: int(c["value"]) for c in classes}
    purposes = {
        n["metadata"]["name"]: n["metadata"].get("labels", {}).get("purpose") for n in namespaces
    }
    decided = {}
    for pod in pods:
        metadata = pod["metadata"]
        annotations = metadata.get("annotations") or {}
        if annotations.get(_EXEMPT) == "true" or metadata["namespace"] == "kube-system":
            continue
        written = annotations.get(_ANNOTATION, "")
        class_name = pod["spec"].get("priorityClassName", "")
        if written in {str(n) for n in range(1, 101)}:
            decided[metadata["uid"]] = (min(int(written), 75), "annotation")
        elif purposes.get(metadata["namespace"]) == "ci":
            decided[metadata["uid"]] = (10, "rule/ci")
        elif class_name:
            decided[metadata["uid"]] = (
                _of_class(values[class_name]),
                f"priorityClass/{class_name}",
            )
        else:
            decided[metadata["uid"]] = (50, "default")
    return decided


def _of_class(value: int) -> int:
    """50 plus or minus 49 ninths of a decade per power of ten."""
    decades = math.log10(1 + abs(value))
    steps = Fraction(49, 9) * Fraction(decades)
    return max(1, min(99, round(50 + steps if value >= 0 else 50 - steps)))


def on_node(
    pods: Mapping[str, tuple[str, frozenset[int]]],
    decided: Mapping[str, tuple[int, str]],
    meter: Meter,
    *,
    floor: int | None = None,
    ceiling: int = 600,
) -> tuple[ExpectedPod, ...]:
    """Return what must hold on a node whose pods are uid -> (name, pids).

    protectFrom 80, eagerUpTo 20, scaling Relative; a floor of None is found automatically.
    """
    here = {uid: decided[uid] for uid in pods if uid in decided}
    if floor is None:
        floor = math.ceil(Fraction(1000 * (meter.zone_high + meter.reserved), meter.total))
    least = min((priority for priority, _ in here.values()), default=1)
    shift = math.floor(Fraction(1000 * (meter.available - meter.free), meter.total))
    expected = []
    for uid, (priority, source) in here.items():
        name, pids = pods[uid]
        role = "protected" if priority >= 80 else "eager" if priority <= 20 else "ladder"
        mark = None
        if role == "ladder":
            # From priority 80 (the floor) down to the least important pod (the ceiling).
            height = Fraction(80 - priority, 80 - least)
            mark = math.floor(floor + height * (ceiling - floor))
        sleeps = mark is not None and 1000 * meter.available // meter.total >= mark
        told = 0 if sleeps or mark is None else max(0, min(1000, mark - shift))
        expected.append(
            ExpectedPod(
                name=name,
                source=source,
                priority=priority,
                role=role,
                mark=mark,
                watermark=None if mark is None else told,
                action="" if role == "protected" else "stat" if sleeps else "pageout",
                pids=pids,
            )
        )
    return tuple(sorted(expected, key=lambda pod: (pod.priority, pod.name)))
