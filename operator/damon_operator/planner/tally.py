"""Sums over the nodes of a tuning, kept up to date node by node instead of counted anew."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from damon_contract.v1alpha1.node import NodeCondition, NodeReason
from damon_contract.v1alpha1.totals import NOTHING, Sums
from damon_operator.facts import UNREADABLE, Written

NO_REPORT: Final = "NoReport"
"""Reason of a node whose agent has reported nothing yet."""
PLAN_PENDING: Final = "PlanPending"
"""Reason of a node whose agent speaks of an older plan."""
WRITE_FAILED: Final = "WriteFailed"
"""Reason of a node whose DamonNode cannot be written."""
PLAN_ALTERED: Final = "PlanAltered"
"""Reason of a node whose DamonNode is not stored as it was written."""
PLAN_FAILED: Final = "PlanFailed"
"""Reason of a node whose plan cannot be computed."""
CONTAINER_UNKNOWN: Final = "ContainerUnknown"
"""Reason of a node with running containers that cannot be found: see PodCounts."""

REASONS: Final = (
    *(NO_REPORT, PLAN_PENDING, WRITE_FAILED, PLAN_ALTERED, PLAN_FAILED, CONTAINER_UNKNOWN),
    UNREADABLE,
)
"""What a node can be held back by, besides the reasons that agents give."""

PASSING: Final = frozenset(
    {NodeReason.APPLYING.value, NodeReason.NO_PLAN.value, NO_REPORT, PLAN_PENDING}
)
"""Reasons that come with every new plan, and pass by themselves within seconds."""

_UNSUPPORTED: Final = frozenset({NodeReason.NO_DAMON.value, NodeReason.UNSUPPORTED.value})


class Row(NamedTuple):
    """What one node contributes."""

    node: str
    matching: tuple[str, ...]
    """Tunings that match it; the first one governs."""
    applied: bool
    degraded: bool
    unsupported: bool
    unreported: bool
    reasons: tuple[str, ...]
    """What holds it back, each once; while it is not applied the first one says why."""
    pods: Mapping[str, int]
    """How its pods got their priority how: fields of PodCounts."""
    agentless: bool = False
    """It has no plan, for want of an agent."""
    silent: bool = False
    """Its agent is not heard of any more."""
    revision: str = ""
    """Of the policy that its plan is made by; empty: its tuning has no rollout."""
    settled: bool = False
    """Whether it has carried out plans of this revision for `rollout.minReady`. Pods that come and
    go take nothing back from that."""
    late: bool = False
    """Whether it has not done so for much longer than that."""
    heard: bool = True
    """Whether its agent has reported on a plan of this revision; the reasons are of the one before
    otherwise."""
    figures: Sums = NOTHING


@dataclass
class Tally:
    """What the nodes of one tuning add up to."""

    matched: int = 0
    governed: int = 0
    applied: int = 0
    degraded: int = 0
    unsupported: int = 0
    unreported: int = 0
    agentless: int = 0
    silent: int = 0
    pods: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, dict[str, None]] = field(default_factory=dict)
    """Governed nodes by reason."""
    unready: dict[str, dict[str, None]] = field(default_factory=dict)
    """Governed nodes that are not applied, by the first of their reasons."""
    agentless_reasons: dict[str, dict[str, None]] = field(default_factory=dict)
    """Agentless nodes by reason."""
    figures: Sums = NOTHING
    """Sums over the governed nodes."""
    winners: Counter[str] = field(default_factory=Counter)
    """How many matched nodes which other tuning governs."""
    rows: dict[str, Row] = field(default_factory=dict)
    """Of the governed nodes."""

    def _governs(self, row: Row, sign: int) -> None:
        if sign > 0 and not row.agentless:
            self.rows[row.node] = row
        else:
            self.rows.pop(row.node, None)
        self.agentless += sign * row.agentless
        self.governed += sign * (not row.agentless)
        self.applied += sign * row.applied
        self.degraded += sign * row.degraded
        self.unsupported += sign * row.unsupported
        self.unreported += sign * row.unreported
        self.silent += sign * row.silent
        for step, number in row.pods.items():
            self.pods[step] += sign * number
        self.figures = self.figures.plus(row.figures, sign)
        _file(self.agentless_reasons if row.agentless else self.reasons, row.reasons, row, sign)
        if not row.applied and not row.agentless:
            _file(self.unready, row.reasons[:1], row, sign)


def _file(
    by_reason: dict[str, dict[str, None]], reasons: tuple[str, ...], row: Row, sign: int
) -> None:
    for reason in reasons:
        nodes = by_reason.setdefault(reason, {})
        if sign > 0:
            nodes[row.node] = None
        else:
            nodes.pop(row.node, None)
            if not nodes:
                del by_reason[reason]


@dataclass
class Tallies:
    """The tallies of all tunings and the rows they were made of."""

    _rows: dict[str, Row] = field(default_factory=dict)
    _of: dict[str, Tally] = field(default_factory=dict)

    def of(self, tuning: str) -> Tally:
        """Return the tally of a tuning."""
        return self._of.get(tuning, Tally())

    def all(self) -> Collection[Tally]:
        """Return every tally; each governed node counts as governed in exactly one of them."""
        return self._of.values()

    def put(self, node: str, row: Row | None) -> frozenset[str]:
        """Replace a node's row (None: the node is gone); return the tunings that may differ."""
        before = self._rows.get(node)
        if before == row:
            return frozenset()
        touched = {name for each in (before, row) if each for name in each.matching}
        if before is not None:
            self._add(before, -1)
        if row is None:
            self._rows.pop(node, None)
        else:
            self._rows[node] = row
            self._add(row, 1)
        return frozenset(touched)

    def _add(self, row: Row, sign: int) -> None:
        for position, name in enumerate(row.matching):
            tally = self._of.setdefault(name, Tally())
            tally.matched += sign
            if position == 0:
                tally._governs(row, sign)  # noqa: SLF001 - the two are one thing
            else:
                tally.winners[row.matching[0]] += sign
            if tally.matched == 0:
                del self._of[name]


def row(
    node: str,
    matching: tuple[str, ...],
    pods: Mapping[str, int],
    wanted_hash: str,
    written: Written | None,
    *,
    failure: str = "",
    revision: str = "",
) -> Row:
    """Return what a governed node contributes, from its wanted plan and its DamonNode.

    `failure` is the reason why the plan is not what it should be, if there is one.
    """
    conditions = {c.type: c for c in written.conditions} if written else {}
    unreported = written is None or not conditions
    current = written is not None and written.observed_hash == wanted_hash
    damon = conditions.get(NodeCondition.DAMON_AVAILABLE)
    applied = conditions.get(NodeCondition.APPLIED)
    degraded = conditions.get(NodeCondition.DEGRADED)
    ready = conditions.get(NodeCondition.READY)
    silent = ready is not None and ready.reason == NodeReason.AGENT_SILENT

    def reasons() -> Iterator[str]:
        if failure:
            yield failure
        if silent:
            yield NodeReason.AGENT_SILENT.value
        if unreported:
            yield NO_REPORT
        elif not current:
            yield PLAN_PENDING
        for condition, bad in ((damon, "False"), (applied, "False"), (degraded, "True")):
            if condition is not None and condition.status == bad:
                yield condition.reason
        if pods.get("container_unknown"):
            yield CONTAINER_UNKNOWN

    return Row(
        node=node,
        matching=matching,
        applied=(
            current
            and not failure
            and not silent
            and applied is not None
            and applied.status == "True"
        ),
        degraded=degraded is not None and degraded.status == "True",
        unsupported=(
            damon is not None and damon.status == "False" and damon.reason in _UNSUPPORTED
        ),
        unreported=unreported,
        reasons=tuple(dict.fromkeys(reasons())),
        pods=pods,
        figures=written.figures if written is not None else NOTHING,
        silent=silent,
        revision=revision,
    )


def agentless_row(node: str, matching: tuple[str, ...], reason: str) -> Row:
    """Return what a node contributes that has no plan, for want of an agent."""
    return Row(node, matching, False, False, False, False, (reason,), {}, agentless=True)
