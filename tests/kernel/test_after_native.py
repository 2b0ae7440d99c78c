"""An RFC kernel whose own tuner has run in this boot: its kdamonds must never be recreated."""

import pytest

from damon_agent.facts import Process
from damon_agent.kernel.ownership.record import Record, RecordStore
from damon_agent.kernel.slots import Slots
from damon_contract.v1alpha1.node import NodeReason
from damon_mock.damon import Identity


def armed(node, *, driver: str = "native", phase: str = "") -> Process:
    """Leave what a native driver leaves: one kdamond, on, with priorities, and its record."""
    process = node.spawn()
    base = "damon/admin/kdamonds"
    targets = f"{base}/0/contexts/0/targets"
    for path, value in (
        (f"{base}/nr_kdamonds", "1"),
        (f"{base}/0/contexts/nr_contexts", "1"),
        (f"{targets}/nr_targets", "2"),
        (f"{targets}/0/pid_target", str(process.pid)),
        (f"{targets}/0/target_priority", "1"),
        (f"{targets}/1/pid_target", "2"),
        (f"{targets}/1/target_priority", "100"),
        (f"{base}/0/contexts/0/schemes/nr_schemes", "2"),
        (f"{base}/0/state", "on"),
    ):
        node.emulator.write(path, value.encode())
    node.emulator.advance(1_000_000)
    assert node.events("arm")
    record = Record(node.boot_id, driver, 0, 1, (Slots(),), armed=True, phase=phase)
    RecordStore(node.state_dir, node.boot_id).save(record)
    return process


def comm_of(node):
    """Return what names a thread: the kdamond's, or nothing."""
    return node.processes.comm


@pytest.fixture
def node(node_of):
    node = node_of("rfc")
    node.state_dir.mkdir(parents=True, exist_ok=True)
    return node


def test_the_kdamond_there_is_is_used_with_every_priority_at_zero(node):
    process, protected = armed(node), node.spawn()
    node.restart()
    intent = node.intent([(process, 10), (node.spawn(), 50), (protected, 90)])
    node.settle(intent)
    node.keep_running(intent, 60_000_000)
    assert node.targeted() == {member.process for member in intent.members}
    assert node.read("nr_kdamonds") == "1"
    kdamonds = [r for r in node.writes() if r.path.endswith("nr_kdamonds")]
    assert len(kdamonds) == 1, "only that of the native driver"
    priorities = {
        value
        for path, value in node.emulator.snapshot().items()
        if path.endswith("target_priority")
    }
    assert priorities == {"0"}
    assert len(node.writes("off")) == 1
    assert node.events("reclaim") == [], "a protected pod shares the only lane: watch only"


def test_off_leaves_the_kdamond_and_the_word_that_it_was_armed(node):
    process = armed(node)
    node.restart()
    node.settle(node.intent([(process, 10)]))
    node.settle(None)
    assert node.kernel_targets() == {}
    assert node.read("nr_kdamonds") == "1"
    assert RecordStore(node.state_dir, node.boot_id).load().armed
    node.settle(node.intent([(process, 10)]))
    assert node.targeted() == {process}


def test_a_crashed_kdamond_is_not_touched(node):
    armed(node)
    node.restart()
    node.driver._comm = lambda _pid: None
    before = len(node.writes())
    report = node.settle(node.intent([(node.spawn(), 10)]), until=lambda r: bool(r.faults))
    assert report.faults[0].reason is NodeReason.NEEDS_REBOOT
    assert node.writes()[before:] == []


def test_kdamonds_gone_in_an_armed_boot_are_not_allocated_again(node):
    armed(node)
    node.emulator.kdamonds[0].stop("by a test")
    node.restart()
    node.write_as_other("nr_kdamonds", "0")
    before = len(node.writes())
    report = node.settle(node.intent([(node.spawn(), 10)]), until=lambda r: bool(r.faults))
    assert report.faults[0].reason is NodeReason.NATIVE_SPENT
    assert node.writes()[before:] == []


def test_another_drivers_kdamonds_are_exchanged_where_nothing_was_armed(node_of):
    node = node_of("7.2")
    node.state_dir.mkdir(parents=True, exist_ok=True)
    node.emulator.write("damon/admin/kdamonds/nr_kdamonds", b"1")
    RecordStore(node.state_dir, node.boot_id).save(Record(node.boot_id, "native", 0, 1, (Slots(),)))
    node.restart()
    process = node.spawn()
    node.settle(node.intent([(process, 10)]))
    assert node.read("nr_kdamonds") == "8"
    assert node.targeted() == {process}


def test_a_release_that_was_begun_is_finished_before_the_next_plan(node_of):
    node = node_of("6.12")
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50)])
    node.settle(intent)
    node.restart()
    node.step(None)
    node.settle(intent)
    assert len(node.targeted()) == 2
    assert isinstance(node.emulator.kdamonds[0].context.targets[0].process, Identity)
