"""Everything the operator knows, what it wants of each node, and which nodes to look at again.

No I/O and no tasks: streams and answers go in through methods, the service asks what to do. All
work is in proportion to what changed, never to the size of the cluster.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from damon_contract.v1alpha1.node import DamonNodeSpec
from damon_operator.facts import Namespace, Node, Pod, Tuning, Written, digest
from damon_operator.planner.plan import NodePlan, plan
from damon_operator.planner.rollout import before, progress, unknown_standing
from damon_operator.planner.selection import choose, ranked
from damon_operator.planner.tally import (
    PLAN_ALTERED,
    PLAN_FAILED,
    WRITE_FAILED,
    Row,
    Tallies,
    Tally,
    agentless_row,
    row,
)
from damon_operator.reconcile.readiness import Course, course


class Outline(NamedTuple):
    """What is kept of a plan. The plans of 2,000 nodes would be 200 MB; they are cheap to redo."""

    matching: tuple[str, ...]
    hash: str
    """Empty: nothing governs the node."""
    pods: Mapping[str, int]
    agentless: str = ""
    exempt: str = ""
    """Digest of what the plan says of exempt pods."""
    revision: str = ""
    """Of the policy that it is made by, where the tuning has a rollout."""
    kept: bool = False
    """It is the plan that the node has, whatever that is."""


class Apply(NamedTuple):
    """Write this plan, as a dependant of this node."""

    node: Node
    spec: DamonNodeSpec
    exempt: str = ""
    """What is to stand beside it about exempt pods."""
    revision: str = ""
    """What is to stand beside it about the policy that it is made by."""


class Delete(NamedTuple):
    """Delete the DamonNode with this uid: nothing governs the node, or it is gone."""

    name: str
    uid: str


@dataclass
class World:
    """Facts, plans and the marks on what has to be looked at again."""

    wake: Callable[[], None]
    """Called whenever there is something new to look at."""
    clock: Callable[[], float] = time.monotonic
    nodes: dict[str, Node] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    pods: dict[str, dict[str, Pod]] = field(default_factory=dict)
    """By node and uid."""
    tunings: dict[str, Tuning] = field(default_factory=dict)
    written: dict[str, Written] = field(default_factory=dict)
    plans: dict[str, Outline] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    """Nodes to plan anew."""
    unchecked: set[str] = field(default_factory=set)
    """Nodes whose DamonNode differs from the one seen before."""
    stale: set[str] = field(default_factory=set)
    """Tunings whose status may differ."""
    _relabelled: set[str] = field(default_factory=set)
    _ranked: tuple[Tuning, ...] = ()
    _failed: dict[str, str] = field(default_factory=dict)
    """Nodes whose plan could not be computed or written, and the reason."""
    _tallies: Tallies = field(default_factory=Tallies)
    _before: dict[str, Tuning] = field(default_factory=dict)
    """By name: what tunings that are rolled out are for the nodes that wait."""
    _unknown: set[str] = field(default_factory=set)
    """Tunings of which it is not known what they are for the nodes that wait."""
    _moved: set[str] = field(default_factory=set)
    """Tunings of which something has changed since their rollouts were looked at."""
    _let: dict[str, str] = field(default_factory=dict)
    """Nodes that may take a revision and are not planned with it yet."""
    _courses: dict[str, Course] = field(default_factory=dict)
    """How each node does with the revision that it has."""

    # What streams report: (old, new), None where there is none.

    def pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """Take a pod's change; touches the node it was on and the one it is on."""
        if old is not None:
            here = self.pods.get(old.node, {})
            here.pop(old.uid, None)
            if not here:
                self.pods.pop(old.node, None)
            self._touch(old.node)
        if new is not None:
            self.pods.setdefault(new.node, {})[new.uid] = new
            self._touch(new.node)

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """Take a node's change."""
        for each in (old, new):
            if each is not None:
                self._touch(each.name)
        if old is not None and (new is None or new.uid != old.uid):
            self._courses.pop(old.name, None)
        if new is not None:
            self.nodes[new.name] = new
        elif old is not None:
            self.nodes.pop(old.name, None)
            self._let.pop(old.name, None)

    def namespace_changed(self, old: Namespace | None, new: Namespace | None) -> None:
        """Take a namespace's change.

        Touches nodes only if its annotation changed, or a rule asks for labels of namespaces.
        """
        if new is not None:
            self.namespaces[new.name] = new
        elif old is not None:
            self.namespaces.pop(old.name, None)
        name = new.name if new is not None else old.name if old is not None else ""
        asked = (each.asked if each is not None else None for each in (old, new))
        if len(set(asked)) > 1 or any(_asks_namespaces(tuning) for tuning in self._ranked):
            self._relabelled.add(name)
            self.wake()

    def written_changed(self, old: Written | None, new: Written | None) -> None:
        """Take a DamonNode's change: somebody's write of the spec, or the agent's report."""
        if new is not None:
            name = new.name
            self.written[name] = new
        elif old is not None:
            name = old.name
            self.written.pop(name, None)
        else:
            return
        self.unchecked.add(name)
        self.wake()

    def tuning_changed(self, old: Tuning | None, new: Tuning | None) -> None:
        """Take a tuning's change; touches the nodes it matched or matches."""
        if new is not None:
            self.tunings[new.name] = new
            self.stale.add(new.name)
            self._moved.add(new.name)
        elif old is not None:
            self.tunings.pop(old.name, None)
        if _governing(old) != _governing(new):
            for each in (old, new):
                if each is not None:
                    self._before.pop(each.name, None)
                    self._unknown.discard(each.name)
            if new is not None and (waiting := before(new)) is not None:
                self._before[new.name] = waiting
            if new is not None and unknown_standing(new):
                self._unknown.add(new.name)
            self._ranked = ranked(self.tunings.values())
            changed = [tuning for tuning in (old, new) if tuning is not None]
            for node in self.nodes.values():
                if choose(changed, node.labels).matching:
                    self.dirty.add(node.name)
        self.wake()

    def everything(self) -> None:
        """Mark every node and tuning: the first look, once all collections are complete."""
        self.dirty |= self.nodes.keys() | self.written.keys()
        self.stale |= self.tunings.keys()
        self.wake()

    # What the service asks.

    def take_dirty(self) -> list[str]:
        """Return the nodes to plan anew, and forget the marks."""
        if self._relabelled:
            for node, pods in self.pods.items():
                if any(pod.namespace in self._relabelled for pod in pods.values()):
                    self.dirty.add(node)
            self._relabelled.clear()
        taken = sorted(self.dirty)
        self.dirty.clear()
        return taken

    def take_unchecked(self) -> list[str]:
        """Return the nodes whose DamonNode differs from what it was, and forget the marks."""
        taken = sorted(self.unchecked)
        self.unchecked.clear()
        return taken

    def replan(self, name: str) -> NodePlan:
        """Compute the plan of a node and note it; raise whatever keeps it from being computed."""
        try:
            planned = self._planned(name)
        except Exception:
            matching = choose(self._ranked, self.nodes[name].labels).matching
            self.plans[name] = self.plans.get(name, Outline((), "", {}))._replace(matching=matching)
            self.failed(name, PLAN_FAILED)
            raise
        if self._failed.get(name) == PLAN_FAILED:
            del self._failed[name]
        if name in self.nodes:
            self.plans[name] = self._outline(name, planned)
        else:
            self.plans.pop(name, None)
        self._let.pop(name, None)
        self.recount(name)
        return planned

    def recount(self, name: str) -> None:
        """Bring the tallies of the tunings that match a node up to date."""
        outline = self.plans.get(name)
        contribution = None
        if self._failed.get(name) == WRITE_FAILED and not self.is_due(name):
            del self._failed[name]  # a write whose answer got lost, or somebody else's
        failure = self._failed.get(name, "")
        if outline is not None and outline.agentless:
            contribution = agentless_row(name, outline.matching, outline.agentless)
        elif outline is not None and outline.matching and (outline.hash or outline.kept or failure):
            contribution = row(
                name,
                outline.matching,
                outline.pods,
                outline.hash,
                self.written.get(name),
                failure=failure,
                revision=outline.revision,
            )
            contribution = self._as_it_does(contribution)
        touched = self._tallies.put(name, contribution)
        if touched:
            self.stale |= touched
            self._moved |= touched
            self.wake()

    def advance(self) -> None:
        """Let further nodes take the newest spec of their tunings, as the rollouts allow."""
        moved, self._moved = self._moved, set()
        for name in moved & self._before.keys():
            far = progress(self.tunings[name], self.tally(name).rows.values())
            for node in far.next if far is not None else ():
                self._let[node] = self.tunings[name].revision
                self._touch(node)

    def ripen(self) -> None:
        """Look again at nodes that have to be Ready for a while with it, or are to be by now."""
        for name in self._before:
            for each in list(self.tally(name).rows.values()):
                if each.revision == self.tunings[name].revision and not each.settled:
                    self.recount(each.node)

    def tally(self, tuning: str) -> Tally:
        """Return what the nodes of a tuning add up to."""
        return self._tallies.of(tuning)

    def tallies(self) -> Collection[Tally]:
        """Return the tallies of all tunings."""
        return self._tallies.all()

    def is_due(self, name: str) -> bool:
        """Return whether the node's DamonNode is not what its plan wants."""
        node, written, outline = self.nodes.get(name), self.written.get(name), self.plans.get(name)
        if node is not None and outline is not None and outline.kept:
            return False
        if node is None or outline is None or not outline.hash:
            return written is not None
        return written is None or not is_stored(
            written, node, outline.hash, outline.exempt, outline.revision
        )

    def action(self, name: str) -> Apply | Delete | None:
        """Return what the node's DamonNode needs now, None when nothing.

        The plan is made of the facts of this moment, which may be newer than those `is_due` was
        asked about. Raises what `replan` does.
        """
        if not self.is_due(name):
            return None
        planned, node, written = self._planned(name), self.nodes.get(name), self.written.get(name)
        if planned.kept:
            return None
        if planned.spec is not None and node is not None:
            return Apply(node, planned.spec, planned.exempt, planned.revision)
        return Delete(name, written.uid) if written is not None else None

    def recovered(self, name: str) -> None:
        """Note that a write of this node's DamonNode succeeded."""
        if name in self._failed:
            del self._failed[name]
            self.recount(name)

    def rests(self, name: str) -> None:
        """Note that nothing is to be written of this node's DamonNode when that is tried again.

        Not sooner: what alters plans may do it after each write, and be seen to be right between.
        """
        if self._failed.get(name) == PLAN_ALTERED:
            self.recovered(name)

    def failed(self, name: str, reason: str) -> None:
        """Note why this node's plan is not computed, or not stored as it should be."""
        self._failed[name] = reason
        self.recount(name)

    def _planned(self, name: str) -> NodePlan:
        node = self.nodes.get(name)
        if node is None:
            return NodePlan((), None, {}, ())
        written = self.written.get(name)
        planned = plan(
            [self._as_taken(tuning, name) for tuning in self._ranked],
            node,
            self.pods.get(name, {}).values(),
            self.namespaces,
            reported=written is not None and bool(written.conditions),
        )
        governor = planned.matching[0] if planned.matching else ""
        kept = governor in self._unknown and not self._has(self.tunings[governor].revision, name)
        return planned._replace(kept=kept)

    def _outline(self, name: str, planned: NodePlan) -> Outline:
        if planned.kept and not planned.agentless:
            made, written = self.plans.get(name), self.written.get(name)
            return Outline(
                planned.matching,
                written.hash if written is not None else "",
                made.pods if made is not None else {},
                revision=written.revision if written is not None else "",
                kept=True,
            )
        return Outline(
            planned.matching,
            planned.spec.hash if planned.spec is not None else "",
            planned.pods,
            planned.agentless,
            digest(planned.exempt),
            planned.revision,
        )

    def _as_taken(self, tuning: Tuning, name: str) -> Tuning:
        """Return what a tuning is for a node: as it is now, or as it stood while the node waits."""
        waiting = self._before.get(tuning.name)
        return tuning if waiting is None or self._has(tuning.revision, name) else waiting

    def _has(self, revision: str, name: str) -> bool:
        """Return whether a node has a revision, and keeps it: nothing is taken back.

        It has by its DamonNode, or because that is about to be written.
        """
        written, outline = self.written.get(name), self.plans.get(name)
        return revision in (
            written and written.revision,
            outline and outline.revision,
            self._let.get(name),
        )

    def _as_it_does(self, row: Row) -> Row:
        """Return the row with how long the node has been well with its revision."""
        tuning = self.tunings.get(row.matching[0])
        asked = tuning.spec.rollout if tuning is not None and tuning.spec is not None else None
        if not row.revision or asked is None:
            self._courses.pop(row.node, None)
            return row
        now = self._courses[row.node] = course(
            self._courses.get(row.node), row, asked, self.clock()
        )
        return now.of(row)

    def _touch(self, node: str) -> None:
        self.dirty.add(node)
        self.wake()


def is_stored(written: Written, node: Node, wanted: str, exempt: str, revision: str = "") -> bool:
    """Return whether a DamonNode is the one of this node and holds the plan with this hash.

    `exempt` is the digest of what it is to say of exempt pods. Without a revision the label may
    be anybody's.
    """
    return (
        written.owner_uid == node.uid
        and written.hash == written.digest == wanted
        and written.exempt == exempt
        and revision in {"", written.revision}
    )


def _governing(tuning: Tuning | None) -> Mapping[str, object] | None:
    """Return what decides which nodes a tuning governs and how."""
    if tuning is None or tuning.spec is None:
        return None
    standing = before(tuning)
    return {
        "spec": tuning.spec,
        "created": tuning.created,
        "uid": tuning.uid,
        "standing": standing.revision if standing is not None else "",
        "unknown": unknown_standing(tuning),
    }


def _asks_namespaces(tuning: Tuning) -> bool:
    return tuning.spec is not None and any(
        rule.namespace_selector is not None for rule in tuning.spec.priorities.rules
    )
