"""Which processes are made targets, by how long those of their pod live."""

import pytest

from damon_agent.facts import Process
from damon_agent.kernel.intent import Member
from damon_agent.kernel.lanes.lifetimes import LONG_US, REMEMBERED_US, Lifetimes

SECOND_US = 1_000_000


def member(pid: int, pod: str = "pod") -> Member:
    return Member(Process(pid, pid), pod, 50)


@pytest.fixture
def dead() -> set[Process]:
    return set()


@pytest.fixture
def lifetimes(dead) -> Lifetimes:
    return Lifetimes(lambda process: process not in dead)


def test_a_process_may_be_a_target_at_once(lifetimes):
    lifetimes.look([member(1)], 5 * SECOND_US)
    assert lifetimes.due_us(member(1)) == 5 * SECOND_US


def test_after_one_that_ended_early_those_of_its_pod_wait_for_twice_as_long(lifetimes, dead):
    lifetimes.look([member(1), member(2)], 0)
    dead.add(member(2).process)
    lifetimes.look([member(1), member(3), member(4, "other")], 3 * SECOND_US)
    assert lifetimes.due_us(member(3)) == 9 * SECOND_US
    assert lifetimes.due_us(member(1)) == 6 * SECOND_US
    assert lifetimes.due_us(member(4, "other")) == 3 * SECOND_US


def test_the_longest_of_the_brief_lives_counts(lifetimes, dead):
    lifetimes.look([member(1), member(2)], 0)
    dead.add(member(2).process)
    lifetimes.look([member(1), member(3)], 3 * SECOND_US)
    dead.add(member(3).process)
    lifetimes.look([member(1), member(4)], 4 * SECOND_US)
    assert lifetimes.due_us(member(4)) == 10 * SECOND_US


def test_the_end_of_one_that_was_there_for_long_says_nothing(lifetimes, dead):
    lifetimes.look([member(1)], 0)
    dead.add(member(1).process)
    lifetimes.look([member(2)], LONG_US)
    assert lifetimes.due_us(member(2)) == LONG_US


def test_nobody_waits_for_longer_than_what_counts_as_long(lifetimes, dead):
    lifetimes.look([member(1)], 0)
    dead.add(member(1).process)
    lifetimes.look([member(2)], LONG_US - 1)
    assert lifetimes.due_us(member(2)) == 2 * LONG_US - 1


def test_a_process_that_left_the_plan_has_not_ended(lifetimes):
    lifetimes.look([member(1), member(2)], 0)
    lifetimes.look([member(1)], SECOND_US)
    lifetimes.look([member(1), member(3)], 2 * SECOND_US)
    assert lifetimes.due_us(member(3)) == 2 * SECOND_US


def test_it_holds_for_a_container_that_starts_again_after_a_pause_and_is_forgotten(lifetimes, dead):
    lifetimes.look([member(1)], 0)
    dead.add(member(1).process)
    lifetimes.look([], SECOND_US)
    lifetimes.look([member(2)], REMEMBERED_US)
    assert lifetimes.due_us(member(2)) == REMEMBERED_US + 2 * SECOND_US
    lifetimes.look([member(2)], SECOND_US + REMEMBERED_US)
    assert lifetimes.due_us(member(2)) == REMEMBERED_US
