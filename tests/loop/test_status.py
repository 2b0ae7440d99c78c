"""The status of a node: bounded, telling, stable."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent import intents, status
from damon_agent.facts import MemoryReading, Process
from damon_agent.kernel.report import Fault, Report
from damon_agent.node.resolver import Resolution
from damon_agent.plans.plan import Latest, Plan
from damon_agent.plans.reporter import wire
from damon_contract.v1alpha1.node import MAX_PODS, DamonNodeSpec, Lane, NodeReason, Spared

NOW = "2026-11-23T07:00:00Z"
MEMORY = MemoryReading(64 << 30, 6 << 30, 32 << 30, 8 << 30, 1 << 28, 4096)


def plan(pods=1, mode="Enforce", containers=1):
    return Plan(
        "u",
        3,
        DamonNodeSpec.model_validate(
            {
                "tuning": "t",
                "mode": mode,
                "settings": {},
                "hash": "a" * 64,
                "pods": [
                    {
                        "namespace": "n",
                        "name": f"p{n}",
                        "uid": f"6ba7b810-9dad-11d1-80b4-{n:012d}",
                        "priority": n % 100 + 1,
                        "source": "default",
                        "containers": [
                            {"name": f"c{c}", "id": f"{n * 100 + c:064x}"}
                            for c in range(containers)
                        ],
                    }
                    for n in range(pods)
                ],
            }
        ),
    )


def seen(held, *, faults=(), applied=True, unswappable=frozenset(), lanes=(), **changes):
    found = Resolution(
        {
            c.id: (Process(n + 3, 1),)
            for n, p in enumerate(held.spec.pods)
            for c in p.containers[:1]
        },
        frozenset(unswappable),
    )
    members = intents.members(held.spec.pods, found)
    report = Report(
        driver_name="lanes",
        features=("obsolete_target",),
        lanes=tuple(lanes),
        placed={pod.uid: 7 for pod in held.spec.pods},
        faults=tuple(faults),
        applied=applied,
        next_step_us=0,
    )
    fields = {
        "latest": Latest(True, held),
        "expired": False,
        "intent": intents.intent(held.spec, members, MEMORY),
        "resolution": found,
        "report": report,
    }
    return status.Observation(**{**fields, **changes})


def build(observation, previous=()):
    return status.build(observation, previous=previous, now=NOW, release="7.2")


def conditions(observation):
    return {c.type: (c.status, c.reason) for c in build(observation).conditions}


def lane(kdamond):
    return Lane(
        kdamond=kdamond,
        priorities=tuple(range(1, 101)),
        role="Ladder",
        mark_permille=999,
        pods=512,
        targets=9999,
        state="on",
        active=True,
        tried_bytes=2**63,
        applied_bytes=2**63,
    )


def test_the_largest_plan_with_the_worst_faults_stays_below_64_kib():
    faults = [Fault(reason, "x" * 5000) for reason in NodeReason]
    held = plan(MAX_PODS)
    built = build(
        seen(
            held,
            faults=faults,
            lanes=[lane(n) for n in range(8)],
            spared={pod.uid: Spared(until=NOW, cause="Pressure") for pod in held.spec.pods},
            unseen=MAX_PODS,
            cold_bytes={pod.uid: 2**40 for pod in held.spec.pods},
        )
    )
    assert len(json.dumps(wire(built), separators=(",", ":"))) < 64 * 1024


def test_an_applied_plan_is_ready():
    assert conditions(seen(plan())) == {
        "Ready": ("True", "Applied"),
        "Applied": ("True", "Applied"),
        "DamonAvailable": ("True", "Available"),
        "Degraded": ("False", "AsExpected"),
    }


def test_a_plan_being_written_is_neither_ready_nor_degraded():
    found = conditions(seen(plan(), applied=False))
    assert found["Ready"] == ("False", "Applying")
    assert found["Degraded"] == ("False", "AsExpected")


def ready(observation, previous=()):
    (found,) = [c for c in build(observation, previous).conditions if c.type == "Ready"]
    return found.status, found.reason


def test_an_applied_plan_stays_ready_while_processes_and_memory_are_followed():
    held = plan()
    applied = build(seen(held)).conditions
    following = build(seen(held, applied=False), applied).conditions
    assert following == applied
    assert ready(seen(held, applied=False), following) == ("True", "Applied")


def test_another_plan_is_not_ready_because_the_one_before_was():
    applied = build(seen(plan())).conditions
    other = replace(plan(), generation=4)
    assert ready(seen(other, applied=False), applied) == ("False", "Applying")


def test_after_a_fault_the_plan_has_to_be_applied_anew():
    held = plan()
    applied = build(seen(held)).conditions
    fault = Fault(NodeReason.KDAMOND_STOPPED, "it stopped")
    broken = build(seen(held, applied=False, faults=[fault]), applied).conditions
    assert ready(seen(held, applied=False), broken) == ("False", "Applying")
    assert ready(seen(held), broken) == ("True", "Applied")


def test_before_the_first_step_it_is_unknown_whether_there_is_a_damon():
    found = conditions(seen(plan(), report=None))
    assert found["DamonAvailable"] == ("Unknown", "Applying")


@pytest.mark.parametrize(
    "reason", sorted(set(NodeReason) - {"Applied", "Applying", "Available", "AsExpected", "Off"})
)
def test_every_fault_of_a_driver_takes_ready_away_with_its_reason(reason):
    found = conditions(seen(plan(), faults=[Fault(NodeReason(reason), "because")]))
    assert found["Ready"] == ("False", reason)
    assert found["Degraded"] == ("True", reason)


def test_what_makes_damon_unusable_is_told_before_the_rest():
    faults = [Fault(NodeReason.COMMIT_FAILED, "one"), Fault(NodeReason.READ_ONLY, "two")]
    built = build(seen(plan(), faults=faults))
    assert built.conditions[0].reason == "ReadOnly"
    assert "one" in built.conditions[3].message


def test_a_condition_keeps_its_time_while_its_status_does():
    first = build(seen(plan()))
    later = status.build(
        seen(plan(), faults=[Fault(NodeReason.COMMIT_FAILED, "x")]),
        previous=first.conditions,
        now="2026-11-23T08:00:00Z",
        release="7.2",
    )
    times = {c.type: c.last_transition_time for c in later.conditions}
    assert times["Ready"] == "2026-11-23T08:00:00Z"
    assert times["DamonAvailable"] == NOW


def test_each_pod_has_its_processes_and_its_kdamond():
    built = build(seen(plan(3)))
    assert [(p.processes, p.kdamond) for p in built.pods] == [(1, 7)] * 3


def test_where_there_is_no_room_for_all_the_coldest_pods_say_so():
    held = plan(MAX_PODS)
    cold_bytes = {pod.uid: number << 20 for number, pod in enumerate(held.spec.pods)}
    built = build(seen(held, cold_bytes=cold_bytes, lanes=[lane(7)]))
    shown = [pod.cold_bytes for pod in built.pods if pod.cold_bytes is not None]
    assert shown == [number << 20 for number in range(256, 512)]
    assert built.lanes[0].cold_bytes == sum(cold_bytes.values())


def test_one_container_that_may_not_swap_is_told_of_its_pod():
    held = plan(2, containers=2)
    built = build(seen(held, unswappable={held.spec.pods[0].containers[1].id}))
    assert [p.swappable for p in built.pods] == [False, True]


def test_the_ends_of_the_ladder_are_told():
    memory = build(seen(plan())).memory
    assert memory.ceiling_permille == 600
    assert 0 < memory.floor_permille < 600


@given(
    pods=st.integers(0, 20),
    applied=st.booleans(),
    expired=st.booleans(),
    mode=st.sampled_from(["Observe", "Enforce", "Off"]),
    reasons=st.lists(st.sampled_from(NodeReason), max_size=3),
)
def test_ready_is_true_only_when_applied_and_not_degraded(pods, applied, expired, mode, reasons):
    faults = [Fault(reason, "m") for reason in reasons]
    found = conditions(seen(plan(pods, mode), faults=faults, applied=applied, expired=expired))
    ready = found["Ready"][0] == "True"
    assert ready == (found["Applied"][0] == "True" and found["Degraded"][0] == "False")
    assert all(reason in set(NodeReason) for _, reason in found.values())


def test_a_restarted_agent_goes_on_with_what_stood_there(machine, pod):
    """Neither does Applied flap, nor does its lastTransitionTime begin anew."""
    machine.start(10, machine.container("a" * 64))
    machine.plan(pod(1, "a" * 64))
    machine.run(10)
    before = machine.status.conditions
    assert machine.condition("Applied").status == "True"
    stored = machine.plans.held
    machine.plans.held = replace(stored, conditions=None)
    machine.restart()
    told = len(machine.plans.reported)
    machine.run(1)
    assert len(machine.plans.reported) == told, "nobody knows yet what stands there"
    machine.plans.held = replace(stored, conditions=before)
    machine.run(10)
    since = {c.type: (c.status, c.last_transition_time) for c in before}
    for _, said in machine.plans.reported[told:]:
        assert {c.type: (c.status, c.last_transition_time) for c in said.conditions} == since
