"""What the planner makes of a cluster, with its tunings as they are and as they would be. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from damon_operator.facts import Namespace, Node, Pod, Tuning
from damon_operator.planner.plan import NodePlan, plan
from damon_operator.planner.priorities import resolve
from damon_operator.planner.selection import choose, ranked


@dataclass(frozen=True)
class ClusterFacts:
    """The facts that a forecast is made of; `tunings` apart, because they are what changes."""

    nodes: tuple[Node, ...]
    pods: Mapping[str, tuple[Pod, ...]]
    """By node."""
    namespaces: Mapping[str, Namespace]


class PlannedAs(NamedTuple):
    """What is decided about one pod."""

    priority: int | None
    """None: exempt."""
    source: str


@dataclass(frozen=True)
class Share:
    """What one tuning would govern."""

    tuning: str
    mode: str
    nodes: int
    pods: int
    nodes_now: int
    """How many nodes it governs as things stand."""


@dataclass(frozen=True)
class Group:
    """The pods of one priority under one tuning."""

    tuning: str
    priority: int
    role: str
    """Protected, Ladder or Eager."""
    pods: tuple[str, ...]
    """NAMESPACE/NAME."""


@dataclass(frozen=True)
class ExemptGroup:
    """The pods that are in no plan for one reason."""

    reason: str
    pods: tuple[str, ...]


@dataclass(frozen=True)
class PodNote:
    """Something about a pod's annotations: clamped, rejected, denied."""

    pod: str
    reason: str
    message: str


@dataclass(frozen=True)
class PodChange:
    """A pod whose priority, or the reason for it, would be another."""

    pod: str
    node: str
    before: str
    after: str


@dataclass(frozen=True)
class NodeChange:
    """Nodes that would be governed otherwise."""

    before: str
    """dt/NAME in mode MODE, or none."""
    after: str
    nodes: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Forecast:
    """What would be."""

    shares: tuple[Share, ...]
    groups: tuple[Group, ...]
    """Most important first."""
    exempt: tuple[ExemptGroup, ...]
    notes: tuple[PodNote, ...]
    node_changes: tuple[NodeChange, ...]
    pod_changes: tuple[PodChange, ...]
    settings_changed: tuple[str, ...]
    """Tunings whose settings for the agents would differ, without their priorities."""


Plans = Mapping[str, NodePlan]


def plans(cluster: ClusterFacts, tunings: Sequence[Tuning]) -> Plans:
    """Return the operator's plan of every node."""
    order = ranked(tunings)
    return {
        node.name: plan(order, node, cluster.pods.get(node.name, ()), cluster.namespaces)
        for node in cluster.nodes
    }


def forecast(cluster: ClusterFacts, now: Sequence[Tuning], then: Sequence[Tuning]) -> Forecast:
    """Return what the tunings `then` would make of the cluster, and what differs from `now`."""
    before, after = plans(cluster, now), plans(cluster, then)
    was, becomes = _said(cluster, now, before), _said(cluster, then, after)
    return Forecast(
        shares=tuple(_shares(before, after)),
        groups=tuple(_groups(after)),
        exempt=tuple(_exempt(becomes)),
        notes=tuple(_notes(after)),
        node_changes=tuple(_node_changes(before, after)),
        pod_changes=tuple(_pod_changes(was, becomes)),
        settings_changed=_settings_changed(now, then),
    )


def _shares(before: Plans, after: Plans) -> Iterator[Share]:
    nodes: Counter[tuple[str, str]] = Counter()
    pods: Counter[tuple[str, str]] = Counter()
    had = Counter(each.spec.tuning for each in before.values() if each.spec is not None)
    for each in after.values():
        if each.spec is not None:
            key = (each.spec.tuning, each.spec.mode)
            nodes[key] += 1
            pods[key] += len(each.spec.pods)
    for (name, mode), number in sorted(nodes.items()):
        yield Share(name, mode, number, pods[name, mode], had[name])


def _groups(after: Plans) -> Iterator[Group]:
    found: dict[tuple[int, str, str], list[str]] = {}
    for each in after.values():
        if each.spec is None:
            continue
        settings = each.spec.settings
        for pod in each.spec.pods:
            protected, eager = settings.protect_from, settings.eager_up_to
            role = "Ladder"
            if pod.priority >= protected:
                role = "Protected"
            elif pod.priority <= eager:
                role = "Eager"
            key = (pod.priority, each.spec.tuning, role)
            found.setdefault(key, []).append(f"{pod.namespace}/{pod.name}")
    for (priority, tuning, role), pods in sorted(found.items(), key=lambda x: (-x[0][0], x[0])):
        yield Group(tuning, priority, role, tuple(sorted(pods)))


def _said(
    cluster: ClusterFacts, tunings: Sequence[Tuning], made: Plans
) -> dict[tuple[str, str, str], PlannedAs | None]:
    """Return what is decided about every pod that runs on a governed node, by (pod, uid, node).

    Absent: its node is not governed, or the mode is Off.
    """
    order = ranked(tunings)
    found: dict[tuple[str, str, str], PlannedAs | None] = {}
    for node in cluster.nodes:
        spec = made[node.name].spec
        governor = choose(order, node.labels).governor
        if spec is None or spec.mode == "Off" or governor is None or governor.spec is None:
            continue
        planned = {pod.uid: PlannedAs(pod.priority, pod.source) for pod in spec.pods}
        for pod in cluster.pods.get(node.name, ()):
            if pod.phase != "Running" or not (pod.containers or pod.unknown):
                continue
            said = planned.get(pod.uid)
            if said is None:
                space = cluster.namespaces.get(pod.namespace, Namespace(pod.namespace, ()))
                verdict = resolve(pod, space, governor.spec.priorities)
                said = PlannedAs(None, verdict.source) if verdict.priority is None else None
            found[f"{pod.namespace}/{pod.name}", pod.uid, node.name] = said
    return found


def _exempt(said: Mapping[tuple[str, str, str], PlannedAs | None]) -> Iterator[ExemptGroup]:
    found: dict[str, list[str]] = {}
    for (pod, _, _), each in said.items():
        if each is not None and each.priority is None:
            found.setdefault(each.source, []).append(pod)
    for reason, pods in sorted(found.items()):
        yield ExemptGroup(reason, tuple(sorted(pods)))


def _notes(after: Plans) -> Iterator[PodNote]:
    for each in after.values():
        for note in each.notes:
            shown = f"{note.namespace}/{note.name}" if note.namespace else note.name
            yield PodNote(shown, note.note.reason, note.note.message)


def _node_changes(before: Plans, after: Plans) -> Iterator[NodeChange]:
    found: dict[tuple[str, str], list[str]] = {}
    for name, each in after.items():
        was, becomes = _governed(before[name]), _governed(each)
        if was != becomes:
            found.setdefault((was, becomes), []).append(name)
    for (was, becomes), names in sorted(found.items()):
        yield NodeChange(was, becomes, len(names), tuple(sorted(names)[:3]))


def _governed(made: NodePlan) -> str:
    if made.spec is None:
        return f"no plan ({made.agentless})" if made.agentless else "no tuning"
    return f"dt/{made.spec.tuning} in mode {made.spec.mode}"


def _pod_changes(
    was: Mapping[tuple[str, str, str], PlannedAs | None],
    becomes: Mapping[tuple[str, str, str], PlannedAs | None],
) -> Iterator[PodChange]:
    for key in sorted(was.keys() | becomes.keys()):
        before, after = _shown(was, key), _shown(becomes, key)
        if before != after:
            yield PodChange(key[0], key[2], before, after)


def _shown(said: Mapping[tuple[str, str, str], PlannedAs | None], key: tuple[str, str, str]) -> str:
    each = said.get(key)
    if each is None:
        return "in no plan"
    if each.priority is None:
        return f"exempt by {each.source}"
    return f"{each.priority} by {each.source}"


def _settings_changed(now: Sequence[Tuning], then: Sequence[Tuning]) -> tuple[str, ...]:
    old = {t.name: t.spec.settings() for t in now if t.spec is not None}
    return tuple(
        t.name
        for t in then
        if t.spec is not None and t.name in old and t.spec.settings() != old[t.name]
    )
