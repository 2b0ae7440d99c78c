"""The table of moves, row by row, and that no state of a lane is left without one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.kernel.lanes.moves import NEVER_US, POLL_US, Action, Seen, next_move, rests

NOW_US = 1_000_000_000
LATER_US = NOW_US + 30_000_000
ON = {"is_on": True, "is_wanted": True}


@pytest.mark.parametrize(
    ("seen", "action"),
    [
        ({"under_way": True, "hangs": True}, Action.FREE),
        ({"under_way": True}, Action.WAIT),
        ({}, Action.FORGET),
        ({"is_wanted": True, "retry_us": LATER_US}, Action.WAIT),
        ({"is_wanted": True, "kernel_is_free": False}, Action.WAIT),
        ({"is_wanted": True}, Action.START),
        ({"is_on": True}, Action.STOP),
        ({**ON, "is_known": False}, Action.STOP),
        ({**ON, "files_known": False}, Action.CHECK_DRIFT),
        ({**ON, "is_missing": True, "must_restart": True}, Action.STOP),
        ({**ON, "is_missing": True}, Action.COMMIT),
        ({**ON, "is_missing": True, "commit_us": LATER_US}, Action.WAIT),
        ({**ON, "is_missing": True, "commit_us": LATER_US, "is_urgent": True}, Action.COMMIT),
        ({**ON, "is_missing": True, "retry_us": LATER_US, "is_urgent": True}, Action.WAIT),
        ({**ON, "is_missing": True, "kernel_is_free": False}, Action.WAIT),
        ({**ON, "drift_us": NOW_US}, Action.CHECK_DRIFT),
        ({**ON, "counters_us": NOW_US}, Action.ASK_COUNTERS),
        ({**ON, "is_missing": True, "commit_us": LATER_US, "counters_us": 0}, Action.ASK_COUNTERS),
        ({**ON, "regions_us": NOW_US}, Action.ASK_REGIONS),
        ({**ON, "counters_us": NOW_US, "kernel_is_free": False}, Action.REST),
        (ON, Action.REST),
    ],
    ids=str,
)
def test_each_row_of_the_table(seen, action):
    assert next_move(Seen(**seen), NOW_US).action is action


moments = st.sampled_from([0, NOW_US, NOW_US + 1, LATER_US, NEVER_US])
anything = st.builds(
    Seen,
    is_on=st.booleans(),
    under_way=st.booleans(),
    hangs=st.booleans(),
    kernel_is_free=st.booleans(),
    is_wanted=st.booleans(),
    is_known=st.booleans(),
    files_known=st.booleans(),
    is_missing=st.booleans(),
    must_restart=st.booleans(),
    is_urgent=st.booleans(),
    commit_us=moments,
    retry_us=moments,
    drift_us=moments,
    counters_us=moments,
    regions_us=moments,
)
NEEDS_KERNEL = {Action.START, Action.COMMIT, Action.ASK_COUNTERS, Action.ASK_REGIONS}


@given(anything)
def test_whatever_is_seen_the_next_look_is_later_and_no_rule_is_broken(seen):
    move = next_move(seen, NOW_US)
    if move.action in {Action.WAIT, Action.REST, Action.FORGET}:
        assert move.until_us > NOW_US, "a lane with nothing to do does not spin"
    if move.action in NEEDS_KERNEL:
        assert seen.kernel_is_free
        assert not seen.under_way
    if move.action is Action.COMMIT:
        assert seen.is_on
        assert seen.is_known
        assert seen.files_known
    if rests(seen, move):
        assert not (seen.is_on and seen.is_missing)


@pytest.mark.parametrize("question", ["counters_us", "regions_us"])
@given(
    commit_us=st.integers(NOW_US + 1, LATER_US),
    drift_us=st.integers(NOW_US + 1, LATER_US),
    due_us=st.integers(0, LATER_US),
)
def test_a_question_that_waits_for_the_kernel_costs_no_look_of_its_own(
    question, commit_us, drift_us, due_us
):
    """Each look is a tick of the agent."""
    waiting = Seen(
        **{**ON, question: due_us},
        is_missing=True,
        kernel_is_free=False,
        commit_us=commit_us,
        drift_us=drift_us,
    )
    action, until_us = next_move(waiting, NOW_US)
    assert action is Action.WAIT
    assert until_us >= min(commit_us, drift_us, NOW_US + POLL_US)


@given(anything)
def test_what_waits_for_the_kernel_asks_again_within_half_a_second(seen):
    """Nobody wakes it in a test, and in an agent the end of the other command does."""
    move = next_move(seen, NOW_US)
    if seen.is_on and seen.is_missing and not seen.kernel_is_free and move.action is Action.WAIT:
        assert move.until_us <= max(NOW_US + POLL_US, seen.commit_us, seen.retry_us)
