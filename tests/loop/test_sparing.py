"""A pod that reclaim hurts leaves the lanes that reclaim, and comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent import intents
from damon_agent.facts import MemoryReading, Process
from damon_agent.kernel.intent import Member
from damon_agent.kernel.lanes.assignment import assign
from damon_contract.v1alpha1.node import DamonNodeSpec

A = "a1" * 32
B = "b2" * 32
C = "c3" * 32
WELL = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
HURT = "some avg10=4.00 avg60=0.00 avg300=0.00 total=0\n"


def stat(refaults=0):
    return f"anon {64 << 20}\nfile 0\nworkingset_refault_anon {refaults}\n"


@pytest.fixture
def homes(machine):
    """Three pods in lanes of different roles, all of them well."""
    homes = {}
    for pid, container in ((10, A), (20, B), (30, C)):
        homes[pid] = machine.container(container)
        (homes[pid] / "memory.pressure").write_text(WELL)
        (homes[pid] / "memory.stat").write_text(stat())
        machine.start(pid, homes[pid])
    return homes


def plan(machine, pod, **changes):
    pods = (pod(1, A, priority=10), pod(2, B, priority=50), pod(3, C, priority=90))
    # So that every lane is awake: half of the memory is available.
    settings = {"watermarks": {"floorPermille": 700, "ceilingPermille": 900}}
    machine.plan(*pods, **{"settings": settings, **changes})


def actions(machine, pid):
    """Return what the kernel does to a process."""
    (found,) = [
        {scheme.wanted.action for scheme in kdamond.context.schemes}
        for kdamond in machine.emulator.kdamonds
        if kdamond.running and any(t.process.pid == pid for t in kdamond.context.targets)
    ]
    return found


def test_a_pod_that_hurts_is_only_watched_until_it_is_forgiven(machine, pod, homes):
    plan(machine, pod)
    machine.run(30)
    assert actions(machine, 20) == {"stat", "pageout"}
    (homes[20] / "memory.pressure").write_text(HURT)
    machine.run(30)
    assert actions(machine, 20) == {"stat"}
    assert actions(machine, 10) == {"stat", "pageout"}
    spared = [p.spared for p in machine.status.pods]
    assert [s and s.cause for s in spared] == [None, "Pressure", None]
    assert spared[1].until == machine.status.pods[1].spared.until
    assert machine.condition("Ready").status == "True"
    assert "1 are spared" in machine.condition("Ready").message
    assert machine.status.brake.spared == 1
    (homes[20] / "memory.pressure").write_text(WELL)
    machine.run(90)
    assert actions(machine, 20) == {"stat", "pageout"}
    assert machine.status.pods[1].spared is None


def test_refaults_spare_an_eager_pod_as_well(machine, pod, homes):
    plan(machine, pod)
    machine.run(30)
    (homes[10] / "memory.stat").write_text(stat(refaults=5000))
    machine.run(30)
    assert actions(machine, 10) == {"stat"}
    assert machine.status.pods[0].spared.cause == "Refaults"


def test_a_pod_that_has_used_up_its_own_swap_is_left_alone_and_the_others_are_not(
    machine, pod, homes
):
    """LimitedSwap: the node's swap is free, but not for this pod."""
    plan(machine, pod)
    (homes[20] / "memory.swap.current").write_text(f"{1 << 20}\n")
    for fail in range(4):
        (homes[20] / "memory.swap.events").write_text(f"high 0\nmax {fail}\nfail {fail}\n")
        machine.run(11)
    assert actions(machine, 20) == {"stat"}
    assert actions(machine, 10) == {"stat", "pageout"}
    assert machine.status.pods[1].spared.cause == "SwapRefused"


def test_a_spared_pod_joins_the_lane_that_watches_anyway(machine, pod, homes):
    plan(machine, pod)
    machine.run(30)
    (homes[20] / "memory.pressure").write_text(HURT)
    machine.run(30)
    assert [lane.priorities for lane in machine.status.lanes] == [(10,), (90,)]
    assert [lane.pods for lane in machine.status.lanes] == [1, 2]


def test_sparing_a_pod_moves_nobody_elses_mark(machine, pod, homes):
    machine.plan(pod(1, A, priority=30), pod(2, B, priority=50), pod(3, C, priority=90))
    machine.run(30)
    before = {lane.priorities: lane.mark_permille for lane in machine.status.lanes}
    (homes[10] / "memory.pressure").write_text(HURT)
    machine.run(30)
    after = {lane.priorities: lane.mark_permille for lane in machine.status.lanes}
    assert after[50,] == before[50,]


@pytest.mark.parametrize(
    "changes", [{"mode": "Observe"}, {"settings": {"brake": {"enabled": False}}}]
)
def test_nobody_is_spared_where_nobody_is_reclaimed_or_the_brake_is_off(
    machine, pod, homes, changes
):
    (homes[20] / "memory.pressure").write_text(HURT)
    plan(machine, pod, **changes)
    machine.run(30)
    assert machine.status.brake is None
    assert not [p for p in machine.status.pods if p.spared]


def test_leaving_enforce_ends_it_at_once(machine, pod, homes):
    (homes[20] / "memory.pressure").write_text(HURT)
    plan(machine, pod)
    machine.run(30)
    assert machine.status.brake.spared == 1
    plan(machine, pod, mode="Observe", generation=2)
    machine.run(5)
    assert machine.status.brake is None


def test_a_new_agent_spares_nobody_until_it_has_looked(machine, pod, homes):
    (homes[20] / "memory.pressure").write_text(HURT)
    plan(machine, pod)
    machine.run(30)
    (homes[20] / "memory.pressure").write_text(WELL)
    machine.restart()
    machine.run(10)
    assert machine.status.brake.spared == 0
    assert actions(machine, 20) == {"stat", "pageout"}


def test_a_brake_that_cannot_look_says_so_and_spares_nobody(machine, pod, homes):
    (homes[20] / "memory.stat").unlink()
    (homes[20] / "memory.pressure").write_text(HURT)
    plan(machine, pod)
    machine.run(30)
    assert machine.status.brake.spared == 0
    assert machine.status.brake.unseen == 1
    assert "can't see 1" in machine.condition("Ready").message
    assert machine.condition("Ready").status == "True"


MEMORY = MemoryReading(64 << 30, 6 << 30, 32 << 30, 8 << 30, 1 << 28, 4096)
SPEC = DamonNodeSpec.model_validate(
    {"tuning": "t", "mode": "Enforce", "hash": "h", "settings": {}, "pods": []}
)


@given(
    pods=st.lists(st.tuples(st.integers(1, 100), st.booleans()), min_size=1, max_size=40),
    kdamonds=st.integers(1, 8),
)
def test_a_spared_pod_is_never_in_a_lane_that_reclaims(pods, kdamonds):
    members = tuple(
        Member(Process(n + 10, 1), f"pod-{n}", priority, spared)
        for n, (priority, spared) in enumerate(pods)
    )
    assignment = assign(intents.intent(SPEC, members, MEMORY), dict.fromkeys(range(kdamonds), ()))
    placed = {
        member: assignment.bands[kdamond].role
        for kdamond, held in assignment.members.items()
        for member in held
    }
    assert placed.keys() == set(members)
    assert {role for member, role in placed.items() if member.spared} <= {"Protected"}
