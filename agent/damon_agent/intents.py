"""A plan and what was found of it, in the kernel's units. Pure.

Durations and sizes stay as people write them up to here: this is the kernel's door.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from damon_agent.facts import MemoryReading, Process
from damon_agent.kernel.intent import Intent, Member
from damon_agent.node.resolver import Resolution
from damon_contract.quantities import microseconds, size_bytes
from damon_contract.v1alpha1.node import DamonNodeSpec, PlannedPod
from damon_contract.v1alpha1.tuning import MIN_AGE


def intent(
    spec: DamonNodeSpec,
    members: tuple[Member, ...],
    memory: MemoryReading,
    *,
    min_ages_us: Mapping[int, int] | None = None,
    grown_us: Mapping[Process, int] | None = None,
    halted: bool = False,
) -> Intent:
    """Return what a driver is to make true for this plan, these processes and this memory.

    `min_ages_us`: by priority, what the agent has chosen. `grown_us`: when processes were seen to
    have grown, of those that have. `halted`: the agent is about to end, or
    the node is over a limit of `safety`, so that every lane is only to watch. So it is while swap
    is used up: there is nowhere to page out to.
    """
    settings = spec.settings
    quota = settings.reclaim.quota
    return Intent(
        plan=spec.hash,
        mode=spec.mode,
        protect_from=settings.protect_from,
        eager_up_to=settings.eager_up_to,
        sample_us=microseconds(settings.monitoring.sample_interval),
        aggregation_us=microseconds(settings.monitoring.aggregation_interval),
        update_us=microseconds(settings.monitoring.update_interval),
        action=settings.reclaim.action,
        min_age_us=microseconds(settings.reclaim.min_age or MIN_AGE),
        quota_bytes=None if quota is None else size_bytes(quota.bytes),
        quota_window_us=(
            None if quota is None or quota.window is None else microseconds(quota.window)
        ),
        metric=settings.watermarks.metric,
        interval_us=microseconds(settings.watermarks.interval),
        floor_permille=settings.watermarks.floor_permille,
        ceiling_permille=settings.watermarks.ceiling_permille,
        scaling=settings.watermarks.scaling,
        reserved_bytes=spec.reserved_bytes,
        members=members,
        memory=memory,
        max_plan_age_us=microseconds(settings.safety.max_plan_age),
        min_ages_us=min_ages_us or {},
        grown_us=grown_us or {},
        halted=halted or (settings.reclaim.action == "pageout" and memory.swap_full),
    )


def members(pods: tuple[PlannedPod, ...], resolution: Resolution) -> tuple[Member, ...]:
    """Return the processes of the planned pods, in the order of the plan, each once.

    A process that two pods lay claim to goes to the more important one: reclaiming too late is
    the lesser evil.
    """
    owners: dict[Process, PlannedPod] = {}
    for pod in pods:
        for container in pod.containers:
            for process in resolution.processes.get(container.id, ()):
                owner = owners.get(process)
                if owner is None or pod.priority > owner.priority:
                    owners[process] = pod
    return tuple(Member(process, pod.uid, pod.priority) for process, pod in owners.items())


def spare(members: tuple[Member, ...], spared: Collection[str]) -> tuple[Member, ...]:
    """Return the members, with those of the pods `spared` (by uid) marked."""
    if not spared:
        return members
    return tuple(
        replace(member, spared=True) if member.pod_uid in spared else member for member in members
    )


def chooses_min_age(spec: DamonNodeSpec) -> bool:
    """Say whether the agent chooses how long memory must be idle before it goes."""
    settings = spec.settings
    return spec.mode == "Enforce" and settings.tuning == "Auto" and settings.reclaim.min_age is None


def unprotected(spec: DamonNodeSpec) -> frozenset[str]:
    """Return the uids of the pods that may be reclaimed."""
    return frozenset(pod.uid for pod in spec.pods if pod.priority < spec.settings.protect_from)


def homes(
    spec: DamonNodeSpec, resolution: Resolution, uids: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return the cgroup directories of the containers of planned pods, of those in `uids`."""
    return {
        pod.uid: tuple(
            resolution.homes[container.id]
            for container in pod.containers
            if container.id in resolution.homes
        )
        for pod in spec.pods
        if pod.uid in uids
    }
