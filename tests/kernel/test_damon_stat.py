"""DAMON_STAT is switched off only where that was asked for, and on again by whoever did it."""

import errno

import pytest

from damon_contract.v1alpha1.node import NodeReason
from damon_mock.damon import Fails, Fault, Killed, Kills, Writer

ENABLED = "module/damon_stat/parameters/enabled"


@pytest.fixture
def node(node_of):
    """A kernel that has DAMON_STAT on, with an agent that may switch it off."""
    node = node_of("7.2")
    node.emulator.modules.enabled["damon_stat"] = True
    node.stops_damon_stat = True
    node.restart()
    return node


def is_on(node):
    return node.emulator.modules.enabled["damon_stat"]


def blames(reason):
    return lambda report: any(fault.reason is reason for fault in report.faults)


def given_back(node):
    return (
        node.read("nr_kdamonds") == "0" and is_on(node) and not list(node.state_dir.glob("*.json"))
    )


def test_it_is_off_while_there_is_a_plan_and_on_afterwards(node):
    intent = node.intent([(node.spawn(), 30)])
    report = node.settle(intent)
    assert report.faults == ()
    assert not is_on(node)
    node.keep_running(intent, 60_000_000)
    assert len(node.writes("N")) == 1
    node.settle(None)
    assert given_back(node)


def test_one_that_was_off_stays_off(node):
    node.emulator.modules.enabled["damon_stat"] = False
    node.settle(node.intent([(node.spawn(), 30)]))
    node.settle(None)
    assert not is_on(node)
    assert not [record for record in node.writes() if record.path == ENABLED]


def test_the_other_exclusive_users_are_never_touched(node):
    node.emulator.modules.enabled["damon_reclaim"] = True
    intent = node.intent([(node.spawn(), 30)])
    node.settle(intent, until=blames(NodeReason.DAMON_BUSY))
    assert node.writes() == []
    assert is_on(node)


def test_beside_somebody_elses_kdamonds_it_is_not_touched(node):
    node.write_as_other("nr_kdamonds", "2")
    node.settle(node.intent([(node.spawn(), 30)]), until=blames(NodeReason.DAMON_BUSY))
    assert node.writes() == []
    assert is_on(node)


def test_a_new_agent_without_the_permission_still_gives_it_back(node):
    intent = node.intent([(node.spawn(), 30)])
    node.settle(intent)
    node.stops_damon_stat = False
    node.restart()
    node.settle(intent)
    assert not is_on(node)
    node.settle(None)
    assert given_back(node)


def test_it_is_given_back_even_if_somebody_has_taken_our_kdamonds_away(node):
    node.settle(node.intent([(node.spawn(), 30)]))
    for kdamond in range(8):
        if node.read(f"{kdamond}/state") == "on":
            node.write_as_other(f"{kdamond}/state", "off")
    node.write_as_other("nr_kdamonds", "0")
    node.settle(None)
    assert given_back(node)


def test_what_can_not_be_given_back_is_said_until_it_is(node):
    node.settle(node.intent([(node.spawn(), 30)]))
    node.emulator.faults.add(Fault(ENABLED, Fails(errno.EROFS), times=None))
    report = node.settle(None, until=blames(NodeReason.DAMON_STAT_OFF))
    assert "EROFS" in report.faults[0].message
    assert not report.at_rest
    node.emulator.faults.clear()
    node.settle(None)
    assert given_back(node)


def test_somebody_switching_it_on_by_hand_ends_that_as_well(node):
    node.settle(node.intent([(node.spawn(), 30)]))
    node.emulator.faults.add(Fault(ENABLED, Fails(errno.EROFS), times=1))
    node.settle(None, until=blames(NodeReason.DAMON_STAT_OFF))
    node.emulator.write(ENABLED, b"Y", Writer("somebody"))
    node.settle(None)
    assert given_back(node)


def test_another_exclusive_user_that_came_meanwhile_is_left_in_peace(node):
    node.settle(node.intent([(node.spawn(), 30)]))
    for kdamond in range(8):
        if node.read(f"{kdamond}/state") == "on":
            node.write_as_other(f"{kdamond}/state", "off")
    node.emulator.modules.enabled["damon_lru_sort"] = True
    node.settle(None)
    assert node.read("nr_kdamonds") == "0"
    assert not is_on(node)


def test_one_that_can_not_be_stopped_yet_is_tried_again(node):
    node.emulator.faults.add(Fault(ENABLED, Fails(errno.EBUSY), times=3))
    node.settle(node.intent([(node.spawn(), 30)]))
    assert not is_on(node)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("released", [False, True])
def test_killed_at_any_write_the_next_agent_takes_and_gives_back_all(node_of, when, released):
    """Both ways: killed while taking DAMON, and while giving it back."""
    for nth in range(200):
        node = node_of("7.2")
        node.emulator.modules.enabled["damon_stat"] = True
        node.stops_damon_stat = True
        node.restart()
        intent = node.intent([(node.spawn(), 30)])
        if released:
            node.settle(intent)
        node.emulator.faults.add(Fault("*", Kills(when), skip=nth))
        try:
            node.settle(None if released else intent)
        except Killed:
            node.emulator.faults.clear()
            node.restart()
        else:
            assert nth > 2
            return
        if not released:
            node.settle(intent)
            assert not is_on(node)
        node.settle(None)
        assert given_back(node), f"killed {when} write {nth}"
    raise AssertionError("no end of writes")


def test_after_a_reboot_nothing_is_given_back_that_the_boot_decides(node):
    node.settle(node.intent([(node.spawn(), 30)]))
    node.emulator.reboot()
    node.boot_id = "next-boot"
    node.restart()
    node.settle(None)
    assert not [record for record in node.writes("Y") if record.path == ENABLED]
