"""What Prometheus gets to see of the operator, and the door it gets it through.

Everything is read when it is asked for, from what the service holds anyway. This module alone knows
Prometheus, and is imported only if there is a port to listen on: docs/adr/0010-metrics.md.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import CollectorRegistry

from damon_contract.v1alpha1.node import NodeReason
from damon_operator.listening import listening
from damon_operator.planner.priorities import Source
from damon_operator.planner.rollout import RolloutReason, State, progress, verdict
from damon_operator.planner.tally import REASONS
from damon_operator.reconcile import Service

_REASONS: Final = (*(reason.value for reason in NodeReason), *REASONS)
_OTHER: Final = "Other"
"""Stands for reasons that only agents of another version know."""


def families(service: Service) -> Iterator[Metric]:
    """Yield the metrics; of a replica that waits for the lease only that it does.

    Their number has a bound, whatever is in the cluster: no label is the name of a node or a pod.
    """
    yield _value("leader", "Whether this replica is the one that works", service.running)
    if service.running:
        yield from _nodes(service)
        yield from _rollouts(service)
        yield from _work(service)
        yield from _streams(service)


def _nodes(service: Service) -> Iterator[Metric]:
    tallies = service.world.tallies()
    for state, about in (
        ("governed", "Nodes governed by a DamonTuning"),
        ("applied", "Governed nodes that have applied their plan"),
        ("degraded", "Governed nodes on which something is held back"),
        ("unsupported", "Governed nodes whose kernel has no DAMON for us"),
        ("unreported", "Governed nodes whose agent has never reported"),
        ("silent", "Governed nodes whose agent is not heard of any more"),
        ("agentless", "Nodes that match a DamonTuning and have no plan, for want of an agent"),
    ):
        number = sum(getattr(tally, state) for tally in tallies)
        yield _value(f"{state}_nodes", about, number)
    held = Counter[str]()
    pods = Counter[str]()
    for tally in tallies:
        pods.update(tally.pods)
        for reason, nodes in tally.reasons.items():
            held[reason if reason in _REASONS else _OTHER] += len(nodes)
    reasons = _gauge("held_back_nodes", "Governed nodes by what holds them back", "reason")
    for reason, number in sorted(held.items()):
        reasons.add_metric([reason], number)
    yield reasons
    # Each pod that takes part is told by exactly one step; what else is counted of it is no step.
    decided = _gauge("pods", "Pods of governed nodes, by what decided about them", "step")
    for step in Source:
        decided.add_metric([step.value], pods[step.value])
    yield decided
    faulty = _gauge("faulty_annotations", "Annotations of these pods not taken as said", "fault")
    for fault in ("clamped", "rejected", "exempt_denied"):
        faulty.add_metric([fault], pods[fault])
    yield faulty
    yield _value(
        "unknown_containers",
        "Running containers of these pods whose processes cannot be found",
        pods["container_unknown"],
    )


def _rollouts(service: Service) -> Iterator[Metric]:
    """Yield how far changed tunings have come, as the status of each says it."""
    reasons, states = Counter[str](), Counter[State]()
    for name, tuning in service.world.tunings.items():
        far = progress(tuning, service.world.tally(name).rows.values())
        if far is None:
            continue
        reasons[verdict(far).reason] += 1
        for state in State:
            states[state] += len(getattr(far, state.name.lower()))
    rollouts = _gauge("rollouts", "DamonTunings that have a rollout, by how it stands", "reason")
    for reason in RolloutReason:
        rollouts.add_metric([reason.value], reasons[reason.value])
    yield rollouts
    nodes = _gauge("rollout_nodes", "Nodes of these, by how they stand to the newest spec", "state")
    for state in State:
        nodes.add_metric([state.value], states[state])
    yield nodes


def _work(service: Service) -> Iterator[Metric]:
    planning, writer, statuses = service.planning, service.writer, service.statuses
    yield SummaryMetricFamily(
        "damon_operator_plan_seconds",
        "Plans computed, and the time it took",
        count_value=planning.plans,
        sum_value=planning.spent_s,
    )
    yield _total("plan_failures", "Plans that could not be computed", planning.failures)
    writes = _counter("plan_writes", "Writes of DamonNodes, by outcome", "outcome")
    writes.add_metric(["applied"], writer.applied)
    writes.add_metric(["deleted"], writer.deleted)
    writes.add_metric(["failed"], writer.queue.failed)
    yield writes
    waiting = writer.queue.waiting
    yield _value("waiting_nodes", "Nodes whose DamonNode waits to be written", waiting)
    writes = _counter("status_writes", "Writes of the status of DamonTunings", "outcome")
    writes.add_metric(["written"], statuses.written)
    writes.add_metric(["failed"], statuses.queue.failed)
    yield writes
    waiting = statuses.queue.waiting
    yield _value("waiting_tunings", "DamonTunings whose status waits to be written", waiting)


def _streams(service: Service) -> Iterator[Metric]:
    held = _gauge("stream_objects", "Objects in memory", "resource")
    left_out = _gauge("stream_left_out_objects", "Objects that could not be read", "resource")
    lists = _counter("stream_lists", "Complete lists", "resource")
    watches = _counter("stream_watches", "Watches opened", "resource")
    failures = _counter("stream_failures", "Lists and watches that failed", "resource")
    for stream in service.streams:
        name = stream.resource.name
        held.add_metric([name], len(stream.facts))
        left_out.add_metric([name], len(stream.left_out))
        lists.add_metric([name], stream.relists)
        watches.add_metric([name], stream.watches)
        failures.add_metric([name], stream.failures)
    silence = _gauge("stream_silence_seconds", "Time since a stream last made a step", "resource")
    for name, seconds in service.silence_s().items():
        silence.add_metric([name], seconds)
    yield from (held, left_out, lists, watches, failures, silence)


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"damon_operator_{name}", about, labels=labels)


def _counter(name: str, about: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"damon_operator_{name}", about, labels=labels)


def _value(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"damon_operator_{name}", about, value=value)


def _total(name: str, about: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"damon_operator_{name}", about, value=value)


@asynccontextmanager
async def served(port: int, address: str, service: Service) -> AsyncIterator[int]:
    """Answer GET /metrics while the block runs; yield the port. Raise StartError if that cannot be.

    In the event loop, as the service is: what is told is of one moment.
    """
    registry = CollectorRegistry()
    registry.register(_Collector(service))
    application = web.Application()
    application.router.add_get("/metrics", make_aiohttp_handler(registry))
    async with listening(application, port, address, option="--metrics-port") as chosen:
        yield chosen


class _Collector:
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        return families(self._service)
