"""Swap that is used up: said, and nothing is paged out until some of it is free again."""

import pytest

A = "a1" * 32
B = "b2" * 32
TOTAL_KIB = 8 << 20


def fill(machine, free_permille, total_kib=TOTAL_KIB):
    (machine.proc / "meminfo").write_text(
        "MemTotal: 16777216 kB\nMemFree: 1677721 kB\nMemAvailable: 2388608 kB\n"
        f"SwapTotal: {total_kib} kB\nSwapFree: {total_kib * free_permille // 1000} kB\n"
    )


@pytest.fixture
def planned(machine, pod):
    """An eager pod and one on the ladder, both awake: next to nothing is available."""
    machine.start(10, machine.container(A))
    machine.start(20, machine.container(B))
    fill(machine, 500)
    machine.plan(pod(1, A, priority=10), pod(2, B, priority=30))
    machine.run(30)
    return machine


def actions(machine):
    return {
        scheme.wanted.action
        for kdamond in machine.emulator.kdamonds
        if kdamond.running
        for scheme in kdamond.context.schemes
    }


def test_nothing_is_paged_out_until_some_is_free_again(planned):
    assert actions(planned) == {"stat", "pageout"}
    fill(planned, 10)
    planned.run(30)
    assert actions(planned) == {"stat"}
    degraded = planned.condition("Degraded")
    assert (degraded.status, degraded.reason) == ("True", "SwapFull")
    assert "5 % of it is free" in degraded.message
    assert planned.condition("Applied").status == "True"
    assert planned.status.memory.swap_free_bytes == TOTAL_KIB // 100 * 1024
    assert planned.targets() == [10, 20], "ages are kept"
    fill(planned, 40)
    planned.run(60)
    assert actions(planned) == {"stat"}, "it does not go on and off at one line"
    fill(planned, 60)
    planned.run(60)
    assert actions(planned) == {"stat", "pageout"}
    assert planned.condition("Degraded").status == "False"


def test_while_swap_is_switched_off_nothing_is_paged_out_to_it(planned):
    for left_permille in (700, 300, 1):
        fill(planned, 0, TOTAL_KIB * left_permille // 1000)
        planned.run(20)
        assert actions(planned) == {"stat"}
        assert planned.condition("Degraded").reason == "SwapFull"
    fill(planned, 0, 0)
    planned.run(30)
    assert planned.condition("Degraded").reason == "NoSwap"
    fill(planned, 1000)
    planned.run(60)
    assert planned.condition("Degraded").status == "False"
    assert actions(planned) == {"stat", "pageout"}


def test_what_needs_no_swap_goes_on(planned, pod):
    settings = {"reclaim": {"action": "cold"}}
    planned.plan(pod(1, A, priority=10), generation=2, settings=settings)
    fill(planned, 0)
    planned.run(60)
    assert actions(planned) == {"stat", "cold"}
    assert planned.condition("Degraded").status == "False"


def test_while_only_observing_it_is_no_fault(planned, pod):
    planned.plan(pod(1, A), generation=2, mode="Observe")
    fill(planned, 0)
    planned.run(60)
    assert planned.condition("Degraded").status == "False"


def test_an_agent_that_starts_on_such_a_node_pages_nothing_out(planned):
    fill(planned, 0)
    planned.restart()
    planned.run(30)
    assert actions(planned) == {"stat"}
    assert planned.condition("Degraded").reason == "SwapFull"
