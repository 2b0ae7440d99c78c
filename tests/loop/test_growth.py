"""Memory that a process has just taken is not paged out for the age of what lies beside it."""

from itertools import count

import pytest

from damon_mock.damon.memory import MIB, Usage

A = "a1" * 32
TOTAL_KIB = 16 << 20


def holds(machine, *, cold_mib):
    """Let the process have so much memory that it does not use."""
    identity = machine.emulator.processes.identity(10)
    machine.emulator.memory.set_usage(identity, Usage(cold_bytes=cold_mib * MIB))
    statm = machine.proc / "10" / "statm"
    statm.write_text(f"99999 {(cold_mib + 16) * 256} 0 0 0 0 0\n")


def cold_mib(machine):
    """Return what has not been paged out of it."""
    identity = machine.emulator.processes.identity(10)
    return machine.emulator.memory.usage(identity).cold_bytes // MIB


def available(machine, permille, *, free_permille=None):
    """Let so much of the node's memory be available, and as much be free unless said."""
    free_permille = permille if free_permille is None else free_permille
    available_kib, free_kib = (TOTAL_KIB * each // 1000 for each in (permille, free_permille))
    (machine.proc / "meminfo").write_text(
        f"MemTotal: {TOTAL_KIB} kB\nMemFree: {free_kib} kB\nMemAvailable: {available_kib} kB\n"
        f"SwapTotal: {TOTAL_KIB} kB\n"
    )
    machine.emulator.memory.set_free_permille(free_permille)


@pytest.fixture(name="make_idle", params=["6.12", "7.2"])
def make_idle_fixture(request, make_machine, pod):
    """Make a node with enough memory, and a process that has used none of its own for minutes."""

    names = map(str, count())

    def make():
        machine = make_machine(next(names), profile=request.param)
        available(machine, 900)
        machine.start(10, machine.container(A))
        holds(machine, cold_mib=64)
        machine.plan(pod(1, A, priority=60))
        machine.run(120)
        assert cold_mib(machine) == 64
        return machine

    return make


@pytest.fixture(name="idle")
def idle_fixture(make_idle):
    return make_idle()


def test_it_stays_until_it_has_been_idle_for_as_long_as_the_tuning_says(idle):
    available(idle, 300)
    holds(idle, cold_mib=264)
    idle.run(20)
    assert cold_mib(idle) == 264
    idle.run(20)
    assert cold_mib(idle) == 0
    assert idle.loop.ticks.grown == 1


def test_what_was_idle_before_goes_at_once_where_nothing_has_grown(idle):
    available(idle, 300)
    idle.run(12)
    assert cold_mib(idle) == 0


def test_it_goes_in_its_turn_though_the_process_grows_again_and_again(idle):
    available(idle, 300)
    sizes = []
    for _ in range(8):
        holds(idle, cold_mib=cold_mib(idle) + 300)
        idle.run(15)
        sizes.append(cold_mib(idle))
    assert min(sizes) == 0


def test_in_a_lane_that_has_been_awake_for_long_it_goes_only_where_no_look_comes_before(make_idle):
    """Its regions are as old as what it lost last, and once in 24 s they are just old enough."""
    lost, step_s = 0, 0.4
    for number in range(int(24 / step_s)):
        machine = make_idle()
        available(machine, 300)
        machine.run(60 + number * step_s)
        holds(machine, cold_mib=264)
        machine.run(20)
        lost += cold_mib(machine) < 264
    assert lost * step_s < 1.8, "the looks are 1.78 s apart"


@pytest.mark.parametrize("later_ds", range(0, 50, 3))
def test_it_stays_where_the_lane_wakes_right_after_a_look(idle, later_ds):
    idle.run(later_ds / 10)
    idle.loop.guarded_tick()
    available(idle, 300)
    holds(idle, cold_mib=264)
    idle.run(20)
    assert cold_mib(idle) == 264


@pytest.mark.parametrize("woken_ds", range(0, 50, 3))
@pytest.mark.parametrize("later_ds", range(0, 24, 3))
def test_it_stays_where_the_lane_has_been_woken_a_moment_before(idle, woken_ds, later_ds):
    """By somebody else, or by the first of what it takes: its regions are old, and are to go."""
    idle.run(woken_ds / 10)
    available(idle, 300)
    idle.loop.guarded_tick()
    idle.run(later_ds / 10)
    holds(idle, cold_mib=cold_mib(idle) + 200)
    available(idle, 280)
    idle.run(20)
    assert cold_mib(idle) >= 200


def test_the_look_after_the_one_that_wakes_a_lane_comes_before_its_scheme(idle):
    """The kernel counts an aggregation of 2 s in samples of 220 ms, rounded down: 1.98 s."""
    available(idle, 300)
    woken_us = idle.emulator.now_us
    idle.loop.guarded_tick()
    assert idle.loop._growing.next_us - woken_us < 2_000_000 // 220_000 * 220_000


def ticks(machine, seconds):
    """Return how often the agent looks in that time."""
    counted, tick = [], machine.loop.guarded_tick
    machine.loop.guarded_tick = lambda: counted.append(1) or tick()
    machine.run(seconds)
    machine.loop.guarded_tick = tick
    return len(counted)


def test_only_while_a_lane_is_awake_the_agent_looks_more_often(idle):
    calm = ticks(idle, 60)
    available(idle, 300)
    assert calm <= 30 < ticks(idle, 60) - 10


def test_what_grew_while_there_was_no_plan_is_no_growth_when_it_comes_back(idle):
    plan = idle.plans.held.plan
    idle.hear(plan=None)
    idle.run(30)
    holds(idle, cold_mib=264)
    idle.hear(plan=plan)
    idle.run(30)
    assert idle.loop.ticks.grown == 0


def test_a_lane_that_the_kernel_has_stopped_for_the_moment_is_awake_all_the_same(idle):
    """It begins again by itself, within a sample, as soon as somebody takes memory."""
    calm = ticks(idle, 60)
    (lane,) = idle.loop.status.lanes
    available(idle, lane.mark_permille - 2, free_permille=lane.mark_permille + 5)
    idle.run(10)
    assert not idle.loop.status.lanes[0].active
    assert calm < ticks(idle, 60) - 10


def test_it_does_not_look_as_often_as_the_shortest_aggregation_ends(make_machine, pod):
    machine = make_machine()
    available(machine, 300)
    machine.start(10, machine.container(A))
    holds(machine, cold_mib=64)
    intervals = {"sampleInterval": "5ms", "aggregationInterval": "40ms", "updateInterval": "1s"}
    machine.plan(pod(1, A, priority=60), settings={"monitoring": intervals})
    machine.run(30)
    assert ticks(machine, 10) <= 3 * 10
