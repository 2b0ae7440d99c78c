from hypothesis import given
from hypothesis import strategies as st

from damon_agent.looks import Looks

S = 1_000_000


def test_after_a_change_the_looks_become_rarer_up_to_five_seconds():
    looks = Looks()
    looks.now(0)
    moments, now = [], 0
    for _ in range(6):
        looks.done(now)
        moments.append((looks.next_us - now) // S)
        now = looks.next_us
    assert moments == [1, 2, 4, 5, 5, 5]


def test_exits_are_looked_for_at_once_but_not_in_a_crowd():
    looks = Looks()
    looks.now(0)
    looks.done(0)
    looks.soon(5)
    assert looks.next_us == 200_000
    looks.soon(900_000)
    assert looks.next_us == 200_000


def test_a_new_plan_is_looked_for_at_once():
    looks = Looks()
    looks.done(0)
    looks.now(7)
    assert looks.is_due(7)


@given(st.lists(st.tuples(st.sampled_from(["now", "soon", "done"]), st.integers(0, 10 * S))))
def test_a_look_is_never_further_away_than_five_seconds(steps):
    looks, now = Looks(), 0
    for what, passed in steps:
        now += passed
        getattr(looks, what)(now)
        assert looks.next_us <= now + 5 * S
