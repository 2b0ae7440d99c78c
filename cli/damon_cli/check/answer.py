"""The answer of a check: what came of each node, for programs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damon_cli.check.sample import Sample
from damon_cli.check.spots import Spot
from damon_cli.check.verdict import Phase, Subject, passed
from damon_cli.explain.explanation import Explanation


@dataclass(frozen=True)
class PodResult:
    """One of the two pods, as it was seen last. None: not known."""

    asked: int
    """The priority that its annotation asks for."""
    priority: int | None
    standing: str | None
    seconds: int
    """How long it has said something."""
    last: Sample | None


@dataclass(frozen=True)
class NodeResult:
    """What came of one node."""

    node: str
    tuning: str
    passed: bool
    phases: tuple[Phase, ...]
    low: PodResult
    high: PodResult


@dataclass(frozen=True)
class CheckAnswer:
    """What came of all nodes."""

    passed: bool
    namespace: str
    image: str
    nodes: tuple[NodeResult, ...]


def node_result(spot: Spot, low: Subject, high: Subject, phases: tuple[Phase, ...]) -> NodeResult:
    """Return what came of a node."""
    return NodeResult(
        node=spot.node,
        tuning=spot.tuning,
        passed=passed(phases),
        phases=phases,
        low=_pod(spot.low, low),
        high=_pod(spot.high, high),
    )


def subject(
    pod: Mapping[str, Any] | None,
    told: Explanation | None,
    samples: Sequence[Sample],
    unread: str = "",
) -> Subject:
    """Return what is known of one of the two pods; `pod` None: it is not there.

    `unread` says why its log could not be read.
    """
    status = (pod or {}).get("status") or {}
    ended = status.get("phase") in {"Failed", "Succeeded"}
    return Subject(told, samples, _problem(status) or unread, ended=ended or pod is None)


def _problem(status: Mapping[str, Any]) -> str:
    """Return why a pod does not run, in the words of kubelet and scheduler."""
    told = [status]
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        told += [state.get("waiting") or {}, state.get("terminated") or {}]
    words = (
        ": ".join(str(part[key]) for key in ("reason", "message") if part.get(key)) for part in told
    )
    return "; ".join(word for word in words if word)


def _pod(asked: int, subject: Subject) -> PodResult:
    told, last = subject.explanation, subject.samples[-1] if subject.samples else None
    return PodResult(
        asked=asked,
        priority=told.priority if told else None,
        standing=told.standing if told else None,
        seconds=last.second if last else 0,
        last=last,
    )
