"""What no driver can prevent, because others write to DAMON too: the kernel crashes beside us.

With panic_on_oops the node is gone; without, DAMON is: then nothing is written any more.
"""

import pytest

from damon_agent.kernel.native.boot import Phase
from damon_contract.v1alpha1.node import NodeReason

NATIVE_REASONS = {NodeReason.NEEDS_REBOOT}
TARGETS = "0/contexts/0/targets"


@pytest.fixture
def node(node_of):
    node = node_of()
    node.emulator.panic_on_oops = False
    return node


def is_alive(node) -> bool:
    return node.processes.comm(int(node.read("0/pid"))) is not None


def written(node) -> list[str]:
    return [record.path for record in node.emulator.log if record.writer == "agent"]


def expect_nothing_but_the_condition(node, intent) -> None:
    """Whatever is planned, and whoever restarts: no write, until the machine restarts."""
    before = written(node)
    for wanted in (intent, node.intent([(node.spawn(), 30)]), None, intent):
        report = node.keep_running(wanted, 5_000_000)
        assert {fault.reason for fault in report.faults} == NATIVE_REASONS
        node.restart()
    assert {fault.reason for fault in node.step(node.off()).faults} == NATIVE_REASONS
    assert node.phase() is Phase.BROKEN
    assert written(node) == before
    node.reboot()
    assert node.settle(node.intent([(node.spawn(), 50)])).faults == ()


def test_somebody_commits_a_list_of_one(node):
    """There is one number at the next look, and a scheme for it: the kdamond divides by zero."""
    intent = node.intent([(node.spawn(), 90)])
    node.settle(intent)
    node.write_as_other(f"{TARGETS}/nr_targets", "1")
    node.write_as_other(f"{TARGETS}/0/pid_target", "2")
    node.write_as_other("0/contexts/0/schemes/0/core_filters/nr_filters", "1")
    node.write_as_other("0/contexts/0/schemes/0/core_filters/0/type", "target")
    node.write_as_other("0/state", "commit")
    node.emulator.advance(12_000_000)
    assert node.read("0/state") == "on"
    assert not is_alive(node)
    expect_nothing_but_the_condition(node, intent)


def test_somebody_armed_it_earlier_in_this_boot_and_left_no_trace(node):
    """Not visible in sysfs; the kernel uses freed memory as soon as ours is switched on."""
    one, other = node.spawn(), node.spawn()
    node.write_as_other("nr_kdamonds", "1")
    node.write_as_other("0/contexts/nr_contexts", "1")
    node.write_as_other(f"{TARGETS}/nr_targets", "2")
    for slot, process in enumerate((one, other)):
        node.write_as_other(f"{TARGETS}/{slot}/pid_target", str(process.pid))
        node.write_as_other(f"{TARGETS}/{slot}/target_priority", str(10 + slot))
    node.write_as_other("0/state", "on")
    node.emulator.advance(100_000)
    node.write_as_other("0/state", "off")
    node.write_as_other("nr_kdamonds", "0")
    intent = node.intent([(node.spawn(), 50)])
    node.settle(intent, until=lambda report: bool(report.faults))
    assert not is_alive(node)
    expect_nothing_but_the_condition(node, intent)


def test_the_kdamond_is_one_and_watches_processes(node):
    node.settle(node.intent([(node.spawn(), 50)]))
    assert node.read("nr_kdamonds") == "1"
    assert node.read("0/contexts/0/operations") == "vaddr"
    told = {r.value for r in node.emulator.log if r.path.endswith("/operations")}
    assert told <= {"vaddr"}
