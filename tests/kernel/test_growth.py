"""Regions of a process that has grown begin anew, and those of nobody else."""

import pytest

from damon_mock.damon import Fault, Killed, Kills


def oldest(node, process):
    """Return the age of the oldest region of a process, in aggregations."""
    for index, held in node.kernel_targets().items():
        if process in held:
            target = node.emulator.kdamonds[index].context.targets[held.index(process)]
            return max(region.age for region in target.regions)
    raise LookupError(process)


def targets(node):
    return {p for held in node.kernel_targets().values() for p in held if p is not None}


@pytest.fixture(name="two")
def two_fixture(node):
    """Two processes of one lane that sleeps; all their regions are old."""
    node.memory.set_free_permille(900)
    processes = node.spawn(), node.spawn()
    intent = node.intent([(each, 50) for each in processes])
    node.settle(intent)
    node.keep_running(intent, 60_000_000)
    assert min(oldest(node, each) for each in processes) > 20
    return processes


def grown(node, process, other):
    now_us = node.emulator.now_us
    return node.intent([(process, 50), (other, 50)], grown_us={process: now_us})


def test_its_ages_are_gone_and_those_of_its_neighbour_stay(node, two):
    process, other = two
    slots = node.kernel_targets()
    intent = grown(node, process, other)
    node.settle(intent)
    node.keep_running(intent, 6_000_000)
    assert oldest(node, process) <= 4
    assert oldest(node, other) > 20
    assert node.kernel_targets() == slots


def test_it_begins_anew_once_for_each_time_it_has_grown(node, two):
    process, other = two
    intent = grown(node, process, other)
    node.settle(intent)
    node.keep_running(intent, 60_000_000)
    assert oldest(node, process) > 20
    again = grown(node, process, other)
    node.settle(again)
    node.keep_running(again, 6_000_000)
    assert oldest(node, process) <= 4


def test_who_moves_to_another_lane_begins_anew_by_that_alone(node, two):
    process, other = two
    grown_us = {process: node.emulator.now_us}
    moved = node.intent([(process, 20), (other, 50)], grown_us=grown_us)
    node.settle(moved)
    before = len(node.events("commit"))
    node.keep_running(moved, 30_000_000)
    assert len(node.events("commit")) == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_sigkill_at_each_write_leaves_what_the_next_agent_understands(node_of, when):
    write = 0
    while True:
        node = node_of("6.12")
        process, other = node.spawn(), node.spawn()
        intent = node.intent([(process, 50), (other, 50)])
        node.settle(intent)
        node.keep_running(intent, 60_000_000)
        node.emulator.faults.add(Fault("damon/*", Kills(when), skip=write))
        try:
            node.settle(grown(node, process, other))
        except Killed:
            node.emulator.faults.clear()
            node.restart()
            node.settle(intent)
            assert targets(node) == {process, other}
            write += 1
        else:
            break
    assert write > 3
