"""Which processes count as grown."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_agent.growth import LEAST_BYTES, Growth, Reading, look

MIB = 1 << 20
MIN_AGE_US = 24_000_000
LOOK_US = 4_000_000
A, B = Process(10, 1), Process(20, 1)
sizes_mib = st.lists(st.one_of(st.none(), st.integers(0, 1000)), min_size=1, max_size=60)


def looked(sizes, process=A):
    """Return when the process was seen to have grown: after each of the looks."""
    growth, seen = Growth(), []
    for number, mib in enumerate(sizes):
        resident = None if mib is None else mib * MIB
        growth = look(growth, {process: Reading(resident, MIN_AGE_US)}, number * LOOK_US)
        seen.append(growth.grown_us.get(process))
    return seen


def test_who_was_small_for_long_and_takes_much_memory_has_grown():
    assert looked([10] * 8 + [200] * 3) == [None] * 8 + [8 * LOOK_US] * 3


def test_growth_in_small_steps_counts_once_it_has_come_together():
    steps = [100] * 8 + [110, 120, 130, 140, 150]
    assert looked(steps)[-2:] == [11 * LOOK_US] * 2


@pytest.mark.parametrize("quiet_looks", range(12))
def test_growth_counts_whenever_it_begins(quiet_looks):
    assert looked([1000] * (quiet_looks + 2) + [1320, 1640])[-1] is not None


def test_what_grows_slowly_has_not_grown():
    assert looked(range(400, 600, 2)) == [None] * 100


@pytest.mark.parametrize(("was", "is_now"), [(4, 4 + (LEAST_BYTES >> 20)), (1000, 1300)])
def test_little_growth_is_left_alone(was, is_now):
    assert looked([was] * 10 + [is_now] * 3)[-1] is None


def test_no_region_of_a_newcomer_is_old_so_its_growth_is_nothing():
    growth = look(Growth(), {A: Reading(MIB, MIN_AGE_US)}, 0)
    for number, mib in enumerate((10, 50, 100, 200, 200, 200, 200, 200), 1):
        readings = {A: Reading(MIB, MIN_AGE_US), B: Reading(mib * MIB, MIN_AGE_US)}
        growth = look(growth, readings, number * LOOK_US)
    assert not growth.grown_us


def test_regions_of_those_who_were_there_before_the_agent_may_be_old():
    assert looked([10, 200]) == [None, LOOK_US]


def test_memory_that_comes_back_is_growth_too():
    assert looked([200] * 8 + [5] * 20 + [200])[-1] == 28 * LOOK_US


def test_who_cannot_be_read_is_as_before():
    assert looked([10] * 8 + [None, 200, None])[-2:] == [9 * LOOK_US] * 2


def test_who_has_gone_is_forgotten():
    reading = Reading(MIB, MIN_AGE_US)
    growth = look(Growth(), {A: reading, B: reading}, 0)
    assert look(growth, {B: reading}, LOOK_US).sizes.keys() == {B}


@given(sizes_mib)
def test_cold_memory_of_one_that_grows_again_and_again_gets_its_turn(sizes):
    begun_us = sorted({at_us for at_us in looked(sizes) if at_us is not None})
    assert all(two - one >= 2 * MIN_AGE_US for one, two in pairwise(begun_us))


@given(sizes_mib)
def test_nobody_has_grown_who_never_was_larger_than_before(sizes):
    falling = sorted((mib for mib in sizes if mib is not None), reverse=True)
    assert not any(looked(falling))
