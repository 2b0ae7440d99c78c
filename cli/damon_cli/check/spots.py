"""Which nodes are checked, with pods of which priorities. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from damon_cli.status.condition import NodeRow

_MOST: Final = 3
"""Nodes that are checked unless others are asked for."""


@dataclass(frozen=True)
class Spot:
    """A node, and what its tuning lets a pod's owner ask for."""

    node: str
    tuning: str
    """Empty: none governs it."""
    low: int
    high: int
    action: str


def one_per_tuning(rows: Iterable[NodeRow]) -> list[str]:
    """Return a node of each tuning, a few at most; ready ones where there are any."""
    chosen: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: (row.tuning, row.ready != "True", row.name)):
        chosen.setdefault(row.tuning, row.name)
    return list(chosen.values())[:_MOST]


def spot(node: str, tuning: str, spec: Mapping[str, Any]) -> Spot:
    """Return what to check on a node, from the spec of the tuning that governs it.

    The lowest priority an owner may ask for is usually eager, so its cold memory goes without
    pressure; the highest is usually protected.
    """
    bounds = (spec.get("priorities") or {}).get("annotation") or {}
    return Spot(
        node=node,
        tuning=tuning,
        low=int(bounds.get("min") or 1),
        high=int(bounds.get("max") or 100),
        action=str((spec.get("reclaim") or {}).get("action") or "pageout"),
    )
