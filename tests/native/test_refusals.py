"""When the native driver does not begin, and what it says then. Nothing is left behind."""

import errno

import pytest

from damon_agent.facts import Process
from damon_contract.v1alpha1.node import NodeReason
from damon_mock.damon import Fails, Fault

REFUSED = NodeReason.NATIVE_REFUSED


def refused(node, intent=None) -> str:
    """Return the message of the refusal; what it takes to see it may be one claim and its end."""
    wanted = node.intent([(node.spawn(), 50)]) if intent is None else intent
    report = node.settle(wanted, until=lambda report: bool(report.faults))
    assert [fault.reason for fault in report.faults] == [REFUSED]
    assert not report.at_rest
    node.keep_running(wanted, 5_000_000)
    assert not node.events("on")
    return report.faults[0].message


@pytest.mark.parametrize("profile", ["6.1", "6.12", "6.18", "7.2"])
def test_a_kernel_without_the_file(node_of, profile):
    node = node_of(profile=profile)
    assert "target_priority" in refused(node)
    assert node.read("nr_kdamonds") == "0"
    assert len([r for r in node.emulator.log if r.path.endswith("nr_kdamonds")]) == 2


def test_a_kernel_that_cannot_monitor_processes(node):
    original = node.emulator.read

    def without_vaddr(path):
        return b"paddr\n" if path.endswith("/avail_operations") else original(path)

    node.emulator.read = without_vaddr
    assert "vaddr" in refused(node)
    assert node.read("nr_kdamonds") == "0"
    assert node.record() is None
    assert len([r for r in node.emulator.log if r.path.endswith("nr_kdamonds")]) == 2


def test_outside_of_the_hosts_pid_namespace(node_of):
    node = node_of(host_pid_namespace=False)
    assert "hostPID" in refused(node)
    assert node.emulator.log == []


def test_without_swap(node_of):
    node = node_of(swap_bytes=0)
    assert "no swap" in refused(node)
    assert node.emulator.log == []


def test_with_too_little_free_memory_until_there_is_enough(node):
    node.memory.set_free_permille(149)
    process = node.spawn()
    intent = node.intent([(process, 50)])
    assert "149 per mille" in refused(node, intent)
    assert node.emulator.log == []
    node.memory.set_free_permille(150)
    node.settle(node.seen(intent))
    assert process in node.slots()


def test_memory_that_falls_between_claim_and_arming_is_noticed(node):
    process = node.spawn()
    node.step(node.intent([(process, 50)]))
    assert node.read("nr_kdamonds") == "1"
    node.memory.set_free_permille(90)
    assert "90 per mille" in refused(node, node.intent([(process, 50)]))
    assert node.read("nr_kdamonds") == "0"


@pytest.mark.parametrize("module", ["damon_stat", "damon_reclaim", "damon_lru_sort"])
def test_beside_an_exclusive_user_of_damon(node, module):
    node.emulator.modules.enabled[module] = True
    intent = node.intent([(node.spawn(), 50)])
    assert module in refused(node, intent)
    assert node.emulator.log == []
    node.emulator.modules.enabled[module] = False
    node.settle(intent)


def test_beside_foreign_kdamonds(node):
    node.write_as_other("nr_kdamonds", "2")
    intent = node.intent([(node.spawn(), 50)])
    assert "somebody else" in refused(node, intent)
    assert not [record for record in node.emulator.log if record.writer == "agent"]
    node.write_as_other("nr_kdamonds", "0")
    node.settle(intent)


def test_after_the_driver_lanes_has_run_in_this_boot(node):
    node.write_as_other("nr_kdamonds", "8")
    (node.state_dir).mkdir(exist_ok=True)
    (node.state_dir / "record.json").write_text(
        '{"format":2,"bootId":"this-boot","isSigned":true,"native":false,"stoppedDamonStat":false,"kdamonds":[]}'
    )
    assert "another driver" in refused(node)


def test_when_somebody_else_switches_the_claimed_kdamond_on(node):
    process = node.spawn()
    intent = node.intent([(process, 50)])
    node.step(intent)
    node.write_as_other("0/contexts/nr_contexts", "1")
    node.write_as_other("0/contexts/0/targets/nr_targets", "1")
    node.write_as_other("0/contexts/0/targets/0/pid_target", str(process.pid))
    node.write_as_other("0/state", "on")
    report = node.keep_running(intent, 3_000_000)
    assert [fault.reason for fault in report.faults] == [REFUSED]
    assert not [r for r in node.emulator.log if r.writer == "agent" and r.path.endswith("state")]


def test_no_plan_needs_no_kdamond(node):
    report = node.settle(None)
    assert report.faults == ()
    assert node.emulator.log == []
    report = node.settle(node.intent(mode="Off"))
    assert report.faults == ()
    assert node.emulator.log == []


def test_a_plan_withdrawn_before_arming_leaves_nothing(node):
    node.step(node.intent([(node.spawn(), 50)]))
    node.settle(None)
    assert node.read("nr_kdamonds") == "0"
    assert node.record() is None


def test_an_unwritable_state_directory_means_no_write_at_all(node):
    node.state_dir.write_text("a file where the directory should be")
    report = node.step(node.intent([(Process(1000, 1), 50)]))
    assert [fault.reason for fault in report.faults] == [NodeReason.STATE_UNWRITABLE]
    assert node.emulator.log == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [("present", NodeReason.NO_DAMON), ("read_only", NodeReason.READ_ONLY)],
)
def test_sysfs_that_is_not_to_be_had(node, change, reason):
    setattr(node.emulator, change, change == "read_only")
    intent = node.intent([(node.spawn(), 50)])
    report = node.keep_running(intent, 3_000_000)
    assert [fault.reason for fault in report.faults] == [reason]
    setattr(node.emulator, change, change != "read_only")
    node.settle(intent)


def test_a_lock_held_by_others_is_waited_for_and_then_named(node):
    node.emulator.faults.add(Fault("*nr_kdamonds", Fails(errno.EBUSY), "read", times=None))
    intent = node.intent([(node.spawn(), 50)])
    assert node.step(intent).faults == ()
    report = node.keep_running(intent, 6_000_000)
    assert [fault.reason for fault in report.faults] == [NodeReason.SYSFS_LOCKED]
    node.emulator.faults.clear()
    node.settle(intent)


def test_numbers_that_do_not_read_back_keep_the_kdamond_off(node):
    intent = node.intent([(node.spawn(), 50)])
    node.settle(intent, until=lambda _: bool(node.record()))
    original = node.emulator.write

    def tampered(path, data, writer=None):
        if path.endswith("targets/5/target_priority"):
            data = b"99"
        return original(path, data, writer)

    node.emulator.write = tampered
    report = node.keep_running(intent, 3_000_000)
    assert [fault.reason for fault in report.faults] == [NodeReason.WRITE_REJECTED]
    assert not node.events("on")
    node.emulator.write = original
    node.settle(intent)


def test_until_a_look_has_succeeded_what_an_earlier_agent_left_may_reclaim(node):
    members = [(node.spawn(), 10)]
    unreadable = Fault("*/nr_kdamonds", Fails(errno.EIO), operation="read", times=None)
    node.emulator.faults.add(unreadable)
    assert not node.step(node.intent(members)).reclaims, "nothing was left"
    node.emulator.faults.clear()
    node.settle(node.intent(members))
    node.restart()
    node.emulator.faults.add(unreadable)
    report = node.step(node.intent(members, halted=True))
    assert (report.reclaims, len(report.faults)) == (True, 1)
    node.emulator.faults.clear()
    node.settle(node.intent(members, halted=True), until=lambda report: not report.reclaims)
