"""Puts an explanation together from facts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from damon_cli.damon_node import DamonNode, Planned
from damon_cli.explain import sentence
from damon_cli.explain.chain import chain
from damon_cli.explain.explanation import (
    ContainerView,
    Explanation,
    Hint,
    LaneView,
    Memory,
    Neighbours,
    Placement,
    Standing,
)
from damon_cli.explain.facts import Facts, rolled_out
from damon_cli.explain.service import out_of_reach, reclaim_view, unserved
from damon_cli.explain.standing import in_force, standing
from damon_cli.remedies import remedy
from damon_contract.v1alpha1.node import NodeReason

_NAMED: Final = 3
"""Neighbours that are named."""
_STATUS_LISTS: Final = (
    "initContainerStatuses",
    "containerStatuses",
    "ephemeralContainerStatuses",
)


def explain(facts: Facts) -> Explanation:
    """Return the explanation of one pod."""
    governor, verdict = facts.choice.governor, facts.verdict
    how = governor.spec.priorities if governor is not None and governor.spec is not None else None
    seen = facts.damon_node
    planned = seen.pod(facts.pod.uid) if seen is not None else None
    stands = standing(facts)
    memory = _memory(seen, facts) if seen is not None else None
    placement = _placement(facts, memory) if facts.pod.node else None
    priority = verdict.priority if verdict is not None else None
    source = verdict.source if verdict is not None else None
    if verdict is None and planned is not None:
        priority, source = planned.priority, planned.source  # what stands, for want of a tuning
    hints = tuple(_hints(facts, stands, planned))
    return Explanation(
        namespace=facts.pod.namespace,
        name=facts.pod.name,
        uid=facts.pod.uid,
        standing=stands,
        sentence=sentence.say(facts, stands, priority, source, placement=placement, memory=memory),
        priority=priority,
        source=source,
        chain=chain(facts.pod, facts.steps, how) if how is not None else (),
        placement=placement,
        memory=memory,
        containers=_containers(facts, planned),
        hints=hints,
    )


def _placement(facts: Facts, memory: Memory | None) -> Placement:
    governor, seen = facts.choice.governor, facts.damon_node
    planned = seen.pod(facts.pod.uid) if seen is not None else None
    lane = seen.lane_of(facts.pod.uid) if seen is not None else None
    after, before = (None, None) if seen is None or planned is None else _around(seen, planned)
    place = Placement(
        node=facts.pod.node,
        tuning=governor.name if governor is not None else None,
        mode=governor.spec.mode if governor is not None and governor.spec is not None else None,
        overridden=facts.choice.matching[1:],
        available_permille=seen.available_permille if seen is not None else None,
        lane=None
        if lane is None
        else LaneView(
            lane.kdamond,
            lane.priorities,
            lane.role,
            lane.active,
            lane.mark_permille,
            lane.min_age or None,
        ),
        reclaimed_after=after,
        reclaimed_before=before,
    )
    if seen is None or planned is None or memory is None:
        return place
    stands = in_force(facts)
    return replace(
        place,
        memory_reclaim=reclaim_view(seen, planned, stands),
        unserved=unserved(seen, stands),
        out_of_reach=tuple(out_of_reach(seen, planned, stands, memory.why_not_swappable)),
    )


def _around(seen: DamonNode, planned: Planned) -> tuple[Neighbours | None, Neighbours | None]:
    """Return who is reclaimed right before a pod, and who right after it."""
    others = {pod.priority for pod in seen.planned}
    lower = max((p for p in others if p < planned.priority), default=None)
    higher = min((p for p in others if p > planned.priority), default=None)
    return _neighbours(seen, lower), _neighbours(seen, higher)


def _neighbours(seen: DamonNode, priority: int | None) -> Neighbours | None:
    if priority is None:
        return None
    named = [f"{p.namespace}/{p.name}" for p in seen.planned if p.priority == priority]
    return Neighbours(
        priority,
        protected=priority >= seen.protect_from,
        pods=tuple(named[:_NAMED]),
        more=max(0, len(named) - _NAMED),
    )


def _memory(seen: DamonNode, facts: Facts) -> Memory | None:
    known = seen.figures.get(facts.pod.uid)
    if known is None:
        return None
    cache = known.reclaimed
    cause = cache.spared_cause if cache is not None else None
    return Memory(
        processes=known.processes,
        swappable=known.swappable,
        why_not_swappable=None if known.swappable else _why_not_swappable(seen, facts.pod.qos),
        cold_bytes=known.cold_bytes,
        given_up_bytes=known.given_up_bytes,
        refaulted_bytes=known.refaulted_bytes,
        spared_until=known.spared_until,
        spared_cause=known.spared_cause,
        spared_why=_SPARED.get(known.spared_cause) if known.spared_cause else None,
        cache_gone_bytes=cache.file_bytes if cache is not None else None,
        working_set_gone_bytes=cache.working_set_bytes if cache is not None else None,
        cache_spared_until=cache.spared_until if cache is not None else None,
        cache_spared_cause=cause,
        cache_spared_why=_CACHE_SPARED.get(cause) if cause else None,
    )


_SPARED: Final[Mapping[str, str]] = {
    "Refaults": "too much of what was swapped out was needed again",
    "Pressure": "its processes waited for memory",
    "SwapRefused": "swap had no more room for it, because its memory.swap.max is reached",
}

_CACHE_SPARED: Final[Mapping[str, str]] = {
    "Refaults": "page cache came back because it was used",
    "Pressure": "its processes waited for memory",
}


def _why_not_swappable(seen: DamonNode, qos: str) -> str:
    if seen.swap_total_bytes == 0:
        return "its node has no swap"
    if qos in {"Guaranteed", "BestEffort"}:
        return (
            f"its memory.swap.max is 0: it is {qos}, and with LimitedSwap the kubelet gives swap "
            "to Burstable pods only"
        )
    return (
        "memory.swap.max of one of its containers is 0: the kubelet does not give it swap "
        "(NodeSwap, LimitedSwap; a container whose memory request equals its limit gets none)"
    )


def _containers(facts: Facts, planned: Planned | None) -> tuple[ContainerView, ...]:
    status = facts.raw.get("status") or {}
    known = {container.name for container in facts.pod.containers}
    in_plan = planned.containers if planned is not None else ()
    views = []
    for each in _STATUS_LISTS:
        for raw in status.get(each) or ():
            name, state = str(raw.get("name")), _state(raw.get("state") or {})
            views.append(
                ContainerView(
                    name, state, name in in_plan, _why_not(name, state, known, in_plan, facts)
                )
            )
    return tuple(views)


def _state(state: Mapping[str, Any]) -> str:
    for kind in ("running", "waiting", "terminated"):
        if (said := state.get(kind)) is not None:
            reason = str(said.get("reason") or "")
            return kind.capitalize() + (f": {reason}" if reason else "")
    return "Waiting"


def _why_not(
    name: str, state: str, known: set[str], in_plan: Sequence[str], facts: Facts
) -> str | None:
    if name in in_plan:
        return None
    if state != "Running":
        return "it does not run"
    if name not in known:
        return "its id is not 64 hex digits: its processes cannot be found"
    verdict = facts.verdict
    return "the pod is exempt" if verdict is not None and verdict.priority is None else "not yet"


def _hints(facts: Facts, stands: Standing, planned: Planned | None) -> list[Hint]:
    hints = []
    verdict, seen = facts.verdict, facts.damon_node
    if verdict is not None:
        hints += [Hint(note.reason, note.message) for note in verdict.notes]
    hints += [
        Hint("Invalid", f"dt/{t.name}: {t.problem}", remedy("Invalid").action)
        for t in facts.tunings
        if t.problem
    ]
    decided = (verdict.priority, verdict.source) if verdict is not None else None
    if planned is not None and decided not in {None, (planned.priority, planned.source)}:
        message = (
            f"the plan that stands says {planned.priority} by {planned.source}: the operator has "
            "not caught up, or is of another version than this program"
        )
        hints.append(Hint("PlanDiffers", message, "wait a moment and ask again"))
    if facts.newest is not None:
        reason, so_far = rolled_out(facts.newest)
        message = f"{facts.pod.node} has the spec before the newest of dt/{facts.newest.name}"
        hints.append(Hint(reason, f"{message}: {so_far}", remedy(reason).action))
    if seen is not None and planned is not None:
        if seen.reported and not seen.current:
            hints.append(Hint("PlanPending", *remedy("PlanPending")))
        held = seen.ready.reason in {NodeReason.SAFETY_LIMIT, NodeReason.SWAP_FULL}
        said = [seen.ready] if held or seen.ready.status != "True" else []
        said += [seen.available] if seen.has_reclaim_alone else []
        if stands is not Standing.NO_DAMON:
            hints += [
                Hint(each.reason, f"{seen.name}: {each.message}", remedy(each.reason).action)
                for each in said
            ]
    return hints
