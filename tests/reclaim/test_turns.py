"""In which order pods are asked when a round has no time for all of them."""

from hypothesis import given
from hypothesis import strategies as st

from damon_agent.reclaim.steps import Step, in_turn

UIDS = "abcdef"
WORDS = ("swappiness=max", "swappiness=0")


def steps(uids):
    return [Step(uid, 1 << 20) for uid in uids]


def round_of(asked, last=None):
    return [(step.uid, word) for word, step in in_turn(asked, UIDS, last)]


def test_the_less_important_a_pod_the_earlier_whatever_it_is_asked_for():
    asked = {"swappiness=max": steps("bc"), "swappiness=0": steps("ac")}
    assert round_of(asked) == [
        ("a", "swappiness=0"),
        ("b", "swappiness=max"),
        ("c", "swappiness=max"),
        ("c", "swappiness=0"),
    ]


def test_a_turn_that_was_cut_goes_on_behind_the_last_and_then_from_the_beginning():
    asked = {"swappiness=max": steps("b"), "swappiness=0": steps("abc")}
    found = round_of(asked, last=("b", "swappiness=max"))
    assert found == [
        ("b", "swappiness=0"),
        ("c", "swappiness=0"),
        ("a", "swappiness=0"),
        ("b", "swappiness=max"),
    ]


def test_the_turn_goes_on_behind_a_pod_that_is_spared_now():
    assert round_of({"": steps("ac")}, last=("b", "")) == [("c", ""), ("a", "")]


def test_behind_a_pod_that_is_gone_a_new_turn_begins():
    assert round_of({"": steps("ac")}, last=("gone", "")) == [("a", ""), ("c", "")]
    assert round_of({"": steps("ac")}, last=("a", "swappiness=0")) == [("a", ""), ("c", "")]


@given(
    st.lists(st.lists(st.sampled_from(UIDS), unique=True), min_size=2, max_size=2),
    st.lists(st.integers(1, 5), min_size=40, max_size=40),
)
def test_everybody_is_asked_within_as_many_rounds_as_there_are_however_short_they_are(pods, room):
    asked = {word: steps(uids) for word, uids in zip(WORDS, pods, strict=True)}
    every, last, rounds = round_of(asked), None, []
    for most in room:
        now = round_of(asked, last)
        rounds.append(now[:most])
        last = now[most - 1] if most < len(now) else None
    for begin in range(len(room) - len(every) + 1):
        heard = {each for one in rounds[begin : begin + len(every)] for each in one}
        assert heard == set(every)
