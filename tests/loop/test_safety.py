"""A node over a limit of `safety`: every lane only watches, and that is said, until it is well."""

import pytest

A = "a1" * 32
B = "b2" * 32
C = "c3" * 32
TOTAL_KIB = 8 << 20


def fill(machine, free_permille):
    (machine.proc / "meminfo").write_text(
        "MemTotal: 16777216 kB\nMemFree: 1677721 kB\nMemAvailable: 2388608 kB\n"
        f"SwapTotal: {TOTAL_KIB} kB\nSwapFree: {TOTAL_KIB * free_permille // 1000} kB\n"
    )


def actions(machine):
    return {
        scheme.wanted.action
        for kdamond in machine.emulator.kdamonds
        if kdamond.running
        for scheme in kdamond.context.schemes
    }


@pytest.fixture
def limited(machine, pod):
    """An eager pod, one on the ladder and a protected one, and limits as stated."""
    homes = {}
    for pid, container in ((10, A), (20, B), (30, C)):
        homes[pid] = machine.container(container)
        machine.start(pid, homes[pid])
        tell(homes[pid])
    fill(machine, 900)

    def plan(mode="Enforce", **safety):
        pods = (pod(1, A, priority=10), pod(2, B, priority=30), pod(3, C, priority=90))
        machine.plan(*pods, mode=mode, settings={"safety": safety})
        machine.run(30)
        return homes

    return plan


def tell(home, *, pressure="0.00", swapped=0, refaults=0):
    (home / "memory.pressure").write_text(f"some avg10={pressure} avg60=0.00 avg300=0.00 total=0\n")
    (home / "memory.stat").write_text(
        f"anon {64 << 20}\nfile 0\nworkingset_refault_anon {refaults}\nswapcached 0\n"
    )
    (home / "memory.swap.current").write_text(f"{swapped}\n")


def said(machine):
    return [
        (c.status, c.reason)
        for kind in ("Ready", "Applied", "Degraded")
        for c in [machine.condition(kind)]
    ]


HELD = [("True", "SafetyLimit"), ("True", "Applied"), ("True", "SafetyLimit")]


def test_over_the_limit_of_swap_every_lane_only_watches(machine, limited):
    limited(maxSwapUsedPermille=500)
    assert actions(machine) == {"stat", "pageout"}
    fill(machine, 490)
    machine.run(30)
    assert actions(machine) == {"stat"}
    assert said(machine) == HELD
    assert "510 permille of swap are used" in machine.condition("Degraded").message
    assert machine.targets() == [10, 20, 30], "ages are kept"
    fill(machine, 540)
    machine.run(60)
    assert actions(machine) == {"stat"}, "it does not go on and off at one line"
    fill(machine, 560)
    machine.run(60)
    assert actions(machine) == {"stat", "pageout"}
    assert machine.condition("Degraded").status == "False"


def test_so_it_does_while_a_protected_pod_waits_for_memory(machine, limited):
    homes = limited(maxProtectedPressurePermille=20)
    tell(homes[20], pressure="9.00")
    machine.run(30)
    assert "pageout" in actions(machine), "that pod is not protected: it is for the brake"
    tell(homes[30], pressure="2.50")
    machine.run(30)
    assert actions(machine) == {"stat"}
    assert said(machine) == HELD
    tell(homes[30], pressure="1.50")
    machine.run(30)
    assert actions(machine) == {"stat"}
    tell(homes[30], pressure="0.50")
    machine.run(60)
    assert "pageout" in actions(machine)


def test_and_when_more_is_given_up_within_a_minute_than_may_be(machine, limited):
    homes = limited(maxReclaimPerMinute="64Mi")
    machine.run(60)
    assert "pageout" in actions(machine)
    tell(homes[10], swapped=200 << 20)
    machine.run(70)
    assert actions(machine) == {"stat"}
    assert said(machine) == HELD
    machine.run(130)
    assert "pageout" in actions(machine)


def test_without_limits_nothing_is_held(machine, limited):
    homes = limited()
    fill(machine, 100)
    tell(homes[30], pressure="90.00")
    tell(homes[10], swapped=4 << 30)
    machine.run(130)
    assert "pageout" in actions(machine)


def test_while_only_observing_it_is_no_fault(machine, limited):
    limited(mode="Observe", maxSwapUsedPermille=1)
    assert machine.condition("Degraded").status == "False"


def test_a_plan_that_comes_back_is_not_held_for_what_was_before(machine, limited):
    limited(maxSwapUsedPermille=500)
    fill(machine, 490)
    machine.run(30)
    assert said(machine) == HELD
    machine.hear(plan=None)
    machine.run(30)
    fill(machine, 540)
    limited(maxSwapUsedPermille=500)
    assert actions(machine) == {"stat", "pageout"}, "it is near the limit and was not over it since"
