import itertools

from hypothesis import given
from hypothesis import strategies as st

from damon_operator.facts import ReportedCondition
from damon_operator.planner.transitions import WELL, transition


def ready(status, reason, message=""):
    return (ReportedCondition("Ready", status, reason, message),)


APPLIED = ready("True", "Applied")
APPLYING = ready("False", "Applying")
BUSY = ready("False", "DamonBusy", "damo has it")
NO_SWAP = ready("True", "NoSwap", "no swap")


def told(*states, before=WELL):
    """Return reason and whether it is good news, of each Event that the states lead to."""
    found = []
    for state in states:
        before, note = transition(before, state, "DamonNode")
        if note is not None:
            found.append((note.reason, note.good))
    return found


def test_a_cause_is_told_once_while_it_lasts_and_that_it_is_over():
    assert told(BUSY, BUSY, APPLIED, APPLIED) == [("DamonBusy", False), ("Applied", True)]


def test_what_limits_a_node_that_carries_out_its_plan_is_told():
    assert told(APPLIED, NO_SWAP) == [("NoSwap", False)]


def test_new_plans_are_no_news():
    assert told(APPLYING, APPLIED, APPLYING, APPLIED) == []
    assert told(BUSY, APPLYING, BUSY) == [("DamonBusy", False)]


def test_what_is_the_case_at_first_sight_is_no_transition():
    assert told(BUSY, BUSY, before=None) == []
    assert told(BUSY, APPLIED, before=None) == [("Applied", True)]
    assert told((), before=None) == []


def test_it_says_what_the_condition_says():
    assert transition(WELL, BUSY, "DamonNode").note.message == "damo has it"


@given(st.lists(st.sampled_from([APPLIED, APPLYING, BUSY, NO_SWAP]), max_size=20))
def test_two_events_in_a_row_never_say_the_same(states):
    found = told(*states)
    assert all(one != two for one, two in itertools.pairwise(found))
