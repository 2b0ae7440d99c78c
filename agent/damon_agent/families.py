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

from damon_agent.kernel.ladder import permille
from damon_agent.kernel.tree.commands import Keyword, Outcome
from damon_agent.loop import Ticks
from damon_agent.plans.plan import Latest
from damon_contract.quantities import microseconds
from damon_contract.v1alpha1.node import DamonNodeStatus

_S: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to tell at one moment."""

    now_us: int
    status: DamonNodeStatus
    latest: Latest
    ticks: Ticks
    commands: Mapping[tuple[Keyword, Outcome], int]
    commands_under_way: int
    statuses_written: int
    statuses_failed: int


def families(seen: Seen) -> Iterator[Metric]:
    """Yield the metrics. Their number has a bound, whatever runs on the node.

    Labels are words of the API and numbers of kdamonds and priorities: never a pod's name.
    """
    yield from _node(seen.status)
    yield from _lanes(seen.status)
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
        yield _value("memory_capacity_bytes", "MemTotal", memory.capacity_bytes)
        yield _value(
            "memory_available_permille",
            "MemAvailable in per mille of capacity, which marks are compared with",
            permille(memory.available_bytes, memory.capacity_bytes),
        )
    yield _value("targets", "Live processes in all lanes", status.targets)
    yield _value("planned_pods", "Pods of the plan", len(status.pods))
    placed = sum(pod.kdamond is not None for pod in status.pods)
    yield _value("placed_pods", "Pods of the plan with a process in a lane", placed)
    held = sum(not pod.swappable for pod in status.pods)
    yield _value("unswappable_pods", "Pods of the plan whose anonymous memory cannot go", held)
    if (brake := status.brake) is not None:
        yield _value("spared_pods", "Pods the brake keeps from being reclaimed", brake.spared)
        yield _value("unseen_pods", "Pods the brake can see nothing of", brake.unseen)


def _lanes(status: DamonNodeStatus) -> Iterator[Metric]:
    which = ("kdamond", "priority", "role")
    mark = _gauge("lane_mark_permille", "Available memory below which the lane works", *which)
    active = _gauge("lane_active", "Whether the lane reclaims now", *which)
    pods = _gauge("lane_pods", "Pods in the lane", *which)
    targets = _gauge("lane_targets", "Live processes in the lane", *which)
    tried = _counter(
        "lane_tried_bytes", "Address space the scheme has tried since it was last set up", *which
    )
    applied = _counter(
        "lane_applied_bytes",
        "Part of it the kernel reported success for; not what was reclaimed",
        *which,
    )
    for lane in status.lanes:
        # Of several priorities the highest names it: it behaves as that one needs.
        labels = [str(lane.kdamond), str(max(lane.priorities, default=0)), lane.role]
        if lane.mark_permille is not None:
            mark.add_metric(labels, lane.mark_permille)
        active.add_metric(labels, lane.active)
        pods.add_metric(labels, lane.pods)
        targets.add_metric(labels, lane.targets)
        tried.add_metric(labels, lane.tried_bytes)
        applied.add_metric(labels, lane.applied_bytes)
    yield from (mark, active, pods, targets, tried, applied)


def _plan(seen: Seen) -> Iterator[Metric]:
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


def _work(seen: Seen) -> Iterator[Metric]:
    ticks = seen.ticks
    yield SummaryMetricFamily(
        "damon_agent_tick_seconds",
        "Passes of the loop, and the time they took",
        count_value=ticks.ended,
        sum_value=ticks.spent_us / _S,
    )
    yield _total("tick_failures", "Passes that did not come to their end", ticks.failed)
    yield _total("exits", "Targets that were seen to exit", ticks.exits)
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


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"damon_agent_{name}", about, labels=labels)


def _counter(name: str, about: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"damon_agent_{name}", about, labels=labels)


def _value(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"damon_agent_{name}", about, value=value)


def _total(name: str, about: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"damon_agent_{name}", about, value=value)
