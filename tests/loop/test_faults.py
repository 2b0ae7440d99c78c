"""Every fault is a condition with a reason, and gone once its cause is."""

import errno

import pytest

from damon_agent.plans.pace import Urgency, urgency
from damon_mock.damon.faults import Fails, Fault

A = "a1" * 32


@pytest.fixture
def planned(machine, pod):
    machine.start(10, machine.container(A))
    machine.plan(pod(1, A))
    return machine


def no_damon(machine):
    machine.emulator.present = False


def damon_again(machine):
    machine.emulator.present = True


def read_only(machine):
    machine.emulator.read_only = True


def writable(machine):
    machine.emulator.read_only = False


def damon_stat(machine):
    machine.emulator.modules.enabled["damon_stat"] = True


def no_damon_stat(machine):
    machine.emulator.modules.enabled["damon_stat"] = False


def foreign_kdamond(machine):
    machine.emulator.write("damon/admin/kdamonds/nr_kdamonds", b"1")


def no_foreign_kdamond(machine):
    machine.emulator.write("damon/admin/kdamonds/nr_kdamonds", b"0")


def no_swap(machine):
    machine.set_memory(swap_kib=0)


def swap(machine):
    machine.set_memory()


def unwritable_state(machine):
    (machine.root / "state").write_text("a file, not a directory")


def writable_state(machine):
    (machine.root / "state").unlink()


def unreadable_node(machine):
    (machine.proc / "meminfo").rename(machine.proc / "hidden")


def readable_node(machine):
    (machine.proc / "hidden").rename(machine.proc / "meminfo")


@pytest.mark.parametrize(
    ("breaks", "mends", "reason"),
    [
        (no_damon, damon_again, "NoDamon"),
        (read_only, writable, "ReadOnly"),
        (damon_stat, no_damon_stat, "DamonStatEnabled"),
        (foreign_kdamond, no_foreign_kdamond, "DamonBusy"),
        (unwritable_state, writable_state, "StateUnwritable"),
        (no_swap, swap, "NoSwap"),
        (unreadable_node, readable_node, "NodeUnreadable"),
    ],
)
def test_a_fault_is_told_and_recovery_needs_nobody(planned, breaks, mends, reason):
    breaks(planned)
    planned.run(20)
    ready, degraded = planned.condition("Ready"), planned.condition("Degraded")
    assert (ready.status, ready.reason) == ("True" if reason == "NoSwap" else "False", reason)
    assert (degraded.status, degraded.reason) == ("True", reason)
    assert len(ready.message) > 30, "it says what is the case and what to do"
    mends(planned)
    planned.run(60)
    ready = planned.condition("Ready")
    assert (ready.status, ready.reason) == ("True", "Applied")
    assert planned.condition("Degraded").status == "False"
    assert planned.targets() == [10]


@pytest.mark.parametrize("breaks", [no_damon, read_only, damon_stat, foreign_kdamond])
def test_without_a_usable_damon_the_node_says_so(planned, breaks):
    breaks(planned)
    planned.run(10)
    assert planned.condition("DamonAvailable").status == "False"
    assert planned.condition("Applied").status == "False"


def test_a_foreign_kdamond_is_left_alone(planned):
    foreign_kdamond(planned)
    writes = len(planned.emulator.log)
    planned.run(30)
    assert len(planned.emulator.log) == writes


def test_without_swap_the_plan_is_in_the_kernel_all_the_same(planned):
    no_swap(planned)
    planned.run(20)
    assert planned.condition("Applied").status == "True"
    assert planned.condition("DamonAvailable").status == "True"
    assert "NodeSwap" in planned.condition("Degraded").message
    assert not planned.status.pods[0].swappable


def test_while_only_observing_a_node_without_swap_is_not_degraded(planned, pod):
    no_swap(planned)
    planned.plan(pod(1, A), mode="Observe")
    planned.run(20)
    assert planned.condition("Degraded").status == "False"
    assert "no swap" in planned.condition("Ready").message


def test_a_pod_that_may_not_swap_is_told_per_pod(planned):
    (planned.container(A) / "memory.swap.max").write_text("0\n")
    planned.run(20)
    assert not planned.status.pods[0].swappable
    assert "1 may not swap" in planned.condition("Ready").message
    assert planned.condition("Ready").status == "True"


def test_an_ebusy_storm_is_no_news_unless_it_lasts(planned):
    planned.run(20)
    planned.emulator.faults.add(Fault(effect=Fails(errno.EBUSY), path="damon/*", times=20))
    planned.run(20)
    assert planned.condition("Ready").status == "True"


def test_an_unexpected_exception_is_a_condition_and_a_later_try(planned, caplog):
    planned.run(10)
    planned.broken = True
    planned.run(60)
    ready = planned.condition("Ready")
    assert (ready.status, ready.reason) == ("False", "InternalError")
    assert "ZeroDivisionError" in ready.message
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert len(tracebacks) == 1, "the same error is logged once, however often it is met"
    assert planned.targets() == [10], "what is in the kernel stays"
    assert planned.status.pods, "what was known before is still told"
    planned.broken = False
    planned.run(60)
    assert planned.condition("Ready").status == "True"


def test_a_failed_tick_is_not_tried_again_before_its_time_whoever_rings(planned):
    planned.run(5)
    planned.broken = True
    planned.plan()
    planned.loop.guarded_tick()
    assert planned.loop.ticks.failed == 1
    assert planned.loop._not_before_us > planned.emulator.now_us


def test_a_status_of_an_idle_node_is_not_written_again(planned):
    planned.run(60)
    first = planned.status
    planned.run(120)
    assert urgency(first, planned.status) <= Urgency.FIGURES
