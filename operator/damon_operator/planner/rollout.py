"""Which nodes take a changed tuning next: a few at a time, in a stable order (docs/adr/0023). Pure.

Everything follows from the nodes as they are: which revision each has, and whether it is well with
it. The order depends on names alone, so an operator that begins anew goes on where the last one
was, and one that looks again before its writes are answered chooses the same nodes.
"""

from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256
from heapq import nsmallest
from typing import Final, NamedTuple

from pydantic import JsonValue

from damon_contract.quantities import share_of
from damon_contract.v1alpha1.model import Verdict
from damon_contract.v1alpha1.node import SERVED_OTHERWISE, UNAVAILABLE, NodeReason
from damon_contract.v1alpha1.tuning import Policy
from damon_operator.facts import Tuning
from damon_operator.planner.tally import (
    CONTAINER_UNKNOWN,
    PASSING,
    PLAN_ALTERED,
    PLAN_FAILED,
    WRITE_FAILED,
    Row,
)
from damon_operator.stored_status import unreadable_standing

ROLLED_OUT: Final = "RolledOut"
"""The condition of a DamonTuning that has a rollout."""

_SPARED: Final = "Spared"
_HARMLESS: Final = PASSING | {
    NodeReason.NO_SWAP.value,
    NodeReason.NO_MEMORY_RECLAIM.value,
    CONTAINER_UNKNOWN,
}
"""Reasons that say nothing against the plan that a node has."""
_WITHOUT_DAMON: Final = frozenset(reason.value for reason in SERVED_OTHERWISE)
"""Nor do these where the plan is in force all the same: memory.reclaim serves the pods."""
_OWN: Final = frozenset(
    {
        *(reason.value for reason in UNAVAILABLE),
        NodeReason.AGENT_SILENT.value,
        NodeReason.STATE_UNWRITABLE.value,
        NodeReason.NODE_UNREADABLE.value,
        WRITE_FAILED,
    }
)
"""Reasons that a node has under any policy. All others may come of the one that stands, and the
newest may be what cures them."""
_UNDER_ANY: Final = _OWN | {PLAN_ALTERED, PLAN_FAILED}
"""Reasons that hold of a plan of which the agent has not spoken yet."""


class RolloutReason(StrEnum):
    """Why the condition RolledOut is what it is."""

    ROLLED_OUT = "RolledOut"
    ROLLING_OUT = "RollingOut"
    HALTED = "RolloutHalted"
    PAUSED = "RolloutPaused"


class State(StrEnum):
    """Where a node stands towards the newest revision."""

    WAITING = "Waiting"
    """It has another one, and may take the newest, also if it is not well with what it has."""
    APART = "Apart"
    """It is not well for a reason of its own, and has another one: it takes the newest last. Or it
    has the newest, and nobody has reported from it for long."""
    TAKING = "Taking"
    """It has the newest, and has not carried it out yet, or not for long enough."""
    SETTLED = "Settled"
    """It has carried out the newest for `minReady`."""
    FAILING = "Failing"
    """It has the newest, and is not well, or has not carried it out for much too long."""


class Progress(NamedTuple):
    """How far a tuning has come."""

    tuning: str
    revision: str
    governed: int
    updated: int
    """How many nodes have the newest revision."""
    most: int
    """So many nodes at once may be taking it."""
    paused: bool
    waiting: tuple[str, ...]
    apart: tuple[str, ...]
    taking: tuple[str, ...]
    settled: tuple[str, ...]
    failing: tuple[tuple[str, str], ...]
    """Each with the reason."""
    standing: bool
    """Whether the newest is what stands already: nobody has to wait."""
    unknown: str = ""
    """Why it is not known what nodes that wait go on with: see `unknown_standing`."""

    @property
    def complete(self) -> bool:
        """Return whether the newest is what stands from now on.

        Nodes that are not well do not keep it from that, as long as others are well with it.
        """
        left = self.waiting or self.taking or self.failing
        return self.standing or not self.governed or bool(self.settled and not left)

    @property
    def next(self) -> tuple[str, ...]:
        """Return the nodes that may take the newest revision now."""
        if self.complete or self.paused or self.failing or self.unknown:
            return ()
        free = max(0, self.most - len(self.taking))
        return tuple(nsmallest(free, self.waiting, key=lambda node: _place(self.tuning, node)))


def before(tuning: Tuning) -> Tuning | None:
    """Return what the tuning is for nodes that wait; None: nobody has to.

    mode Off never waits. A tuning of which nothing has stood yet is new everywhere.
    """
    spec, standing = tuning.spec, tuning.status.standing if tuning.status else None
    if spec is None or spec.rollout is None or spec.mode == "Off":
        return None
    if not isinstance(standing, Policy) or standing == spec.policy():
        return None
    stated = {name: getattr(standing, name) for name in Policy.model_fields}
    return tuning._replace(spec=spec.model_copy(update=stated), revision=standing.revision())


def unknown_standing(tuning: Tuning) -> str:
    """Return why nodes that have to wait keep the plans that they have, whatever these are.

    Something stood, and cannot be read. To take that for nothing would send a change to all nodes
    at once.
    """
    if tuning.spec is None or tuning.spec.rollout is None or tuning.spec.mode == "Off":
        return ""
    return unreadable_standing(tuning.status)


def progress(tuning: Tuning, rows: Iterable[Row]) -> Progress | None:
    """Return how far a tuning has come on the nodes that it governs; None: it has no rollout."""
    if tuning.spec is None or tuning.spec.rollout is None:
        return None
    asked = tuning.spec.rollout
    names: dict[State, list[str]] = {state: [] for state in State}
    reasons: dict[str, str] = {}
    updated = 0
    for row in rows:
        why = trouble(row, asked.max_spared_permille) or _lateness(row)
        updated += row.revision == tuning.revision
        names[_state(row, tuning.revision, why)].append(row.node)
        if why:
            reasons[row.node] = why
    governed = sum(map(len, names.values()))
    unknown = unknown_standing(tuning)
    return Progress(
        tuning=tuning.name,
        revision=tuning.revision,
        governed=governed,
        updated=updated,
        most=share_of(governed, asked.max_nodes),
        paused=asked.paused,
        waiting=tuple(names[State.WAITING]),
        apart=tuple(names[State.APART]),
        taking=tuple(sorted(names[State.TAKING])),
        settled=tuple(names[State.SETTLED]),
        failing=tuple((node, reasons[node]) for node in sorted(names[State.FAILING])),
        standing=not unknown and before(tuning) is None,
        unknown=unknown,
    )


def trouble(row: Row, most_spared_permille: int) -> str:
    """Return why a node is not well with the plan that it has; empty: nothing is known."""
    if not row.reasons and not row.figures.spared:
        return ""
    if not row.heard:
        return next((reason for reason in row.reasons if reason in _UNDER_ANY), "")
    harmless = _HARMLESS | _WITHOUT_DAMON if row.applied else _HARMLESS
    reason = next((reason for reason in row.reasons if reason not in harmless), "")
    spared, running = row.figures.spared, row.figures.running
    if not reason and spared * 1000 > most_spared_permille * running:
        return f"{_SPARED}: {spared} of {running} pods"
    return reason


def standing(tuning: Tuning, far: Progress | None) -> Policy | dict[str, JsonValue] | None:
    """Return what stands from now on, for the tuning's status; unread what cannot be read."""
    if tuning.spec is None or (far is not None and not far.complete):
        return tuning.status.standing if tuning.status else None
    return tuning.spec.policy()


def verdict(far: Progress) -> Verdict:
    """Return the condition that says how far a tuning has come."""
    if far.complete:
        message = f"all {far.governed} nodes have revision {far.revision}"
        if far.apart:
            message = f"revision {far.revision} stands; {len(far.apart)} nodes take it now"
        return _verdict("True", RolloutReason.ROLLED_OUT, message)
    so_far = f"{far.updated} of {far.governed} nodes have revision {far.revision}"
    if far.apart:
        so_far += f"; {len(far.apart)} that are not well are left apart (such as {min(far.apart)})"
    if far.unknown:
        message = f"{so_far}; halted because what stood last cannot be read ({far.unknown}): all "
        message += "others keep the plans that they have. Another version of the operator wrote it:"
        message += (
            " use that one; or let all take the newest at once by mode Off or without rollout"
        )
        return _verdict("False", RolloutReason.HALTED, message)
    if far.failing:
        node, why = far.failing[0]
        message = f"{so_far}; halted because node {node}: {why}. It goes on when that node is well"
        return _verdict("False", RolloutReason.HALTED, f"{message}; or restore the spec before")
    if far.paused:
        message = f"{so_far}; paused: no other node takes it (rollout.paused)"
        return _verdict("False", RolloutReason.PAUSED, message)
    if far.apart and not far.waiting and not far.taking:
        message = f"{so_far}; halted because no node is left that could show how it does: "
        message += "it goes on when one is well"
        return _verdict("False", RolloutReason.HALTED, message)
    waits = f"; at most {far.most} at a time"
    if far.taking:
        waits += f", waiting for {', '.join(far.taking[:3])}"
    return _verdict("False", RolloutReason.ROLLING_OUT, so_far + waits)


def _verdict(status: str, reason: RolloutReason, message: str) -> Verdict:
    return Verdict.model_validate(
        {"type": ROLLED_OUT, "status": status, "reason": reason.value, "message": message}
    )


def _state(row: Row, revision: str, why: str) -> State:
    if row.revision != revision:
        return State.APART if row.unreported or _is_ill(row) else State.WAITING
    if why:
        return State.FAILING
    if row.late:
        return State.APART  # unreported: by its budget alone it would hold up all others
    return State.SETTLED if row.settled else State.TAKING


def _lateness(row: Row) -> str:
    """Return why a node that reports is late; empty: it is not, or nobody reports from it."""
    if not row.late or row.unreported:
        return ""
    return f"{next(iter(row.reasons), NodeReason.APPLYING.value)} for too long"


def _is_ill(row: Row) -> bool:
    """Return whether a node is not well for a reason of its own."""
    own = _OWN - _WITHOUT_DAMON if row.applied else _OWN
    return not own.isdisjoint(row.reasons)


def _place(tuning: str, node: str) -> bytes:
    """Return what nodes are sorted by: names at random, but always the same way.

    Names in order would take one zone or pool after the other.
    """
    return sha256(f"{tuning}/{node}".encode()).digest()
