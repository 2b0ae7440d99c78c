"""What Prometheus gets to see of a node. Pure: what the other rooms hold, as metric families.

Everything is read when it is asked for. docs/adr/0010-metrics.md says why it is as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from damon_agent.facts import PodSwap
from damon_agent.kernel.ladder import FULL, permille
from damon_agent.kernel.tree.commands import Keyword, Outcome
from damon_agent.loop import Ticks
from damon_agent.plans.plan import Latest
from damon_agent.spans import spans
from damon_contract.quantities import microseconds
from damon_contract.v1alpha1.node import DamonNodeSpec, DamonNodeStatus, Lane, PodReason

_S: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Scrape:
    """What there is to tell at one moment."""

    now_us: int
    status: DamonNodeStatus
    latest: Latest
    cold_bytes: Mapping[str, int]
    """By uid of planned pods, as far as it is known; so is `swap`."""
    swap: Mapping[str, PodSwap]
    returned_bytes: Mapping[int, int]
    """By priority, what came back to pods since the agent started."""
    ticks: Ticks
    commands: Mapping[tuple[Keyword, Outcome], int]
    commands_under_way: int
    statuses_written: int
    statuses_failed: int
    by_pod: bool = False
    """Whether the figures of each pod are wanted, by its name."""


def families(seen: Scrape) -> Iterator[Metric]:
    """Yield the metrics. Their number has a bound, whatever runs on the node.

    Labels are words of the API, numbers of kdamonds and fixed spans of priorities. The name of a
    pod is one only if that is asked for; then there are at most MAX_PODS of them.
    """
    yield from _node(seen.status)
    yield from _kdamonds(seen.status)
    if (plan := seen.latest.plan) is not None:
        yield from _spans(plan.spec, seen)
        if seen.by_pod:
            yield from _pods(plan.spec, seen)
    yield from _plan(seen)
    yield from _work(seen)


def _node(status: DamonNodeStatus) -> Iterator[Metric]:
    holds = _gauge("condition", "Whether a condition of the DamonNode is True", "type")
    reasons = _gauge("condition_reason", "The reason each condition gives now", "type", "reason")
    for condition in status.conditions:
        holds.add_metric([condition.type], condition.status == "True")
        reasons.add_metric([condition.type, condition.reason], 1)
    yield holds
    yield reasons
    kernel = InfoMetricFamily("damon_agent_kernel", "The kernel, and how it is driven")
    if status.kernel is not None:
        said = {"release": status.kernel.release, "driver": status.kernel.driver}
        kernel.add_metric([], said)
    yield kernel
    if (memory := status.memory) is not None:
        yield _value("memory_capacity_bytes", "MemTotal less all huge pages", memory.capacity_bytes)
        yield _value("swap_total_bytes", "SwapTotal", memory.swap_total_bytes)
        if memory.swap_free_bytes is not None:
            yield _value("swap_free_bytes", "SwapFree", memory.swap_free_bytes)
        yield _value(
            "memory_available_ratio",
            "MemAvailable as a share of capacity, which marks are compared with",
            _ratio(permille(memory.available_bytes, memory.capacity_bytes)),
        )
    yield _value("targets", "Live processes in all lanes", status.targets)
    placed = sum(pod.kdamond is not None for pod in status.pods)
    yield _value("placed_pods", "Pods of the plan with a process in a lane", placed)
    held = sum(not pod.swappable for pod in status.pods)
    yield _value("unswappable_pods", "Pods of the plan whose anonymous memory cannot go", held)
    hindered = _gauge("hindered_pods", "Pods of the plan not tuned as a whole, by reason", "reason")
    for reason in PodReason:
        hindered.add_metric([reason], sum(pod.reason == reason for pod in status.pods))
    yield hindered
    if (reclaim := status.memory_reclaim) is not None:
        takes = _gauge("memory_reclaim", "What goes by memory.reclaim of pods' cgroups", "takes")
        takes.add_metric([reclaim.takes], 1)
        yield takes
        yield _total(
            "memory_reclaim_file_bytes",
            "Page cache that went by memory.reclaim",
            reclaim.file_bytes,
        )
        yield _total(
            "memory_reclaim_working_set_bytes",
            "By how much less the kubelet counts as in use for that",
            reclaim.working_set_bytes,
        )
    if (brake := status.brake) is not None:
        yield _value("spared_pods", "Pods the brake keeps from being reclaimed", brake.spared)
        yield _value("unseen_pods", "Pods the brake can see nothing of", brake.unseen)


def _kdamonds(status: DamonNodeStatus) -> Iterator[Metric]:
    running = _gauge("kdamond_running", "Whether the kdamond is on", "kdamond")
    targets = _gauge("kdamond_targets", "Live processes it watches", "kdamond")
    tried = _counter(
        "kdamond_tried_bytes", "Address space its schemes tried since they were set up", "kdamond"
    )
    applied = _counter(
        "kdamond_applied_bytes",
        "Part of it the kernel reported success for; not what was reclaimed",
        "kdamond",
    )
    # With the driver native one kdamond has all lanes.
    lanes: dict[int, list[Lane]] = {}
    for lane in status.lanes:
        lanes.setdefault(lane.kdamond, []).append(lane)
    for kdamond, carried in sorted(lanes.items()):
        labels = [str(kdamond)]
        running.add_metric(labels, any(lane.state == "on" for lane in carried))
        targets.add_metric(labels, sum(lane.targets for lane in carried))
        tried.add_metric(labels, sum(lane.tried_bytes for lane in carried))
        applied.add_metric(labels, sum(lane.applied_bytes for lane in carried))
    yield from (running, targets, tried, applied)


def _spans(spec: DamonNodeSpec, seen: Scrape) -> Iterator[Metric]:
    """Yield what is told by priority: for each span, whether or not a pod is in it.

    A lane comes and goes with its pods, a span does not: only the tuning's limits of the roles move
    it. What is known of no pod of a span is left out, for it is not 0.
    """
    which = ("role", "priorities")
    pods = _gauge("pods", "Planned pods", *which)
    cold = _gauge("cold_bytes", "Resident memory of pods that nothing has touched lately", *which)
    given_up = _gauge("given_up_bytes", "Anonymous memory of pods that is out in swap", *which)
    returned = _counter(
        "refaulted_bytes", "Anonymous memory that was out and came back to pods", *which
    )
    mark = _gauge(
        "mark_ratio",
        "Available memory, as a share of capacity, below which these pods are reclaimed from",
        *which,
    )
    min_age = _gauge(
        "min_age_seconds",
        "How long memory of these pods must be idle before it goes, where tuning: Auto chose that",
        *which,
    )
    reclaiming = _gauge("reclaiming", "Whether a lane of these pods reclaims now", *which)
    for span in spans(spec.settings.protect_from, spec.settings.eager_up_to):
        labels = [span.role, span.text]
        members = [pod.uid for pod in spec.pods if pod.priority in span]
        swap = [seen.swap[uid].given_up_bytes for uid in members if uid in seen.swap]
        lanes = [lane for lane in seen.status.lanes if any(p in span for p in lane.priorities)]
        marks = [lane.mark_permille for lane in lanes if lane.mark_permille is not None]
        ages = [microseconds(lane.min_age) for lane in lanes if lane.min_age is not None]
        pods.add_metric(labels, len(members))
        for family, known in (
            (cold, [seen.cold_bytes[uid] for uid in members if uid in seen.cold_bytes]),
            (given_up, [size for size in swap if size is not None]),
        ):
            if known or not members:
                family.add_metric(labels, sum(known))
        returned.add_metric(
            labels, sum(size for priority, size in seen.returned_bytes.items() if priority in span)
        )
        if marks:
            mark.add_metric(labels, _ratio(max(marks)))
        if ages:
            min_age.add_metric(labels, max(ages) / _S)
        reclaiming.add_metric(labels, any(lane.active for lane in lanes))
    yield from (pods, cold, given_up, returned, mark, min_age, reclaiming)


def _pods(spec: DamonNodeSpec, seen: Scrape) -> Iterator[Metric]:
    which = ("namespace", "pod")
    priority = _gauge("pod_priority", "Priority of a planned pod", *which)
    cold = _gauge("pod_cold_bytes", "Resident memory that nothing has touched lately", *which)
    given_up = _gauge("pod_given_up_bytes", "Anonymous memory that is out in swap", *which)
    refaulted = _counter(
        "pod_refaulted_bytes", "Anonymous memory that was out and came back", *which
    )
    # A pod that replaces one of its name may be planned beside it: a series is told once.
    for pod in {(pod.namespace, pod.name): pod for pod in spec.pods}.values():
        labels = [pod.namespace, pod.name]
        swap = seen.swap.get(pod.uid, PodSwap(None, None))
        priority.add_metric(labels, pod.priority)
        for family, size in (
            (cold, seen.cold_bytes.get(pod.uid)),
            (given_up, swap.given_up_bytes),
            (refaulted, swap.refaulted_bytes),
        ):
            if size is not None:
                family.add_metric(labels, size)
    yield from (priority, cold, given_up, refaulted)


def _plan(seen: Scrape) -> Iterator[Metric]:
    plan = seen.latest.plan
    if plan is None:
        return
    yield _value(
        "plan_age_seconds",
        "Time since the API server was last heard of",
        max(0, seen.now_us - seen.latest.contact_us) / _S,
    )
    yield _value(
        "plan_max_age_seconds",
        "Age at which the schemes go off (safety.maxPlanAge)",
        microseconds(plan.spec.settings.safety.max_plan_age) / _S,
    )


def _work(seen: Scrape) -> Iterator[Metric]:
    ticks = seen.ticks
    yield SummaryMetricFamily(
        "damon_agent_tick_seconds",
        "Passes of the loop, and the time they took",
        count_value=ticks.ended,
        sum_value=ticks.spent_us / _S,
    )
    yield _total("tick_failures", "Passes that did not come to their end", ticks.failed)
    yield _total("exits", "Targets that were seen to exit", ticks.exits)
    yield _total("grown", "Targets that had grown, so that their regions began anew", ticks.grown)
    commands = _counter(
        "commands", "Keywords written to a kdamond's state, by outcome", "keyword", "outcome"
    )
    # What clears the regions away is part of the question for them.
    asked = (word for word in Keyword if word is not Keyword.CLEAR_SCHEMES_TRIED_REGIONS)
    for keyword in asked:
        for outcome in Outcome:
            number = seen.commands.get((keyword, outcome), 0)
            commands.add_metric([keyword.value, outcome.value], number)
    yield commands
    yield _value(
        "commands_under_way", "Commands the kernel has not answered yet", seen.commands_under_way
    )
    writes = _counter("status_writes", "Writes of the DamonNode's status, by outcome", "outcome")
    writes.add_metric(["accepted"], seen.statuses_written)
    writes.add_metric(["failed"], seen.statuses_failed)
    yield writes


def _ratio(permille: int) -> float:
    """Return a share in Prometheus' base unit; `kubectl get` shows it in per mille."""
    return permille / FULL


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"damon_agent_{name}", about, labels=labels)


def _counter(name: str, about: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"damon_agent_{name}", about, labels=labels)


def _value(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"damon_agent_{name}", about, value=value)


def _total(name: str, about: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"damon_agent_{name}", about, value=value)
