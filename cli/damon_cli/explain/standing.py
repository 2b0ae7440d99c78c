"""How a pod stands: the first thing that keeps it from being reclaimed, or that nothing does. Pure.

The order is that of the way from a pod to the kernel, so the answer names the first obstacle.
"""

from typing import Final

from damon_cli.damon_node import DamonNode
from damon_cli.explain.explanation import Standing
from damon_cli.explain.facts import Facts
from damon_cli.explain.rung import mark_permille
from damon_contract.v1alpha1.node import NodeReason
from damon_operator.planner.priorities import resolve

_UNRECLAIMED: Final = frozenset(
    {Standing.OFF, Standing.EXEMPT, Standing.OBSERVED, Standing.PROTECTED}
)
"""What a tuning says of pods that are not to be reclaimed."""
_HELD: Final = {
    NodeReason.SAFETY_LIMIT.value: Standing.SAFETY_LIMIT,
    NodeReason.SWAP_FULL.value: Standing.SWAP_FULL,
}
"""Reasons for which all lanes of a node only watch."""


def standing(facts: Facts) -> Standing:
    """Return how the pod stands."""
    now = in_force(facts)
    return Standing.ROLLING_OUT if now in _UNRECLAIMED and _is_to_come(facts) else now


def _is_to_come(facts: Facts) -> bool:
    """Say whether the pod may be reclaimed by the newest spec, for which its node waits."""
    spec = facts.newest.spec if facts.newest is not None else None
    if spec is None or spec.mode != "Enforce":
        return False
    priority = resolve(facts.pod, facts.namespace, spec.priorities).priority
    return priority is not None and priority < spec.protect_from


def in_force(facts: Facts) -> Standing:
    """Return how the pod stands by what its node has now, whatever is on its way there."""
    verdict = facts.verdict
    before = _on_the_way_to_a_plan(facts)
    if before is not None:
        return before
    if verdict is not None and verdict.priority is None:
        return Standing.EXEMPT
    if not facts.pod.containers:
        return Standing.NOT_FINDABLE
    seen = facts.damon_node
    if seen is None:
        return Standing.NOT_PLANNED
    if seen.pod(facts.pod.uid) is None:
        return Standing.LEFT_OUT if seen.left_out else Standing.NOT_PLANNED
    return _on_the_way_to_the_kernel(seen, facts.pod.uid) or _in_the_kernel(seen, facts.pod.uid)


def _on_the_way_to_a_plan(facts: Facts) -> Standing | None:
    pod, governor = facts.pod, facts.choice.governor
    if not pod.node:
        return Standing.NOT_SCHEDULED
    if pod.phase != "Running" or not (pod.containers or pod.unknown):
        ended = pod.phase in {"Succeeded", "Failed"}
        return Standing.ENDED if ended else Standing.NOT_RUNNING
    if governor is None or governor.spec is None:
        return Standing.NOT_GOVERNED
    if governor.spec.mode == "Off":
        return Standing.OFF
    return Standing.NO_AGENT if facts.node is None or facts.node.agentless else None


def _on_the_way_to_the_kernel(seen: DamonNode, uid: str) -> Standing | None:
    if not seen.reported or seen.ready.reason == NodeReason.AGENT_SILENT:
        return Standing.AGENT_SILENT
    if seen.without_damon and not seen.has_reclaim_alone:
        return Standing.NO_DAMON
    known = seen.figures.get(uid)
    if known is None:
        return Standing.NOT_TAKEN
    if not known.processes:
        return Standing.NO_PROCESS
    in_lane = seen.lane_of(uid) is not None
    return None if in_lane or seen.has_reclaim_alone else Standing.NOT_TAKEN


def _in_the_kernel(seen: DamonNode, uid: str) -> Standing:
    lane, planned = seen.lane_of(uid), seen.pod(uid)
    known = seen.figures[uid]
    own_role = seen.role(planned.priority) if planned is not None else ""
    # A lane that several priorities share behaves as its most important pod needs.
    role = lane.role if lane is not None else own_role
    protected = "Protected" in {role, own_role}
    if seen.mode == "Observe":
        return Standing.OBSERVED
    if not protected and seen.ready.reason in _HELD:
        return _HELD[seen.ready.reason]
    by_cache = known.reclaimed is not None and known.reclaimed.spared_until
    if known.spared_until or (lane is None and by_cache):
        return Standing.SPARED
    if protected:
        return Standing.PROTECTED
    if role == "Eager":
        return Standing.EAGER
    return Standing.RECLAIMED if _works(seen, uid) else Standing.WAITING


def _works(seen: DamonNode, uid: str) -> bool:
    """Say whether memory goes now: the lane says so, without one what is available does."""
    lane, planned = seen.lane_of(uid), seen.pod(uid)
    if lane is not None:
        return lane.active
    mark = mark_permille(seen, planned.priority) if planned is not None else None
    here = seen.available_permille
    return mark is not None and here is not None and here < mark
