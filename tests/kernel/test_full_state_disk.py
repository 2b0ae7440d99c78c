"""The record can't be written: nobody is put anywhere, and what must not reclaim does not."""

import pytest

from damon_contract.v1alpha1.node import NodeReason
from damon_mock.damon import Fault, Killed, Kills

PROFILES = ["6.1", "6.12", "7.2"]


def acting(node) -> set[int]:
    """Return the kdamonds in which something reclaims."""
    return {
        kdamond.index
        for kdamond in node.emulator.kdamonds
        if kdamond.running
        and any(scheme.wanted.action != "stat" for scheme in kdamond.context.schemes)
    }


@pytest.fixture
def awake_of(node_of):
    """Return a machine with two lanes that reclaim and a protected one, and its members."""

    def of(profile="7.2"):
        node = node_of(profile)
        node.memory.set_free_permille(300)
        members = [(node.spawn(), 10), (node.spawn(), 30), (node.spawn(), 90)]
        node.settle(node.intent(members))
        assert len(acting(node)) == 2
        return node, members

    return of


@pytest.mark.parametrize("profile", PROFILES)
def test_lanes_that_are_to_stop_do_and_all_is_built_anew_once_there_is_room(
    awake_of, disk, profile
):
    node, members = awake_of(profile)
    protected = members[2][0]
    thread = node.emulator.kdamonds[node.lane_of(protected)].pid
    disk.is_full = True
    halted = node.intent(members, halted=True)
    report = node.settle(halted, until=lambda report: not report.reclaims, limit_us=15_000_000)
    assert acting(node) == set()
    assert {fault.reason for fault in report.faults} == {NodeReason.STATE_UNWRITABLE}
    before = len(node.events("reclaim"))
    node.keep_running(halted, 60_000_000)
    assert len(node.events("reclaim")) == before
    disk.is_full = False
    assert node.settle(node.intent(members)).faults == ()
    assert len(acting(node)) == 2
    assert node.emulator.kdamonds[node.lane_of(protected)].pid == thread


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_is_taken_from_who_is_spared_nor_from_a_lane_that_is_to_sleep(
    awake_of, disk, profile
):
    node, members = awake_of(profile)
    disk.is_full = True
    (eager, _), (ladder, _), _ = members
    node.memory.set_free_permille(900)
    node.keep_running(node.intent(members), 20_000_000)
    assert acting(node) == {node.lane_of(eager)}, "it is eager: it does not sleep"
    node.keep_running(node.intent([(eager, 90), *members[1:]]), 20_000_000)
    assert acting(node) == set()
    before = len(node.events("reclaim"))
    node.memory.set_free_permille(30)
    node.keep_running(node.intent([(eager, 90), *members[1:]]), 120_000_000)
    assert len(node.events("reclaim")) == before
    disk.is_full = False
    node.settle(node.intent([(eager, 90), *members[1:]]))
    assert acting(node) == {node.lane_of(ladder)}


def test_a_lane_without_room_for_a_newcomer_goes_on_and_so_do_the_others(awake_of, disk):
    node, members = awake_of()
    disk.is_full = True
    grown = [*members, (node.spawn(), 10), (node.spawn(), 90)]
    node.keep_running(node.intent(grown), 30_000_000)
    assert len(acting(node)) == 2
    node.memory.set_free_permille(900)
    report = node.keep_running(node.intent(grown), 30_000_000)
    assert len(acting(node)) == 1, "one sleeps, although others can't be told of newcomers"
    assert node.steps < 200, "it is tried again each second"
    assert {fault.reason for fault in report.faults} == {NodeReason.STATE_UNWRITABLE}


def test_all_can_be_given_back(awake_of, disk):
    node, _ = awake_of()
    disk.is_full = True
    assert node.settle(None).applied
    assert node.read("nr_kdamonds") == "0"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_write_meanwhile_the_next_agent_lets_nothing_reclaim_either(
    awake_of, disk, profile, when
):
    for skipped in range(20):
        disk.is_full = False
        node, members = awake_of(profile)
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
        node.settle(halted, until=lambda report: not report.reclaims, limit_us=15_000_000)
        assert acting(node) == set(), skipped
        disk.is_full = False
        assert node.settle(node.intent(members)).faults == ()
        assert len(acting(node)) == 2
    raise AssertionError("there is no end of writes")
