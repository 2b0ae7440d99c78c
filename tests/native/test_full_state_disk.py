"""The record can't be written: nobody gets a slot, and what must not reclaim does not."""

import pytest

from damon_contract.v1alpha1.node import NodeReason
from damon_mock.damon import Fault, Killed, Kills


def acting(node) -> int:
    """Return how many schemes reclaim."""
    schemes = node.emulator.kdamonds[0].context.schemes
    return sum(scheme.wanted.action != "stat" for scheme in schemes)


@pytest.fixture
def awake_of(node_of):
    """Return a machine with two processes that are reclaimed and a protected one."""

    def of():
        node = node_of()
        node.memory.set_free_permille(300)
        members = [(node.spawn(), 10), (node.spawn(), 30), (node.spawn(), 90)]
        node.settle(node.intent(members))
        assert acting(node) == 2
        return node, members

    return of


def test_slots_that_are_to_stop_do_and_go_on_without_a_note(awake_of, disk):
    node, members = awake_of()
    disk.is_full = True
    for _ in range(2):
        node.settle(node.intent(members, halted=True), until=lambda report: not report.reclaims)
        assert acting(node) == 0
        node.settle(node.intent(members))
        assert acting(node) == 2


def test_so_do_they_when_somebody_comes_and_somebody_leaves(awake_of, disk):
    node, members = awake_of()
    disk.is_full = True
    other = node.intent([*members[1:], (node.spawn(), 10)])
    report = node.settle(other, until=lambda _: acting(node) == 1)
    report = node.keep_running(other, 10_000_000)
    assert [fault.reason for fault in report.faults] == [NodeReason.STATE_UNWRITABLE]
    assert not report.applied
    assert acting(node) == 1, "who has left the plan is only watched"
    halted = node.intent([*members[1:], (node.spawn(), 10)], halted=True)
    node.settle(halted, until=lambda report: not report.reclaims)
    assert acting(node) == 0
    disk.is_full = False
    assert node.settle(other).faults == ()
    assert acting(node) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_write_meanwhile_the_next_agent_lets_nothing_reclaim_either(
    awake_of, disk, when
):
    for skipped in range(20):
        disk.is_full = False
        node, members = awake_of()
        halted = node.intent(members, halted=True)
        disk.is_full = True
        node.emulator.faults.add(Fault("*", Kills(when), skip=skipped))
        try:
            node.keep_running(halted, 10_000_000)
        except Killed:
            node.emulator.faults.clear()
            node.restart()
        else:
            assert skipped
            return
        node.settle(halted, until=lambda report: not report.reclaims)
        assert acting(node) == 0, skipped
    raise AssertionError("there is no end of writes")
