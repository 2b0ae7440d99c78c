"""How often all files of a lane are compared: as seldom as it is dear, within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.kernel.sweeps import APART_US, LONGEST_US, REST, SHORTEST_US, Sweeps


class Meter:
    spent_us = 0

    def __call__(self):
        return self.spent_us


@given(st.integers(0, 7), st.lists(st.integers(0, 2_000_000)))
def test_a_lane_is_left_alone_in_proportion_within_bounds(kdamond, costs_us):
    meter, now_us = Meter(), 0
    sweeps = Sweeps(kdamond, meter)
    for cost_us in costs_us:
        with sweeps.sweeping(now_us):
            meter.spent_us += cost_us
        pause_us = sweeps.due_us - now_us
        assert SHORTEST_US <= pause_us <= LONGEST_US
        assert pause_us == LONGEST_US or pause_us >= REST * cost_us
        now_us = sweeps.due_us


def test_a_sweep_that_fails_is_not_repeated_at_once():
    sweeps = Sweeps(0, Meter())
    with pytest.raises(ValueError, match="unreadable"), sweeps.sweeping(1000):
        raise ValueError("unreadable")
    assert sweeps.due_us == 1000 + SHORTEST_US


def test_lanes_that_start_together_are_swept_one_after_the_other():
    due_us = []
    for kdamond in range(8):
        sweeps = Sweeps(kdamond, Meter())
        sweeps.put_off(0)
        due_us.append(sweeps.due_us)
    assert due_us == [SHORTEST_US + kdamond * APART_US for kdamond in range(8)]


def test_what_was_dear_to_write_is_first_read_after_a_long_while():
    meter = Meter()
    sweeps = Sweeps(1, meter)
    with sweeps.measuring():
        meter.spent_us += 1_000_000
    sweeps.put_off(0)
    assert sweeps.due_us == LONGEST_US + APART_US
