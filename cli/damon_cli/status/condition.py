"""What `status` says. Pure: objects and table rows in, `Status` out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from damon_cli.remedies import remedy
from damon_contract.v1alpha1.node import NodeReason
from damon_operator.planner.rollout import ROLLED_OUT

NO_REPORT: Final = "NoReport"
"""Reason of a node whose agent has said nothing."""
_SILENT: Final = frozenset({NO_REPORT, NodeReason.AGENT_SILENT.value})
NO_TUNING: Final = "there is no DamonTuning: nothing happens until there is one"
_EXAMPLES: Final = 3


@dataclass(frozen=True)
class NodeRow:
    """A DamonNode as `kubectl get dn -o wide` has it."""

    name: str
    mode: str
    ready: str
    reason: str
    targets: int
    tuning: str
    driver: str = ""
    kernel: str = ""


@dataclass(frozen=True)
class TuningState:
    """One DamonTuning."""

    name: str
    mode: str
    ready: str
    """True, False or Unknown, as its condition says."""
    reason: str
    message: str
    matched: int
    governed: int
    applied: int
    pods: Mapping[str, int]
    """How pods got their priority, as in its status."""
    rollout: str | None = None
    """How far its newest spec has come; None: it has no rollout."""


@dataclass(frozen=True)
class NodeGroup:
    """The nodes of one reason."""

    reason: str
    ready: str
    nodes: int
    examples: tuple[str, ...]
    """Some of them, by name."""


@dataclass(frozen=True)
class Unmet:
    """Something that is not as it should be."""

    about: str
    """dt/NAME, or the nodes."""
    reason: str
    message: str
    action: str
    """What to do; empty: nothing."""


@dataclass(frozen=True)
class Status:
    """Everything on one screen."""

    ready: bool
    tunings: tuple[TuningState, ...]
    nodes: tuple[NodeGroup, ...]
    """Most frequent first."""
    targets: int
    """Processes in lanes, on all nodes."""
    silent: tuple[str, ...]
    """Nodes that have a plan and whose agent has said nothing, or nothing for a minute."""
    unmet: tuple[Unmet, ...]

    @property
    def waits_for(self) -> str:
        """Return what keeps it from being ready, in one line."""
        first = self.unmet[0] if self.unmet else None
        more = f" (and {len(self.unmet) - 1} more)" if len(self.unmet) > 1 else ""
        return f"{first.about}: {first.reason}: {first.message}{more}" if first else ""


def status(tunings: Sequence[Mapping[str, Any]], rows: Iterable[NodeRow]) -> Status:
    """Return the status of a cluster from its DamonTunings and the rows of its DamonNodes."""
    states = tuple(_tuning(raw) for raw in tunings)
    every = tuple(rows)
    groups = _groups(every)
    silent = tuple(row.name for row in every if row.reason in _SILENT)
    unmet = [*_unmet_tunings(states), *_unmet_nodes(groups)]
    if not states:
        action = "kubectl apply -f examples/tuning-observe.yaml measures and changes nothing"
        unmet.insert(0, Unmet("tunings", "NoTuning", NO_TUNING, action))
    return Status(
        ready=not unmet,
        tunings=states,
        nodes=groups,
        targets=sum(row.targets for row in every),
        silent=silent,
        unmet=tuple(unmet),
    )


def _tuning(raw: Mapping[str, Any]) -> TuningState:
    said = raw.get("status") or {}
    conditions = {c.get("type"): c for c in said.get("conditions") or ()}
    ready, nodes = conditions.get("Ready") or {}, said.get("nodes") or {}
    metadata = raw["metadata"]
    state, reason = str(ready.get("status") or "Unknown"), str(ready.get("reason") or NO_REPORT)
    message = str(ready.get("message") or "the operator has not looked at it yet: does it run?")
    if ready and int(said.get("observedGeneration") or 0) < int(metadata.get("generation") or 0):
        state, reason = "Unknown", "Applying"
        message = "the operator has not looked at the newest spec yet"
    return TuningState(
        name=str(metadata["name"]),
        mode=str((raw.get("spec") or {}).get("mode") or "Observe"),
        ready=state,
        reason=reason,
        message=message,
        matched=int(nodes.get("matched") or 0),
        governed=int(nodes.get("governed") or 0),
        applied=int(nodes.get("applied") or 0),
        pods={name: int(number) for name, number in (said.get("pods") or {}).items()},
        rollout=str((conditions.get(ROLLED_OUT) or {}).get("message") or "") or None,
    )


def _groups(rows: Sequence[NodeRow]) -> tuple[NodeGroup, ...]:
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        found.setdefault((row.reason, row.ready), []).append(row.name)
    groups = (
        NodeGroup(reason, ready, len(names), tuple(sorted(names)[:_EXAMPLES]))
        for (reason, ready), names in found.items()
    )
    return tuple(sorted(groups, key=lambda group: (-group.nodes, group.reason)))


def _unmet_tunings(states: Iterable[TuningState]) -> list[Unmet]:
    return [
        Unmet(f"dt/{state.name}", state.reason, state.message, remedy(state.reason).action)
        for state in states
        if state.ready != "True"
    ]


def _unmet_nodes(groups: Iterable[NodeGroup]) -> list[Unmet]:
    unmet = []
    for group in groups:
        if group.ready == "True":
            continue
        named = ", ".join(group.examples) + (", ..." if group.nodes > len(group.examples) else "")
        about = f"{group.nodes} node{'s' if group.nodes > 1 else ''} ({named})"
        said = remedy(group.reason)
        unmet.append(Unmet(about, group.reason, said.meaning, said.action))
    return unmet
