"""What a DamonTuning's status says, from the tally of its nodes."""

from collections.abc import Collection, Mapping
from enum import StrEnum

from damon_contract.v1alpha1.counts import NodeCounts, PodCounts, ReasonCount
from damon_contract.v1alpha1.model import Verdict, settle
from damon_contract.v1alpha1.node import NodeReason
from damon_contract.v1alpha1.rollout import RolloutStatus
from damon_contract.v1alpha1.totals import Totals
from damon_contract.v1alpha1.tuning import AnnotationBounds, DamonTuningStatus
from damon_operator.facts import Tuning
from damon_operator.planner import rollout
from damon_operator.planner.priorities import Source
from damon_operator.planner.tally import Tally


class Reason(StrEnum):
    """Every reason a DamonTuning's conditions can carry, besides those of the DamonNodes."""

    VALID = "Valid"
    INVALID = "Invalid"
    APPLIED = "Applied"
    APPLYING = "Applying"
    NO_NODES = "NoNodes"
    OVERRIDDEN = "Overridden"
    PARTLY_OVERRIDDEN = "PartlyOverridden"
    NOT_OVERRIDDEN = "NotOverridden"
    AS_EXPECTED = "AsExpected"
    POLICY_DIFFERS = "PolicyDiffers"
    UNINSTALLED = "Uninstalled"


def tuning_status(
    tuning: Tuning, tally: Tally, *, now: str, policy: AnnotationBounds | None = None
) -> DamonTuningStatus:
    """Return the status a tuning should have; `now` is RFC 3339 in UTC.

    `policy`: what the chart's admission policy lets owners ask for. Transition times are kept from
    `tuning.status` while a condition's status stays.
    """
    counts = _counted(tally.reasons)
    far = rollout.progress(tuning, tally.rows.values())
    verdicts = (
        _ready(tuning, tally, counts, far),
        _degraded(tally, counts),
        _overridden(tally),
        _valid(tuning, policy),
        *((rollout.verdict(far),) if far else ()),
    )
    previous = tuning.status.conditions if tuning.status else ()
    return DamonTuningStatus(
        observed_generation=tuning.generation,
        conditions=settle(verdicts, previous, now=now, generation=tuning.generation),
        nodes=NodeCounts(
            matched=tally.matched,
            governed=tally.governed,
            applied=tally.applied,
            degraded=tally.degraded,
            unsupported=tally.unsupported,
            unreported=tally.unreported,
            silent=tally.silent,
            agentless=tally.agentless,
        ),
        pods=PodCounts(**{name: tally.pods.get(name, 0) for name in PodCounts.model_fields}),
        totals=_totals(tally),
        reasons=_counted({**tally.reasons, **tally.agentless_reasons}),
        rollout=far
        and RolloutStatus(revision=far.revision, updated=far.updated, ready=len(far.settled)),
        standing=rollout.standing(tuning, far),
    )


def uninstalled_status(tuning: Tuning, *, now: str) -> DamonTuningStatus:
    """Return the status of a tuning that stays when the operator goes; nothing of it is in force.

    The next operator writes it anew.
    """
    gone = Verdict(
        type="Ready",
        status="False",
        reason=Reason.UNINSTALLED,
        message="damon-operator was uninstalled and every node is off; it resumes this tuning when "
        "it is installed again",
    )
    previous = tuning.status.conditions if tuning.status else ()
    return DamonTuningStatus(
        observed_generation=tuning.generation,
        conditions=settle((gone, _valid(tuning)), previous, now=now, generation=tuning.generation),
        nodes=NodeCounts(),
        pods=PodCounts(),
        totals=Totals(),
        standing=tuning.status.standing if tuning.status else None,
    )


def _totals(tally: Tally) -> Totals:
    steps = (step.value for step in Source if step is not Source.EXEMPT)
    return Totals.of(sum(tally.pods.get(step, 0) for step in steps), tally.figures)


def _counted(reasons: Mapping[str, Collection[str]]) -> tuple[ReasonCount, ...]:
    """Return the most frequent reasons, each with the number of its nodes and one of them."""
    frequent = sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        ReasonCount(reason=reason, nodes=len(nodes), example=min(nodes))
        for reason, nodes in frequent[:5]
    )


def _valid(tuning: Tuning, policy: AnnotationBounds | None = None) -> Verdict:
    if not tuning.problem:
        differs = _differs(tuning.spec.priorities.annotation, policy) if tuning.spec else ""
        reason = Reason.POLICY_DIFFERS if differs else Reason.VALID
        return Verdict(type="Valid", status="True", reason=reason, message=differs)
    effect = (
        "the tuning takes no part until this is mended"
        if tuning.spec is None
        else "the last valid spec stays in force"
    )
    message = f"{tuning.problem}; {effect}"
    return Verdict(type="Valid", status="False", reason=Reason.INVALID, message=message)


def _differs(bounds: AnnotationBounds, policy: AnnotationBounds | None) -> str:
    """Say how the bounds of a tuning differ from those that the admission policy judges by."""
    if policy is None:
        return ""
    ours = (bounds.min, bounds.max, bounds.may_exempt())
    theirs = (policy.min, policy.max, policy.may_exempt())
    if ours == theirs:
        return ""
    shown = [
        f"{low}..{high}{', and exempt pods' if exempt else ''}"
        for low, high, exempt in (ours, theirs)
    ]
    return (
        f"owners may ask for {shown[0]} here (priorities.annotation); the admission policy judges "
        f"by {shown[1]} (policies.annotations of the chart): state the same in both"
    )


def _overridden(tally: Tally) -> Verdict:
    lost = tally.matched - tally.governed - tally.agentless
    if lost == 0:
        return Verdict(type="Overridden", status="False", reason=Reason.NOT_OVERRIDDEN, message="")
    winners = sorted(
        ((number, name) for name, number in tally.winners.items() if number > 0),
        key=lambda each: (-each[0], each[1]),
    )
    named = ", ".join(f"{name} ({number})" for number, name in winners[:5])
    return Verdict(
        type="Overridden",
        status="True",
        reason=Reason.PARTLY_OVERRIDDEN if lost < tally.matched else Reason.OVERRIDDEN,
        message=f"{lost} of {tally.matched} matching nodes are governed by {named}, "
        "which comes first by precedence, age or name",
    )


def _degraded(tally: Tally, counts: tuple[ReasonCount, ...]) -> Verdict:
    if tally.degraded == 0 and tally.unsupported == 0:
        return Verdict(type="Degraded", status="False", reason=Reason.AS_EXPECTED, message="")
    return Verdict(
        type="Degraded",
        status="True",
        reason=counts[0].reason if counts else "Degraded",
        message=f"{tally.degraded} nodes are degraded, {tally.unsupported} offer no usable DAMON: "
        + _listed(counts),
    )


def _ready(
    tuning: Tuning, tally: Tally, counts: tuple[ReasonCount, ...], far: rollout.Progress | None
) -> Verdict:
    if tuning.problem:
        return Verdict(type="Ready", status="False", reason=Reason.INVALID, message=tuning.problem)
    without = ""
    if tally.agentless:
        without = f"{tally.agentless} nodes without an agent have no plan: "
        without += _listed(_counted(tally.agentless_reasons))
    if tally.governed == 0:
        return _governs_nothing(tally, without)
    if far is not None and not far.complete:
        return rollout.verdict(far).model_copy(update={"type": "Ready"})
    if tally.applied == tally.governed:
        limited = f"held back in part: {_listed(counts)}" if counts else ""
        message = "; ".join(
            filter(None, (f"all {tally.governed} nodes carry out the plan", limited, without))
        )
        reason = counts[0].reason if counts else Reason.APPLIED
        return Verdict(type="Ready", status="True", reason=reason, message=message)
    unready = _counted(tally.unready)
    message = f"{tally.applied} of {tally.governed} nodes carry out the plan: {_listed(unready)}"
    reason = unready[0].reason if unready else Reason.APPLYING
    # What is not known is neither done nor undone.
    unknown = tally.applied + tally.silent == tally.governed
    return Verdict(
        type="Ready",
        status="Unknown" if unknown else "False",
        reason=NodeReason.AGENT_SILENT if unknown else reason,
        message=message,
    )


def _governs_nothing(tally: Tally, without: str) -> Verdict:
    if tally.matched == 0:
        reason, message = Reason.NO_NODES, "no node has the labels of nodeSelector"
    elif without:
        reason, message = Reason.NO_NODES, without
    else:
        reason, message = Reason.OVERRIDDEN, "other tunings govern every matching node"
    return Verdict(type="Ready", status="False", reason=reason, message=message)


def _listed(counts: tuple[ReasonCount, ...]) -> str:
    return ", ".join(f"{c.reason} on {c.nodes} (such as {c.example})" for c in counts) or "-"
