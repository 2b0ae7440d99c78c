"""The plan of one node: the one place where tunings, pods and the node meet."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from damon_contract.v1alpha1.node import MAX_PODS, DamonNodeSpec, PlannedContainer, PlannedPod
from damon_operator.facts import Namespace, Node, Part, Pod, Tuning, spec_digest
from damon_operator.planner.priorities import Note, NoteReason, ResolvedPriority, Source, resolve
from damon_operator.planner.selection import choose

AGENT_NOT_STARTED: Final = "AgentNotStarted"
"""Reason of a node whose agent's pod has never started."""

_SHOWN_EXEMPT: Final = 8
"""Most pods named per reason for which they are in no plan."""
_SHOWN_REASONS: Final = 12

MAX_CONTAINERS: Final = 64
"""Most containers of one pod in a plan, as the CRD says."""


class ObjectNote(NamedTuple):
    """A note and the object it is about."""

    namespace: str
    """Empty: the object is in none."""
    name: str
    uid: str
    note: Note


class NodePlan(NamedTuple):
    """What is wanted of one node."""

    matching: tuple[str, ...]
    """The tunings whose nodeSelector matches; the first one governs."""
    spec: DamonNodeSpec | None
    """None: nothing governs this node, it shall have no DamonNode."""
    pods: Mapping[str, int]
    """How many pods got their priority how: fields of PodCounts."""
    notes: tuple[ObjectNote, ...]
    agentless: str = ""
    """Reason why a node that a tuning matches has no plan."""
    exempt: str = ""
    """Which pods are in no plan, by reason, for people: no part of the plan."""
    revision: str = ""
    """Of the policy that it is made by, where the tuning has a rollout: no part of the plan."""
    kept: bool = False
    """What is wanted is not known: the node keeps the plan that it has, or goes without."""


def plan(
    tunings: Sequence[Tuning],
    node: Node,
    pods: Collection[Pod],
    namespaces: Mapping[str, Namespace],
    *,
    reported: bool = True,
) -> NodePlan:
    """Return the plan of a node.

    `tunings` come from `selection.ranked`, `pods` are those bound to the node, in any order,
    `namespaces` are by name; `reported` says whether an agent has ever spoken of the node.
    Only pods that run at least one container take part.
    """
    choice = choose(tunings, node.labels)
    if choice.governor is None or choice.governor.spec is None:
        return NodePlan(choice.matching, None, {}, ())
    if agentless := node.agentless or ("" if reported else _not_started(pods)):
        return NodePlan(choice.matching, None, {}, (), agentless)
    spec = choice.governor.spec
    counts: Counter[str] = Counter()
    notes: set[ObjectNote] = set()
    exempt: dict[str, list[str]] = {}
    decided: list[tuple[int, Pod, str]] = []
    if spec.mode != "Off":
        for pod in pods:
            if pod.phase != "Running" or not (pod.containers or pod.unknown):
                continue
            space = namespaces.get(pod.namespace, Namespace(pod.namespace, ()))
            verdict = resolve(pod, space, spec.priorities)
            _count(verdict, counts)
            told = list(verdict.notes)
            if verdict.priority is not None:
                decided.append((verdict.priority, pod, verdict.source))
                if pod.unknown:
                    counts["container_unknown"] += len(pod.unknown)
                    told.append(_unknown(pod))
            else:
                exempt.setdefault(verdict.source, []).append(f"{pod.namespace}/{pod.name}")
            notes.update(
                ObjectNote(pod.namespace, pod.name, pod.uid, note)
                if note.kind == "Pod"
                else ObjectNote("", space.name, space.uid, note)
                for note in told
            )
    planned = _fill(decided)
    kept = sorted(planned[-MAX_PODS:], key=_place)
    wanted = DamonNodeSpec(
        tuning=choice.governor.name,
        mode=spec.mode,
        settings=spec.settings(),
        reserved_bytes=node.reserved_bytes,
        hash="",
        pods=tuple(kept),
        pods_left_out=len(planned) - len(kept),
    )
    hashed = wanted.model_copy(update={"hash": spec_digest(wire(wanted))})
    return NodePlan(
        choice.matching,
        hashed,
        +counts,
        tuple(sorted(notes)),
        exempt=_shown_exempt(exempt),
        revision=choice.governor.revision,
    )


def wire(spec: DamonNodeSpec) -> dict[str, Any]:
    """Return a plan as the API server is given it: camelCase, defaults written out, no nulls."""
    return spec.model_dump(mode="json", by_alias=True, exclude_none=True)


def _not_started(pods: Iterable[Pod]) -> str:
    """Return a reason if an agent's pod is bound to the node and none has ever started.

    With the chart's narrow mount it stays so where the kernel has no DAMON sysfs. The first plan
    comes when it starts; one that an agent knows is not taken back because its pod is replaced.
    """
    phases = {pod.phase for pod in pods if pod.part is Part.AGENT}
    return AGENT_NOT_STARTED if phases and "Running" not in phases else ""


def _shown_exempt(exempt: Mapping[str, Collection[str]]) -> str:
    """Return one line per reason, with the first few pods of each.

    Never an empty text: an annotation that the operator does not state would be anybody's.
    """
    if not exempt:
        return "none"
    lines = []
    for reason, pods in sorted(exempt.items()):
        named = sorted(pods)
        more = len(named) - _SHOWN_EXEMPT
        rest = f" and {more} more" if more > 0 else ""
        lines.append(f"{reason}: {', '.join(named[:_SHOWN_EXEMPT])}{rest}")
    left = len(lines) - _SHOWN_REASONS
    return "\n".join([*lines[:_SHOWN_REASONS], *([f"and {left} more reasons"] if left > 0 else [])])


def _unknown(pod: Pod) -> Note:
    named = ", ".join(pod.unknown)[:500]
    message = (
        f"the ids of the running containers {named} are not 64 hex digits: their processes cannot "
        "be found, so they are in no plan"
    )
    return Note(NoteReason.CONTAINER_UNKNOWN, message)


def _fill(decided: Iterable[tuple[int, Pod, str]]) -> list[PlannedPod]:
    """Return the planned pods, most important first, each container id in the first one only.

    An id that two pods claim (a mirror pod recreated under a new uid) goes to the more important
    one: to be spared by mistake costs memory, to be reclaimed by mistake costs latency.
    """
    claimed: set[bytes] = set()
    planned = []
    for priority, pod, source in sorted(decided, key=lambda d: (-d[0], *_place(d[1]))):
        containers: list[PlannedContainer] = []
        for container in sorted(pod.containers):
            if container.id not in claimed and len(containers) < MAX_CONTAINERS:
                claimed.add(container.id)
                containers.append(PlannedContainer(name=container.name, id=container.id.hex()))
        if containers:
            planned.append(
                PlannedPod(
                    namespace=pod.namespace,
                    name=pod.name,
                    uid=pod.uid,
                    priority=priority,
                    source=source,
                    containers=tuple(containers),
                )
            )
    return planned


def _place(pod: Pod | PlannedPod) -> tuple[str, str, str]:
    return (pod.namespace, pod.name, pod.uid)


def _count(verdict: ResolvedPriority, counts: Counter[str]) -> None:
    counts[verdict.step.value] += 1
    for note in verdict.notes:
        if note.reason is NoteReason.CLAMPED:
            counts["clamped"] += 1
        elif note.reason is NoteReason.REJECTED:
            counts["rejected"] += 1
        elif note.reason is NoteReason.EXEMPT_DENIED:
            counts["exempt_denied"] += 1


__all__ = ["NodePlan", "ObjectNote", "Source", "plan", "wire"]
