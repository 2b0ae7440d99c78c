"""The one sentence at the end that a person can repeat. Pure."""

from typing import Final

from damon_cli.explain import by_reclaim
from damon_cli.explain.explanation import Memory, Neighbours, Placement, Standing
from damon_cli.explain.facts import Facts, rolled_out
from damon_cli.explain.standing import in_force
from damon_cli.remedies import remedy
from damon_cli.sizes import percent
from damon_contract.v1alpha1.tuning import MIN_AGE
from damon_operator.planner.rollout import RolloutReason


def say(
    facts: Facts,
    stands: Standing,
    priority: int | None,
    source: str | None,
    *,
    placement: Placement | None,
    memory: Memory | None,
) -> str:
    """Return how the pod stands and why, in one sentence."""
    now = in_force(facts) if stands is Standing.ROLLING_OUT else stands
    told = _by_its_plan(facts, now, priority, source, placement=placement, memory=memory)
    return f"{told}{_on_its_way(facts, stands)}."


def _by_its_plan(
    facts: Facts,
    stands: Standing,
    priority: int | None,
    source: str | None,
    *,
    placement: Placement | None,
    memory: Memory | None,
) -> str:
    shown = f"{facts.pod.namespace}/{facts.pod.name}"
    if stands in _SHORT:
        return f"{shown} {_SHORT[stands].format(node=facts.pod.node)}"
    if stands is Standing.EXEMPT:
        return (
            f"{shown} is in no plan, because {exempt_because(facts, source or '')}: "
            "it is neither watched nor reclaimed"
        )
    told = {
        Standing.NOT_GOVERNED: _not_governed,
        Standing.NO_AGENT: _no_agent,
        Standing.NO_DAMON: _no_damon,
    }.get(stands)
    if told is not None:
        return f"{shown} {told(facts)}"
    has = f"has priority {priority} by {named(source or '')}" if priority else "has a priority"
    return f"{shown} {has}: {_in_plan(facts, stands, placement, memory)}"


def _on_its_way(facts: Facts, stands: Standing) -> str:
    """Return what is to be known where the node waits for the newest spec of its tuning."""
    if facts.newest is None or stands in _NOTHING_TO_PLAN:
        return ""
    reason, _ = rolled_out(facts.newest)
    said = f"; {facts.pod.node} waits for the newest spec of dt/{facts.newest.name}"
    said += _ROLLOUT.get(reason, "")
    return said + ", and by that it may be reclaimed" * (stands is Standing.ROLLING_OUT)


_NOTHING_TO_PLAN: Final = frozenset({Standing.ENDED, Standing.NOT_RUNNING, Standing.NO_AGENT})
_ROLLOUT: Final = {
    RolloutReason.ROLLING_OUT.value: ", which goes from node to node",
    RolloutReason.HALTED.value: ", which has halted on its way",
    RolloutReason.PAUSED.value: ", which is paused on its way",
}


_SHORT: Final = {
    Standing.NOT_SCHEDULED: "has no node yet: it is planned for when it runs",
    Standing.ENDED: "has ended: there is nothing to reclaim",
    Standing.NOT_RUNNING: "is on {node}, but none of its containers runs: it is planned for when "
    "one does",
    Standing.OFF: "is left alone: the mode of the tuning that governs {node} is Off",
    Standing.NOT_FINDABLE: "is in no plan: the ids of its containers are not 64 hex digits, so its "
    "processes cannot be found",
}


def named(source: str) -> str:
    """Return what decided, in words."""
    kind, _, name = source.partition("/")
    if kind == "priorityClass" and not name:
        return "its priority value"
    return _NAMED.get(kind, source).format(name=name)


_NAMED: Final = {
    "annotation": "its annotation",
    "rule": "the rule {name}",
    "namespace": "the annotation of its namespace {name}",
    "priorityClass": "its PriorityClass {name}",
    "default": "the tuning's default",
}


def exempt_because(facts: Facts, source: str) -> str:
    """Return why a pod is exempt, in words."""
    kind, _, name = source.partition("/")
    governor = facts.choice.governor
    return _EXEMPT.get(kind, source).format(name=name, tuning=governor.name if governor else "")


_EXEMPT: Final = {
    "system-critical": "it is system-critical",
    "part of damon-operator": "it belongs to damon-operator itself",
    "annotation": "its owner asked for that (annotation damon-operator.io/exempt)",
    "namespace": "its namespace {name} is exempt",
    "runtimeClass": "it runs in a sandbox (RuntimeClass {name})",
    "rule": "the rule {name} of dt/{tuning} exempts it",
}


def _not_governed(facts: Facts) -> str:
    invalid = [t.name for t in facts.tunings if t.spec is None]
    if not facts.tunings:
        return "is left alone: there is no DamonTuning"
    if invalid and len(invalid) == len(facts.tunings):
        return f"is left alone: dt/{', dt/'.join(invalid)} cannot be read"
    return f"is left alone: no DamonTuning selects its node {facts.pod.node}"


def _no_agent(facts: Facts) -> str:
    if facts.node is None:
        return f"is left alone: there is no Node {facts.pod.node} any more"
    return f"is left alone: {remedy(facts.node.agentless).meaning} ({facts.pod.node})"


def _no_damon(facts: Facts) -> str:
    seen = facts.damon_node
    said = seen.available.message if seen is not None else ""
    told = f"is planned and not tuned: DAMON cannot be used on {facts.pod.node} ({said})"
    reclaim = seen.memory_reclaim if seen is not None else None
    if reclaim is not None and reclaim.message:
        told += f", and nothing goes by memory.reclaim ({reclaim.message})"
    return told


def _in_plan(
    facts: Facts, stands: Standing, placement: Placement | None, memory: Memory | None
) -> str:
    seen, node = facts.damon_node, facts.pod.node
    view = placement.memory_reclaim if placement is not None else None
    if stands in _HELD:
        by_cache = stands is Standing.SWAP_FULL and view is not None
        held = by_reclaim.SWAP_FULL if by_cache else _HELD[stands]
        return held.format(node=node, says=seen.ready.message if seen is not None else "")
    match stands:
        case Standing.NOT_PLANNED:
            return _NO_PLAN.format(node=node) if seen is None else _NOT_IN_PLAN.format(node=node)
        case Standing.NOT_TAKEN:
            why = seen.ready.message if seen is not None and seen.ready.status == "False" else ""
            return f"it is planned, and not in the kernel of {node} yet" + (f": {why}" * bool(why))
        case Standing.PROTECTED:
            return _protection(facts, placement)
        case Standing.SPARED:
            return _spared(memory)
        case _:
            return _reclaim(facts, stands, placement, memory)


_HELD: Final = {
    Standing.LEFT_OUT: "it is left out, because {node} runs more pods than fit into a plan",
    Standing.AGENT_SILENT: "it is planned, but the agent of {node} is silent: what holds there is "
    "not known",
    Standing.NO_PROCESS: "it is planned, but the agent of {node} finds no process of it",
    Standing.SAFETY_LIMIT: "nothing is taken on {node} for now, because it is over a limit of "
    "spec.safety ({says})",
    Standing.SWAP_FULL: "nothing is taken on {node} until some of its swap is free again, because "
    "it is used up",
}
_NO_PLAN: Final = (
    "{node} has no plan yet; the operator may be behind, or the agent's pod there has never started"
)
_NOT_IN_PLAN: Final = "it is not in the plan of {node} yet; the operator is behind"


def _protection(facts: Facts, placement: Placement | None) -> str:
    seen = facts.damon_node
    limit = seen.protect_from if seen is not None else 80
    planned = seen.pod(facts.pod.uid) if seen is not None else None
    why = f"from {limit} on a pod is protected"
    if planned is not None and planned.priority < limit and placement and placement.lane:
        why = "it shares its lane with a protected pod, for want of kdamonds"
    if placement is not None and placement.unserved:
        return f"{why}, so nothing is taken from it; {by_reclaim.UNWATCHED.format(placement.node)}"
    return f"{why}, so it is watched and never reclaimed"


def _spared(memory: Memory | None) -> str:
    if memory is not None and memory.spared_until is None:
        why = by_reclaim.why_spared(memory)
        return f"it is spared until {memory.cache_spared_until} at least: {why}"
    why = (memory.spared_why if memory is not None else "") or "reclaim hurt it"
    until = memory.spared_until if memory is not None else ""
    return f"it is spared until {until} at least, because {why}"


def _reclaim(
    facts: Facts, stands: Standing, placement: Placement | None, memory: Memory | None
) -> str:
    if placement is not None and placement.memory_reclaim is not None and placement.lane is None:
        return by_reclaim.alone(placement, memory, stands, _order(placement))
    return _by_lane(facts, stands, placement, memory) + by_reclaim.beside(placement, memory)


def _by_lane(
    facts: Facts, stands: Standing, placement: Placement | None, memory: Memory | None
) -> str:
    seen, lane = facts.damon_node, placement.lane if placement is not None else None
    chosen = lane.min_age if lane is not None else None
    age = f"{chosen} (Auto)" if chosen else seen.min_age if seen is not None else ""
    takes = "paged out" if seen is None or seen.action == "pageout" else "put first in line"
    mark = lane.mark_permille if lane is not None else None
    here = placement.available_permille if placement is not None else None
    now = f"; {percent(here)} is available now" if here is not None else ""
    cold = f"memory that it has not touched for {age}"
    limit = f"less than {percent(mark)} of {facts.pod.node}'s memory is available" if mark else ""
    match stands:
        case Standing.OBSERVED:
            would = _would(lane.role if lane is not None else "", limit, takes)
            return (
                f"in mode Observe nothing is reclaimed; in mode Enforce {would}{now * bool(mark)}"
            )
        case Standing.EAGER:
            said = f"{cold} is {takes} at once, however much memory is available"
        case Standing.RECLAIMED:
            said = (
                f"{cold} is being {takes}, because {limit}{now}" if mark else f"{cold} is {takes}"
            )
        case _:
            asleep = by_reclaim.asleep(placement)
            said = f"{cold} is {takes} once {limit}{now}, so {asleep}" + _order(placement)
    if chosen and chosen != MIN_AGE:
        said += "; Auto waits for so long because memory of its lane was needed again"
    if memory is not None and not memory.swappable:
        said += f"; only clean file pages can go, because {memory.why_not_swappable}"
    return said


def _would(role: str, limit: str, takes: str) -> str:
    match role:
        case "Protected":
            return "it would be protected"
        case "Eager":
            return f"its cold memory would be {takes} at once"
        case _:
            return f"its cold memory would be {takes} once {limit}"


def _order(placement: Placement | None) -> str:
    """Say who comes first: what a person wants to hear when nothing happens to their pod."""
    first = placement.reclaimed_after if placement is not None else None
    return f"; {_those(first)} goes before it" if first is not None else ""


def _those(neighbours: Neighbours) -> str:
    return f"{neighbours.pods[0]} ({neighbours.priority})"
