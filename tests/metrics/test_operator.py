"""What the operator tells, and within which bounds."""

import re
from datetime import UTC, datetime
from pathlib import Path

import cluster_objects as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_contract.v1alpha1.node import NodeReason
from damon_contract.v1alpha1.tuning import DamonTuningSpec
from damon_operator.facts import read_tuning
from damon_operator.metrics import families
from damon_operator.planner.priorities import Source
from damon_operator.planner.rollout import RolloutReason, State
from damon_operator.planner.tally import NO_REPORT, REASONS, Row
from damon_operator.reconcile import Service
from damon_operator.settings import Tempo

LABELS = {"reason", "state", "step", "fault", "outcome", "resource"}
STATES = ("governed", "applied", "degraded", "unsupported", "unreported", "agentless")
ROLLOUTS = len(RolloutReason) + len(State)
FIXED = 1 + len(STATES) + ROLLOUTS + len(Source) + 3 + 1 + 2 + 1 + 3 + 1
"""Leader, nodes, rollouts, pods, annotations, containers, seconds, failures, writes, waiting."""
STREAMS = 5 * 6
"""Five collections."""
SERIES_OF_REASONS = len(NodeReason) + len(REASONS) + 1


class Clock:
    def __init__(self):
        self.s = 1000.0

    def __call__(self):
        return self.s


@pytest.fixture(name="clock")
def clock_fixture():
    return Clock()


def make(clock=None):
    service = Service(
        port=None,
        tempo=Tempo(),
        instance="lab",
        clock=clock or Clock(),
        now=lambda: datetime.now(UTC),
        random=lambda: 0.5,
    )
    service.running = True
    for stream in service.streams:
        stream.heard = service.clock()
    return service


def row(node, tuning="t", *reasons, **fields):
    flags = dict.fromkeys(("applied", "degraded", "unsupported", "unreported"), False)
    values = {"matching": (tuning,), "pods": {"annotation": 2, "default": 1}, **flags, **fields}
    return Row(node=node, reasons=reasons, **values)


def rolled_out(name="t", **rollout):
    """Return a tuning that observed on all nodes, and is to enforce now."""
    raw = made.stored(made.tuning(name, mode="Enforce", rollout=rollout))
    stood = DamonTuningSpec(mode="Observe").policy()
    raw["status"] = {"standing": stood.model_dump(mode="json", by_alias=True)}
    return read_tuning(raw)


def test_a_replica_that_waits_tells_only_that(page):
    service = make()
    service.running = False
    told = page(families(service))
    assert [(s.name, s.value) for s in told.samples] == [("damon_operator_leader", 0)]
    service.running = True
    assert page(families(service)).value("damon_operator_leader") == 1


def test_nodes_and_pods_are_summed_over_the_tunings_that_govern_them(page):
    service = make()
    tallies = service.world._tallies
    tallies.put("n1", row("n1", applied=True))
    tallies.put("n2", row("n2", "t", "NoSwap", applied=True, degraded=True))
    tallies.put("n3", row("n3", "other", "NoSwap", NO_REPORT, unreported=True))
    overridden = row("n4")._replace(matching=("other", "t"), unsupported=True)
    tallies.put("n4", overridden)
    told = page(families(service))
    numbers = [told.value(f"damon_operator_{state}_nodes") for state in STATES]
    assert numbers == [4, 2, 1, 1, 1, 0]
    assert told.value("damon_operator_held_back_nodes", reason="NoSwap") == 2
    assert told.value("damon_operator_held_back_nodes", reason="NoReport") == 1
    assert told.value("damon_operator_pods", step="annotation") == 8
    assert told.value("damon_operator_pods", step="exempt") == 0


def test_the_steps_add_up_to_the_pods_whatever_else_is_said_of_them(page):
    service = make()
    counts = {"annotation": 2, "default": 1, "exempt": 3}
    faults = {"clamped": 1, "rejected": 2, "exempt_denied": 4, "container_unknown": 5}
    service.world._tallies.put("n1", row("n1", pods={**counts, **faults}))
    told = page(families(service))
    assert sum(s.value for s in told.samples if s.name == "damon_operator_pods") == 6
    for fault in ("clamped", "rejected", "exempt_denied"):
        assert told.value("damon_operator_faulty_annotations", fault=fault) == faults[fault]
    assert told.value("damon_operator_unknown_containers") == 5


def test_reasons_of_another_version_are_told_together(page):
    service = make()
    service.world._tallies.put("n1", row("n1", "t", "FromTheFuture", "AnotherOne"))
    service.world._tallies.put("n2", row("n2", "t", "NoSwap"))
    told = page(families(service))
    held = {s.labels["reason"] for s in told.samples if s.name == "damon_operator_held_back_nodes"}
    assert held == {"NoSwap", "Other"}
    assert told.value("damon_operator_held_back_nodes", reason="Other") == 2


def rollouts(told) -> dict[str, float]:
    """Return what is told of rollouts, without what is 0."""
    names = {"damon_operator_rollouts", "damon_operator_rollout_nodes"}
    each = [s for s in told.samples if s.name in names]
    assert len(each) == ROLLOUTS, "a series that begins with its first rollout misses that one"
    return {value: s.value for s in each for value in s.labels.values() if s.value}


def test_how_far_changed_tunings_have_come_is_told_by_the_nodes_they_govern(page):
    service = make()
    tunings, tallies = service.world.tunings, service.world._tallies
    assert rollouts(page(families(service))) == {}
    tunings["t"] = changed = rolled_out(minReady="1m")
    tunings["new"] = read_tuning(made.stored(made.tuning("new")))  # has no rollout
    tallies.put("n0", row("n0", "new", "DamonBusy"))
    tallies.put("n1", row("n1", applied=True, revision=changed.revision, settled=True))
    tallies.put("n2", row("n2", "t", "Applying", revision=changed.revision))
    tallies.put("n3", row("n3", applied=True))
    tallies.put("n4", row("n4", applied=True))
    tallies.put("n5", row("n5", "t", "NoDamon"))
    so_far = {"Settled": 1, "Taking": 1, "Waiting": 2, "Apart": 1}
    assert rollouts(page(families(service))) == {"RollingOut": 1, **so_far}
    tallies.put("n2", row("n2", "t", "DamonBusy", revision=changed.revision))
    halted = {"Settled": 1, "Failing": 1, "Waiting": 2, "Apart": 1}
    assert rollouts(page(families(service))) == {"RolloutHalted": 1, **halted}
    tallies.put("n2", row("n2", applied=True, revision=changed.revision, settled=True))
    tunings["t"] = rolled_out(paused=True)
    paused = {"Settled": 2, "Waiting": 2, "Apart": 1}
    assert rollouts(page(families(service))) == {"RolloutPaused": 1, **paused}


def test_each_rollout_is_one_and_their_nodes_add_up(page):
    service = make()
    for name in ("a", "b"):
        service.world.tunings[name] = changed = rolled_out(name)
        done = row(f"{name}1", name, applied=True, revision=changed.revision, settled=True)
        service.world._tallies.put(f"{name}1", done)
    service.world._tallies.put("b2", row("b2", "b", "SafetyLimit", revision=changed.revision))
    told = rollouts(page(families(service)))
    assert told == {"RolledOut": 1, "RolloutHalted": 1, "Settled": 2, "Failing": 1}


def test_what_was_done_is_counted(page):
    service = make()
    service.planning.plans, service.planning.failures, service.planning.spent_s = 4, 1, 0.25
    service.writer.applied, service.writer.deleted, service.writer.queue.failed = 3, 2, 1
    service.writer.push("n1")
    service.writer.push("n1")
    told = page(families(service))
    operator = "damon_operator_"
    assert told.value(f"{operator}plan_seconds_count") == 4
    assert told.value(f"{operator}plan_seconds_sum") == 0.25
    assert told.value(f"{operator}plan_failures_total") == 1
    for outcome, number in {"applied": 3, "deleted": 2, "failed": 1}.items():
        assert told.value(f"{operator}plan_writes_total", outcome=outcome) == number
    assert told.value(f"{operator}waiting_nodes") == 1


def test_statuses_that_are_written_and_refused_are_counted(page):
    service = make()
    service.statuses.written, service.statuses.queue.failed = 5, 2
    service.statuses.queue.push("a")
    told = page(families(service))
    for outcome, number in {"written": 5, "failed": 2}.items():
        assert told.value("damon_operator_status_writes_total", outcome=outcome) == number
    assert told.value("damon_operator_waiting_tunings") == 1


def test_every_stream_has_its_own_silence(page, clock):
    service = make(clock)
    clock.s += 7
    service.streams[-1].heard = clock.s
    told = page(families(service))
    silence = "damon_operator_stream_silence_seconds"
    assert told.value(silence, resource="nodes") == 7
    assert told.value(silence, resource="pods") == 0
    assert told.value(silence, resource="damontunings") == 7


def test_each_metric_is_explained_and_none_that_does_not_exist(page):
    service = make()
    service.world._tallies.put("n1", row("n1", "t", "NoSwap"))
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    told = {sample.name for sample in page(families(service)).samples}
    assert set(re.findall(r"damon_operator_\w+", text)) == told


NAMES = st.text("abcdefgh-.", min_size=3, max_size=20).map("named-{}".format)
OURS = st.sampled_from([*(r.value for r in NodeReason), *REASONS])


@given(
    st.lists(
        st.tuples(NAMES, NAMES, st.lists(OURS | st.text(max_size=9), max_size=4)),
        max_size=60,
    )
)
def test_however_large_the_cluster_the_number_of_series_has_its_bound(page, rows):
    service = make()
    for node, tuning, reasons in rows:
        service.world.tunings[tuning] = rolled_out(tuning)
        service.world._tallies.put(node, row(node, tuning, *dict.fromkeys(reasons)))
    told = page(families(service))
    keys = [(s.name, *sorted(s.labels.items())) for s in told.samples]
    assert len(keys) == len(set(keys)), "Prometheus refuses a page with a series twice"
    assert len(keys) <= FIXED + STREAMS + SERIES_OF_REASONS
    assert told.labels().keys() <= LABELS
    assert not [v for values in told.labels().values() for v in values if v.startswith("named-")]
    assert told.value("damon_operator_governed_nodes") == len({node for node, _, _ in rows})
