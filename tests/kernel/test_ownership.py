"""What is ours is known without the record; what is not is never touched."""

import json

import pytest

from damon_agent.kernel.tree.signature import SIGNATURE
from damon_contract.v1alpha1.node import NodeReason
from damon_mock.damon import Fault, Killed, Kills


def record_of(node):
    return node.state_dir / "record.json"


@pytest.mark.parametrize("loss", ["deleted", "damaged", "of another format", "nested"])
@pytest.mark.parametrize("profile", ["6.1", "6.12", "7.2"])
def test_without_a_record_our_kdamonds_are_known_by_their_signature_and_switched_off(
    node_of, profile, loss
):
    """Off was reported while two pageout lanes ran."""
    node = node_of(profile)
    node.memory.set_free_permille(300)
    node.settle(node.intent([(node.spawn(), 10), (node.spawn(), 50)]))
    if loss == "deleted":
        record_of(node).unlink()
    else:
        texts = {"damaged": "{", "of another format": '{"format": 1}', "nested": "[" * 100_000}
        record_of(node).write_text(texts[loss])
    node.restart()
    report = node.settle(None)
    assert report.applied
    assert node.kernel_targets() == {}
    assert node.read("nr_kdamonds") == "0"


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_without_a_record_a_plan_is_put_in_again(node_of, profile):
    node = node_of(profile)
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50)])
    node.settle(intent)
    record_of(node).unlink()
    node.restart()
    assert node.settle(intent).faults == ()
    assert node.targeted() == {member.process for member in intent.members}


def test_each_flipped_bit_of_the_record_leaves_a_node_that_can_be_switched_off(node_of):
    node = node_of("7.2")
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50)])
    node.settle(intent)
    whole = record_of(node).read_bytes()
    for position in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        record_of(node).write_bytes(flipped)
        node.restart()
        assert node.settle(intent).faults == ()
        node.settle(None)
        assert node.read("nr_kdamonds") == "0"
        node.settle(intent)
        whole = record_of(node).read_bytes()


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
@pytest.mark.parametrize("count", ["8", "3"])
def test_others_kdamonds_are_never_taken_for_ours_whatever_their_number(node_of, profile, count):
    """47 writes went to somebody else's, who had as many as we."""
    node = node_of(profile)
    process = node.spawn()
    node.settle(node.intent([(process, 50)]))
    node.processes.kill(process.pid)
    node.settle(node.intent([]))
    node.write_as_other("nr_kdamonds", count)
    for kdamond in range(int(count)):
        node.write_as_other(f"{kdamond}/contexts/nr_contexts", "1")
    before = len(node.writes())
    busy = node.settle(node.intent([(node.spawn(), 50)]), until=lambda r: bool(r.faults))
    assert [fault.reason for fault in busy.faults] == [NodeReason.DAMON_BUSY]
    node.restart()
    node.settle(node.intent([(node.spawn(), 50)]), until=lambda r: bool(r.faults))
    assert node.settle(None).applied, "what is certainly others' does not keep Off from being true"
    assert node.writes()[before:] == []


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_others_kdamonds_are_not_ours_because_a_change_of_ours_was_cut_off(node_of, profile):
    """43 writes went to eight of somebody else's that look like ours, without a fault."""
    node = node_of(profile)
    first, second = node.spawn(), node.spawn()
    node.settle(node.intent([(first, 50)]))
    node.emulator.faults.add(Fault("damon/*", Kills("after")))
    with pytest.raises(Killed):
        node.keep_running(node.intent([(first, 50), (second, 50)]), 20_000_000)
    node.emulator.faults.clear()
    node.write_as_other("0/state", "off")
    node.emulator.advance(3_000_000)
    node.write_as_other("nr_kdamonds", "8")
    for kdamond in range(8):
        for count in ("nr_contexts", "0/schemes/nr_schemes", "0/targets/nr_targets"):
            node.write_as_other(f"{kdamond}/contexts/{count}", "1")
    before = len(node.writes())
    node.restart()
    busy = node.settle(node.intent([(first, 50)]), until=lambda r: bool(r.faults))
    assert [fault.reason for fault in busy.faults] == [NodeReason.DAMON_BUSY]
    assert node.writes()[before:] == []


@pytest.mark.parametrize("target", ["their own", "none"])
@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_others_kdamonds_are_not_ours_because_we_were_killed_before_the_signature(
    node_of, profile, target
):
    """In an hour of faults: 70 writes, to eight that somebody set up, and could not switch on."""
    for write in range(1, 40, 3):
        node = node_of(profile)
        intent = node.intent([(node.spawn(), 50)])
        node.emulator.faults.add(Fault("damon/*", Kills("after"), skip=write))
        with pytest.raises(Killed):
            node.keep_running(intent, 2_000_000)
        node.emulator.faults.clear()
        assert not json.loads(record_of(node).read_text())["isSigned"]
        node.write_as_other("nr_kdamonds", "8")
        theirs = str(node.spawn().pid)
        for kdamond in range(8):
            for count in ("nr_contexts", "0/schemes/nr_schemes", "0/targets/nr_targets"):
                node.write_as_other(f"{kdamond}/contexts/{count}", "1")
            if target == "their own":
                path = f"{kdamond}/contexts/0/targets/0/pid_target"
                node.write_as_other(path, theirs)
        before = len(node.writes())
        node.restart()
        busy = node.settle(intent, until=lambda r: bool(r.faults))
        assert [fault.reason for fault in busy.faults] == [NodeReason.DAMON_BUSY]
        assert node.writes()[before:] == []


def test_off_is_not_said_while_another_agent_holds_the_state_directory(node_of):
    node = node_of("7.2")
    node.settle(node.intent([(node.spawn(), 10)]))
    held, node.state = node.state, None
    node.restart()
    report = node.step(None)
    assert [fault.reason for fault in report.faults] == [NodeReason.DAMON_BUSY]
    assert not report.applied
    held.unlock()
    assert node.settle(None).applied


@pytest.mark.parametrize("profile", ["6.1", "6.12", "6.18", "7.2"])
def test_killed_at_each_of_the_first_writes_the_next_agent_goes_on(node_of, profile):
    for write in range(60):
        node = node_of(profile)
        intent = node.intent([(node.spawn(), 50), (node.spawn(), 90)])
        node.emulator.faults.add(Fault("damon/*", Kills("after"), skip=write))
        try:
            node.keep_running(intent, 2_000_000)
        except Killed:
            node.emulator.faults.clear()
            node.restart()
        node.emulator.faults.clear()
        assert node.settle(intent).faults == ()
        assert len(node.targeted()) == 2


def test_the_record_says_nothing_of_what_another_driver_needs(node_of):
    node = node_of("7.2")
    node.settle(node.intent([(node.spawn(), 50)]))
    told = json.loads(record_of(node).read_text())
    assert set(told) == {
        "format", "bootId", "isSigned", "native", "stoppedDamonStat", "kdamonds",
    }  # fmt: skip


def test_without_a_record_the_kdamond_of_the_driver_native_is_not_taken_for_ours(node_of):
    """A second `on` in one boot crashes that kernel."""
    node = node_of("rfc")
    node.write_as_other("nr_kdamonds", "1")
    for path in ("contexts/nr_contexts", "contexts/0/targets/nr_targets"):
        node.write_as_other(f"0/{path}", "1")
    node.write_as_other("0/contexts/0/schemes/nr_schemes", "1")
    for name, value in zip(("high", "mid", "low"), SIGNATURE, strict=True):
        node.write_as_other(f"0/contexts/0/schemes/0/watermarks/{name}", str(value))
    intent = node.intent([(node.spawn(), 50)])
    report = node.settle(intent, until=lambda r: bool(r.faults))
    assert [fault.reason for fault in report.faults] == [NodeReason.DAMON_BUSY]
    assert node.writes() == []
