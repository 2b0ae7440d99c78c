"""The status of a node: bounded, telling, stable."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damon_agent import intents, status
from damon_agent.facts import MemoryReading, PodSwap, Process
from damon_agent.kernel.report import Fault, Report
from damon_agent.node.resolver import Resolution
from damon_agent.plans.plan import Latest, Plan, Said
from damon_agent.plans.wire import fitting, wire
from damon_contract.v1alpha1.node import (
    LIMITATIONS,
    MAX_PODS,
    UNAVAILABLE,
    DamonNodeSpec,
    Lane,
    MemoryReclaim,
    NodeReason,
    Spared,
)

NOW = "2026-11-23T07:00:00Z"
NOTHING = Said()
MEMORY = MemoryReading(64 << 30, 6 << 30, 32 << 30, 8 << 30, 1 << 28, 4096)


def plan(pods=1, mode="Enforce", containers=1, namespace="n", name="p{}"):
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
                        "namespace": namespace,
                        "name": name.format(n),
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


def build(observation, previous=NOTHING):
    built = status.build(observation, previous=previous, now=NOW, release="7.2")
    assert wire(fitting(built)) == wire(built)
    return fitting(built)


def said(held, built):
    return Said(held.uid, built.observed_hash, built.conditions)


def conditions(observation):
    return {c.type: (c.status, c.reason) for c in build(observation).conditions}


def lane(kdamond):
    return Lane(
        kdamond=kdamond,
        priorities=tuple(range(1, 101)),
        role="Ladder",
        mark_permille=999,
        min_age="59m59s",
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
            swap={pod.uid: PodSwap(2**41, 2**42) for pod in held.spec.pods},
        )
    )
    assert size_bytes(built) < 64 * 1024


def size_bytes(built):
    return len(json.dumps(wire(built), separators=(",", ":")))


@given(
    pods=st.one_of(st.integers(0, MAX_PODS), st.just(MAX_PODS)),
    namespace=st.integers(1, 63),
    name=st.integers(5, 253),
    lanes=st.integers(0, 8),
    cold=st.dictionaries(st.integers(0, MAX_PODS - 1), st.integers(0, 2**60)),
    spared=st.sets(st.integers(0, MAX_PODS - 1)),
)
@settings(max_examples=60, deadline=None)
def test_any_status_stays_below_64_kib_and_tells_first_of_those_with_most_to_tell(
    pods, namespace, name, lanes, cold, spared
):
    held = plan(pods, namespace="n" * namespace, name=f"{{:0{name}}}")
    uids = [pod.uid for pod in held.spec.pods]
    built = build(
        seen(
            held,
            lanes=[lane(n) for n in range(lanes)],
            spared={uids[n]: Spared(until=NOW, cause="Pressure") for n in spared if n < pods},
            cold_bytes={uids[n]: size for n, size in cold.items() if n < pods},
            swap={uids[n]: PodSwap(size, size) for n, size in cold.items() if n < pods},
            unseen=0,
        )
    )
    assert size_bytes(built) < 64 * 1024
    assert [pod.uid for pod in built.pods] == uids
    told = [n for n, pod in enumerate(built.pods) if pod.name is not None]
    weights = {n: (n in spared, cold.get(n, 0)) for n in range(pods)}
    if len(told) < pods:
        room = 64 * 1024 - size_bytes(built)
        assert room < 1500, "what is left would take one more"
        untold = [weights[n] for n in range(pods) if n not in told]
        assert max(untold) <= min((weights[n] for n in told), default=max(untold))
    elif pods <= 64:
        assert len(told) == pods


def test_a_pod_is_told_by_its_name_with_what_it_gave_up_and_what_came_back():
    held = plan(2)
    one, two = held.spec.pods
    built = build(
        seen(
            held,
            lanes=[lane(7)],
            cold_bytes={one.uid: 3 << 20, "gone": 5 << 20},
            swap={
                one.uid: PodSwap((1 << 20) + 1, 1),
                two.uid: PodSwap(0, None),
                "gone": PodSwap(9 << 20, 9 << 20),
            },
        )
    )
    first, second = built.pods
    assert (first.namespace, first.name) == ("n", "p0")
    assert (first.given_up_bytes, first.refaulted_bytes) == (2 << 20, 1 << 20)
    assert (second.given_up_bytes, second.refaulted_bytes) == (0, None)
    assert built.lanes[0].given_up_bytes == 2 << 20
    assert built.totals.model_dump() == {
        "pods": 2, "running": 2, "spared": 0, "cold": "3Mi", "given_up": "2Mi", "refaulted": "1Mi"
    }  # fmt: skip


def test_totals_of_what_is_known_of_no_pod_are_left_out():
    nothing = {"cold": None, "givenUp": None, "refaulted": None}
    assert wire(build(seen(plan(1))))["totals"] == {"pods": 1, "running": 1, "spared": 0, **nothing}


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


def ready(observation, previous=NOTHING):
    (found,) = [c for c in build(observation, previous).conditions if c.type == "Ready"]
    return found.status, found.reason


def test_an_applied_plan_stays_ready_while_processes_and_memory_are_followed():
    held = plan()
    applied = said(held, build(seen(held)))
    following = said(held, build(seen(held, applied=False), applied))
    assert following == applied
    assert ready(seen(held, applied=False), following) == ("True", "Applied")


@pytest.mark.parametrize("change", ["generation", "uid", "hash"])
def test_another_plan_is_not_ready_because_the_one_before_was(change):
    """Objects that are made anew, or restored from a backup, count generations again."""
    held = plan()
    applied = said(held, build(seen(held)))
    other = {
        "generation": replace(held, generation=4),
        "uid": replace(held, uid="another"),
        "hash": replace(held, spec=held.spec.model_copy(update={"hash": "b" * 64})),
    }[change]
    assert ready(seen(other, applied=False), applied) == ("False", "Applying")


def test_the_conditions_of_another_object_are_not_gone_on_from():
    held = plan()
    applied = said(held, build(seen(held)))
    other = replace(held, uid="another")
    later = status.build(seen(other), previous=applied, now="2026-11-23T08:00:00Z", release="7.2")
    assert {c.last_transition_time for c in later.conditions} == {"2026-11-23T08:00:00Z"}


def test_after_a_fault_the_plan_has_to_be_applied_anew():
    held = plan()
    applied = said(held, build(seen(held)))
    fault = Fault(NodeReason.KDAMOND_STOPPED, "it stopped")
    broken = said(held, build(seen(held, applied=False, faults=[fault]), applied))
    assert ready(seen(held, applied=False), broken) == ("False", "Applying")
    assert ready(seen(held), broken) == ("True", "Applied")


def test_before_the_first_step_it_is_unknown_whether_there_is_a_damon():
    found = conditions(seen(plan(), report=None))
    assert found["DamonAvailable"] == ("Unknown", "Applying")


@pytest.mark.parametrize(
    "reason",
    sorted(
        set(NodeReason) - LIMITATIONS - {"Applied", "Applying", "Available", "AsExpected", "Off"}
    ),
)
def test_every_fault_of_a_driver_takes_ready_away_with_its_reason(reason):
    found = conditions(seen(plan(), faults=[Fault(NodeReason(reason), "because")]))
    assert found["Ready"] == ("False", reason)
    assert found["Degraded"] == ("True", reason)


@pytest.mark.parametrize("reason", sorted(LIMITATIONS))
def test_a_limitation_is_told_of_a_plan_that_is_in_force(reason):
    limit, worse = Fault(reason, "limited"), Fault(NodeReason.COMMIT_FAILED, "worse")
    found = conditions(seen(plan(), faults=[limit]))
    assert found["Ready"] == ("True", reason)
    assert found["Applied"] == ("True", "Applied")
    assert found["Degraded"] == ("True", reason)
    assert conditions(seen(plan(), faults=[limit], applied=False))["Ready"] == (
        "False", "Applying",
    )  # fmt: skip
    assert conditions(seen(plan(), faults=[limit, worse]))["Ready"] == ("False", "CommitFailed")


@pytest.mark.parametrize("reason", sorted(UNAVAILABLE))
def test_without_damon_a_plan_is_in_force_where_memory_reclaim_serves_the_pods(reason):
    faults, none = [Fault(reason, "no DAMON")], MemoryReclaim(takes="Nothing", message="why")
    served = seen(
        plan(), faults=faults, applied=False, memory_reclaim=MemoryReclaim(takes="FilePages")
    )
    in_force = reason is not NodeReason.NEEDS_REBOOT
    assert conditions(served)["Ready"] == (str(in_force), reason)
    assert conditions(served)["Applied"] == (("True", "Applied") if in_force else ("False", reason))
    assert conditions(served)["DamonAvailable"] == ("False", reason)
    unserved = seen(plan(), faults=faults, applied=False, memory_reclaim=none)
    assert conditions(unserved)["Ready"] == ("False", reason)


def test_a_limit_of_safety_is_told_before_swap_that_is_not_there():
    """A rollout halts for it, and a node without swap stays one."""
    held = plan()
    intent = intents.intent(
        held.spec, seen(held).intent.members, replace(MEMORY, swap_total_bytes=0)
    )
    observed = seen(held, intent=intent, over_limits="swap used")
    assert conditions(observed)["Ready"] == ("True", "SafetyLimit")
    assert conditions(observed)["Degraded"] == ("True", "SafetyLimit")
    assert NodeReason.NO_SWAP in {fault.reason for fault in status._faults(observed)}


def test_what_makes_damon_unusable_is_told_before_the_rest():
    faults = [Fault(NodeReason.COMMIT_FAILED, "one"), Fault(NodeReason.READ_ONLY, "two")]
    built = build(seen(plan(), faults=faults))
    assert built.conditions[0].reason == "ReadOnly"
    assert "one" in built.conditions[3].message


def test_a_condition_keeps_its_time_while_its_status_does():
    first = said(plan(), build(seen(plan())))
    later = status.build(
        seen(plan(), faults=[Fault(NodeReason.COMMIT_FAILED, "x")]),
        previous=first,
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
    assert 100 < len(shown) < MAX_PODS
    assert shown == [number << 20 for number in range(512 - len(shown), 512)]
    assert built.lanes[0].cold_bytes == sum(cold_bytes.values())
    assert built.totals.cold == "128Gi"


def test_a_usual_node_names_all_of_its_pods():
    held = plan(110, namespace="n" * 20, name="{:060}")
    swap = {pod.uid: PodSwap(1 << 30, 1 << 30) for pod in held.spec.pods}
    assert all(pod.name for pod in build(seen(held, swap=swap)).pods)


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
def test_ready_is_what_applied_is_and_its_reason_what_holds_back_first(
    pods, applied, expired, mode, reasons
):
    faults = [Fault(reason, "m") for reason in reasons]
    found = conditions(seen(plan(pods, mode), faults=faults, applied=applied, expired=expired))
    assert found["Ready"][0] == found["Applied"][0]
    if found["Ready"][0] == "True" and found["Degraded"][0] == "True":
        assert found["Ready"][1] == found["Degraded"][1]
        assert found["Ready"][1] in LIMITATIONS
    else:
        assert found["Ready"][1] == found["Applied"][1]
    assert all(reason in set(NodeReason) for _, reason in found.values())
