"""What an explanation is made of, as the operator's own readers read it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damon_cli.damon_node import DamonNode
from damon_contract import names
from damon_operator import facts as read
from damon_operator.errors import BadObject
from damon_operator.facts import Namespace, Node, Part, Pod, Tuning
from damon_operator.planner.priorities import ResolvedPriority, Step, resolve, steps
from damon_operator.planner.rollout import ROLLED_OUT, RolloutReason, before
from damon_operator.planner.selection import Choice, choose, ranked

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """One pod and all that decides about it."""

    raw: Raw
    """The pod as the API server has it."""
    pod: Pod
    namespace: Namespace
    node: Node | None
    """None: it is not scheduled, or the Node is gone."""
    tunings: tuple[Tuning, ...]
    choice: Choice
    """The tunings that match the node, the governing one first."""
    damon_node: DamonNode | None
    newest: Tuning | None = None
    """The governing tuning with its newest spec, where the node waits for that and has the one
    before; None: it has the newest."""

    @property
    def verdict(self) -> ResolvedPriority | None:
        """Return what the planner decides; None if no tuning is known to govern the pod."""
        governor = self.choice.governor
        if governor is None or governor.spec is None:
            return None
        return resolve(self.pod, self.namespace, governor.spec.priorities)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the whole chain; none if no tuning is known to govern the pod."""
        governor = self.choice.governor
        if governor is None or governor.spec is None:
            return ()
        return tuple(steps(self.pod, self.namespace, governor.spec.priorities))


def gather(
    pod: Raw, namespace: Raw, node: Raw | None, tunings: Sequence[Raw], damon_node: Raw | None
) -> Facts:
    """Read what the API server has; raise BadObject when the pod cannot be read."""
    seen = DamonNode.of(damon_node) if damon_node is not None else None
    newest = tuple(map(read.read_tuning, tunings))
    every = tuple(_as_taken(tuning, seen) for tuning in newest)
    where = read.read_node(node) if node is not None else None
    choice = _choice(every, where)
    waits = where is not None and choice.governor is not None and choice.governor not in newest
    return Facts(
        raw=pod,
        pod=read.read_pod(pod, read.Pool(), _accounts(pod, seen)),
        namespace=read.read_namespace(namespace),
        node=where,
        tunings=every,
        choice=choice,
        damon_node=seen,
        newest=next((t for t in newest if waits and t.name == choice.matching[0]), None),
    )


def _as_taken(tuning: Tuning, seen: DamonNode | None) -> Tuning:
    """Return a tuning as the operator takes it for a node, which may wait for its newest spec."""
    has_newest = seen is not None and seen.revision == tuning.revision
    return tuning if has_newest else before(tuning) or tuning


def rolled_out(tuning: Tuning) -> tuple[str, str]:
    """Return the reason why some nodes wait for the newest spec of a tuning, and how far it is."""
    conditions = tuning.status.conditions if tuning.status is not None else ()
    for condition in conditions:
        if condition.type == ROLLED_OUT and condition.status == "False":
            return condition.reason, condition.message
    return RolloutReason.ROLLING_OUT.value, "the operator has not said yet how far it has come"


def _choice(tunings: Sequence[Tuning], node: Node | None) -> Choice:
    order = ranked(tunings)
    if node is not None:
        return choose(order, node.labels)
    # Without a node: as long as all tunings are for all nodes it is known all the same.
    everywhere = all(t.spec is not None and not t.spec.node_selector for t in order)
    return choose(order, ()) if everywhere else Choice((), None)


def _accounts(pod: Raw, damon_node: DamonNode | None) -> dict[tuple[str, str], Part]:
    """Return the pod's ServiceAccount as one of ours, if it is.

    Which ones are, only the operator's command line says. A label proves nothing, but with the
    plan it does: a pod of ours is in none.
    """
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    planned = damon_node is not None and damon_node.pod(str(metadata.get("uid"))) is not None
    if labels.get(names.PART_OF_LABEL) != names.PART_OF or planned:
        return {}
    account = str((pod.get("spec") or {}).get("serviceAccountName"))
    agent = labels.get("app.kubernetes.io/component") == "agent"
    return {(str(metadata.get("namespace")), account): Part.AGENT if agent else Part.OTHER}


__all__ = ["BadObject", "Facts", "gather", "rolled_out"]
