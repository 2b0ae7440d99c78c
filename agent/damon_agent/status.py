"""What the agent says about its node. Pure: facts in, `DamonNodeStatus` out."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from damon_agent.errors import AgentError
from damon_agent.facts import PodSwap
from damon_agent.kernel import ladder
from damon_agent.kernel.intent import Intent
from damon_agent.kernel.report import Fault, Report
from damon_agent.node.resolver import Resolution
from damon_agent.plans.plan import Latest, Plan, Said
from damon_contract.v1alpha1.model import Verdict, settle
from damon_contract.v1alpha1.node import (
    LIMITATIONS,
    MAX_POD_MESSAGE,
    MAX_PODS,
    SERVED_OTHERWISE,
    UNAVAILABLE,
    BrakeStatus,
    DamonNodeStatus,
    Kernel,
    Lane,
    Memory,
    MemoryReclaim,
    NodeCondition,
    NodeReason,
    PlannedContainer,
    PodReason,
    PodReclaim,
    PodStatus,
    Spared,
)
from damon_contract.v1alpha1.totals import Sums, Totals

_MESSAGE_CHARACTERS: Final = 1024
_SHOWN_FAULTS: Final = 4
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one tick has seen."""

    latest: Latest
    expired: bool
    """Whether the plan is older than `safety.maxPlanAge`."""
    intent: Intent | None
    resolution: Resolution
    report: Report | None
    """None before the driver's first step."""
    spared: Mapping[str, Spared] = field(default_factory=dict)
    """By uid: pods that the brake keeps from being reclaimed."""
    cold_bytes: Mapping[str, int] = field(default_factory=dict)
    """By uid, as far as it is known."""
    swap: Mapping[str, PodSwap] = field(default_factory=dict)
    """By uid, as far as it is known."""
    troubles: Mapping[str, AgentError] = field(default_factory=dict)
    """By uid: why the memory of a pod can't be seen, where a file is the reason."""
    unseen: int | None = None
    """Pods the brake can't see; None: there is no brake now."""
    over_limits: str = ""
    """Which limits of `safety` the node is over, so that every lane only watches."""
    memory_reclaim: MemoryReclaim | None = None
    """What goes by memory.reclaim; None where it is not to be written."""
    reclaimed: Mapping[str, PodReclaim] = field(default_factory=dict)
    """By uid: pods that were asked for memory this way."""
    no_memory_reclaim: str = ""
    """Why nothing can go by memory.reclaim although it is to be written."""
    failure: Fault | None = None
    """Why the tick did not come to its end."""


def build(seen: Observation, *, previous: Said, now: str, release: str) -> DamonNodeStatus:
    """Return the status, with all details of all pods: not all may fit when it is written.

    `now` is RFC 3339, `previous` is what stands there; of another object it says nothing here.
    """
    plan, report = seen.latest.plan, seen.report
    newest = seen.latest.invalid or plan
    if newest is None or previous.uid != newest.uid:
        previous = Said()
    return DamonNodeStatus(
        observed_generation=plan.generation if plan else 0,
        observed_hash=plan.spec.hash if plan else "",
        conditions=settle(
            verdicts(seen, previous),
            previous.conditions,
            now=now,
            generation=newest.generation if newest else 0,
        ),
        kernel=report
        and Kernel(release=release, driver=report.driver_name, features=report.features),
        memory=_memory(seen.intent),
        lanes=_lanes(report, seen) if report else (),
        targets=sum(lane.targets for lane in report.lanes) if report else 0,
        brake=(
            None
            if seen.unseen is None
            else BrakeStatus(spared=len(seen.spared), unseen=seen.unseen)
        ),
        memory_reclaim=seen.memory_reclaim,
        totals=_totals(plan, seen) if plan else None,
        pods=_pods(plan, seen) if plan else (),
    )


def verdicts(seen: Observation, previous: Said) -> tuple[Verdict, ...]:
    """Return the four conditions of a node; each message says what is the case and what to do."""
    faults = _faults(seen)
    applied = _applied(seen, faults, previous)
    return (
        _ready(applied, faults),
        applied,
        _available(seen),
        _degraded(faults),
    )


def _faults(seen: Observation) -> list[Fault]:
    """Everything that holds part of the plan back, the most telling first."""
    faults: list[Fault] = []
    if seen.failure is not None:
        faults.append(seen.failure)
    if (invalid := seen.latest.invalid) is not None:
        stays = "the last readable plan stays in force" if seen.latest.plan else "nothing is tuned"
        faults.append(
            Fault(
                NodeReason.PLAN_INVALID,
                f"the plan is not readable, {stays}: {invalid.message}; "
                "are operator and agent of the same version?",
            )
        )
    if seen.expired and (plan := seen.latest.plan) is not None:
        age = plan.spec.settings.safety.max_plan_age
        faults.append(
            Fault(
                NodeReason.PLAN_EXPIRED,
                f"the API server has been out of reach for more than {age} "
                "(safety.maxPlanAge), so the schemes are off: "
                f"{seen.latest.trouble or 'no answer'}",
            )
        )
    if seen.report is not None:
        faults += sorted(seen.report.faults, key=lambda fault: fault.reason not in UNAVAILABLE)
    intent = seen.intent
    # First what may pass: a rollout waits for it, while a node without swap stays one.
    if intent is not None and intent.mode == "Enforce" and seen.over_limits:
        faults.append(
            Fault(
                NodeReason.SAFETY_LIMIT,
                f"every lane only watches until the node is well below: {seen.over_limits}",
            )
        )
    if intent is not None and intent.mode == "Enforce" and intent.action == "pageout":
        faults += [f for f in _swap_faults(intent) if f.reason not in {g.reason for g in faults}]
    if seen.no_memory_reclaim:
        faults.append(Fault(NodeReason.NO_MEMORY_RECLAIM, seen.no_memory_reclaim))
    # Of what only limits the plan a limit of the node comes first: meanwhile nothing goes, by
    # memory.reclaim neither.
    limit = NodeReason.SAFETY_LIMIT
    return sorted(faults, key=lambda f: (_only_limits(f, seen), f.reason is not limit))


def _only_limits(fault: Fault, seen: Observation) -> bool:
    """Say whether a plan may be in force in spite of it.

    So it is without DAMON where memory.reclaim serves the pods.
    """
    return fault.reason in LIMITATIONS or (fault.reason in SERVED_OTHERWISE and _serves(seen))


def _serves(seen: Observation) -> bool:
    return seen.memory_reclaim is not None and seen.memory_reclaim.takes != "Nothing"


def _without_damon(seen: Observation) -> bool:
    """Say whether memory.reclaim alone serves the pods."""
    faults = seen.report.faults if seen.report else ()
    return _serves(seen) and any(fault.reason in SERVED_OTHERWISE for fault in faults)


def _swap_faults(intent: Intent) -> Iterator[Fault]:
    if not intent.memory.swap_total_bytes:
        yield Fault(
            NodeReason.NO_SWAP,
            "the node has no swap: anonymous memory can't be given up, only clean file pages; "
            "add swap or zram and let the kubelet use it (NodeSwap)",
        )
    if intent.memory.swap_full:
        yield Fault(
            NodeReason.SWAP_FULL,
            "swap is used up: every lane only watches until 5 % of it is free again; "
            "add swap, or find out who fills it (memory.swap.current of each pod)",
        )


def _applied(seen: Observation, faults: Sequence[Fault], previous: Said) -> Verdict:
    """Say whether the plan is in force.

    Once it is, forks and exits, marks that follow the memory and pods that are spared are no news:
    they take a commit each, and what keeps one from its end is a fault. So it stays in force, also
    for an agent that starts again, if just this plan was found applied last.
    """
    kind = NodeCondition.APPLIED
    for fault in faults[:1]:
        if not _only_limits(fault, seen):
            return _verdict(kind, "False", fault.reason, fault.message)
    plan = seen.latest.plan
    applied = seen.report is not None and (seen.report.applied or _without_damon(seen))
    if not applied and not (plan is not None and previous.applied(plan)):
        return _verdict(kind, "False", NodeReason.APPLYING, "the plan is being written")
    if plan is None:
        return _verdict(kind, "False", NodeReason.NO_PLAN, "there is no plan for this node")
    if plan.spec.mode == "Off":
        return _verdict(kind, "True", NodeReason.OFF, "mode Off: nothing of ours is in the kernel")
    return _verdict(kind, "True", NodeReason.APPLIED, _summary(plan, seen))


def _by_reclaim(seen: Observation) -> str:
    if not _without_damon(seen) or seen.memory_reclaim is None:
        return ""
    all_memory = seen.memory_reclaim.takes == "AllMemory"
    return f"without DAMON, {'memory' if all_memory else 'page cache'} goes by memory.reclaim"


def _summary(plan: Plan, seen: Observation) -> str:
    running = {member.pod_uid for member in seen.intent.members} if seen.intent else set()
    held = sum(not _swappable(pod.containers, seen) for pod in plan.spec.pods)
    swap = f"{held} may not swap (memory.swap.max 0)" if held else ""
    if seen.intent is not None and not seen.intent.memory.swap_total_bytes:
        swap = "the node has no swap, so anonymous memory would not be given up"
    hindered, lost = len(_hindrances(plan, seen)), seen.resolution.unreadable
    parts = [
        _by_reclaim(seen),
        f"{len(running)} of {len(plan.spec.pods)} planned pods have processes",
        swap,
        f"{len(seen.spared)} are spared for a while (status.pods[].spared)" if seen.spared else "",
        f"the brake can't see {seen.unseen} (no memory.stat of cgroup v2)" if seen.unseen else "",
        f"{hindered} are not tuned as a whole (status.pods[].reason)" if hindered else "",
        f"{len(lost)} processes can't be read: {next(iter(lost.values()))}" if lost else "",
    ]
    return "; ".join(part for part in parts if part)


def _ready(applied: Verdict, faults: Sequence[Fault]) -> Verdict:
    """Ready has the status of Applied; of a plan in force it tells first what limits it."""
    if applied.status == "True" and faults:
        return _verdict(NodeCondition.READY, "True", faults[0].reason, faults[0].message)
    return applied.model_copy(update={"type": NodeCondition.READY.value})


def _available(seen: Observation) -> Verdict:
    kind = NodeCondition.DAMON_AVAILABLE
    if seen.report is None:
        return _verdict(kind, "Unknown", NodeReason.APPLYING, "the driver has not looked yet")
    for fault in seen.report.faults:
        if fault.reason in UNAVAILABLE:
            return _verdict(kind, "False", fault.reason, fault.message)
    return _verdict(
        kind, "True", NodeReason.AVAILABLE, f"DAMON is driven by {seen.report.driver_name}"
    )


def _degraded(faults: Sequence[Fault]) -> Verdict:
    kind = NodeCondition.DEGRADED
    if not faults:
        return _verdict(kind, "False", NodeReason.AS_EXPECTED, "nothing is held back")
    told = "; ".join(dict.fromkeys(fault.message for fault in faults[:_SHOWN_FAULTS]))
    return _verdict(kind, "True", faults[0].reason, told)


def _verdict(
    kind: NodeCondition,
    status: Literal["True", "False", "Unknown"],
    reason: NodeReason,
    message: str,
) -> Verdict:
    if len(message) > _MESSAGE_CHARACTERS:
        message = f"{message[: _MESSAGE_CHARACTERS - 3]}..."
    return Verdict(type=kind.value, status=status, reason=reason.value, message=message)


def _memory(intent: Intent | None) -> Memory | None:
    if intent is None:
        return None
    rungs = ladder.build(intent, ())
    return Memory(
        capacity_bytes=intent.memory.capacity_bytes,
        available_bytes=intent.memory.available_bytes,
        swap_total_bytes=intent.memory.swap_total_bytes,
        swap_free_bytes=intent.memory.swap_free_bytes,
        floor_permille=rungs.floor_permille,
        ceiling_permille=rungs.ceiling_permille,
    )


def _lanes(report: Report, seen: Observation) -> tuple[Lane, ...]:
    """Return the lanes with the cold memory of their pods and what they gave up, where known."""
    cold, out = Counter[int](), Counter[int]()
    for uid, kdamond in report.placed.items():
        if uid in seen.cold_bytes:
            cold[kdamond] += seen.cold_bytes[uid]
        swap = seen.swap.get(uid)
        if swap is not None and swap.given_up_bytes is not None:
            out[kdamond] += swap.given_up_bytes
    return tuple(
        lane.model_copy(
            update={
                "cold_bytes": cold.get(lane.kdamond),
                "given_up_bytes": _known_mib(out.get(lane.kdamond)),
            }
        )
        for lane in report.lanes
    )


def _totals(plan: Plan, seen: Observation) -> Totals:
    uids = {pod.uid for pod in plan.spec.pods}
    running = {member.pod_uid for member in seen.intent.members} if seen.intent else set()
    swap = [each for uid, each in seen.swap.items() if uid in uids]
    cold = [size for uid, size in seen.cold_bytes.items() if uid in uids]
    out = [each.given_up_bytes for each in swap if each.given_up_bytes is not None]
    back = [each.refaulted_bytes for each in swap if each.refaulted_bytes is not None]
    figures = Sums(
        *(len(running), len(seen.spared)),
        *(sum(cold), sum(out), sum(back)),
        *(len(cold), len(out), len(back)),
    )
    return Totals.of(len(uids), figures)


def _pods(plan: Plan, seen: Observation) -> tuple[PodStatus, ...]:
    counts = Counter(member.pod_uid for member in seen.intent.members) if seen.intent else Counter()
    has_swap = seen.intent is None or seen.intent.memory.swap_total_bytes > 0
    placed = seen.report.placed if seen.report else {}
    unknown = PodSwap(None, None)
    hindrances = _hindrances(plan, seen)
    unhindered = (None, None)
    return tuple(
        _pod(
            namespace=pod.namespace,
            name=pod.name,
            uid=pod.uid,
            priority=pod.priority,
            kdamond=placed.get(pod.uid),
            processes=counts[pod.uid],
            swappable=has_swap and _swappable(pod.containers, seen),
            cold_bytes=seen.cold_bytes.get(pod.uid),
            given_up_bytes=_known_mib((swap := seen.swap.get(pod.uid, unknown)).given_up_bytes),
            refaulted_bytes=_known_mib(swap.refaulted_bytes),
            spared=seen.spared.get(pod.uid),
            reclaim=seen.reclaimed.get(pod.uid),
            reason=hindrances.get(pod.uid, unhindered)[0],
            message=hindrances.get(pod.uid, unhindered)[1],
        )
        for pod in plan.spec.pods
    )


@lru_cache(maxsize=2 * MAX_PODS)
def _pod(**fields: Hashable) -> PodStatus:
    """Return the status of a pod: the same object as long as nothing of it changes.

    A status is built at every tick, and most pods stay as they are.
    """
    return PodStatus.model_validate(fields)


def whole_mib(size_bytes: int) -> int:
    """Round up: what moves by less is not worth a write, and only nothing reads 0."""
    return -(-size_bytes // _MIB) * _MIB


def _known_mib(size_bytes: int | None) -> int | None:
    return None if size_bytes is None else whole_mib(size_bytes)


def _hindrances(plan: Plan, seen: Observation) -> dict[str, tuple[PodReason, str]]:
    """Return by uid why pods are not tuned as a whole; most nodes have none."""
    found, troubles = seen.resolution, seen.troubles
    if not (found.troubles or found.left_out or troubles):
        return {}
    told: dict[str, tuple[PodReason, str]] = {}
    for pod in plan.spec.pods:
        names = {container.id: container.name for container in pod.containers}
        unread = [
            f"container {names[c]}: {found.troubles[c]}" for c in names if c in found.troubles
        ]
        left_out = sum(found.left_out.get(container, 0) for container in names)
        if pod.uid in troubles:
            unread.append(str(troubles[pod.uid]))
        if unread:
            told[pod.uid] = (PodReason.UNREADABLE, unread[0][:MAX_POD_MESSAGE])
        elif left_out:
            message = f"{left_out} of its processes are left out: the node has too many for DAMON"
            told[pod.uid] = (PodReason.TOO_MANY_PROCESSES, message)
    return told


def _swappable(containers: Sequence[PlannedContainer], seen: Observation) -> bool:
    """Say whether all of a pod's containers may swap; with one that may not, that is told."""
    unswappable = seen.resolution.unswappable
    return not unswappable or all(container.id not in unswappable for container in containers)
