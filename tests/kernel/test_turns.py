"""Turns: whoever has waited longest for the kernel is next, and what can wait waits for them."""

from hypothesis import given
from hypothesis import strategies as st

from damon_agent.kernel.turns import HURRY_US, QUIET_US, STORM_US, Standing, Turns

KDAMONDS = 5


def standing(kdamond, *, under_way=False, awaits=False, leaves=False):
    return Standing(kdamond, under_way=under_way, awaits=awaits, leaves=leaves)


lanes_at_some_time = st.tuples(
    st.integers(0, 4_000_000),
    st.tuples(
        *(
            st.builds(
                standing,
                st.just(kdamond),
                under_way=st.booleans(),
                awaits=st.booleans(),
                leaves=st.booleans(),
            )
            for kdamond in range(KDAMONDS)
        )
    ),
)


@given(looks=st.lists(lanes_at_some_time, min_size=1, max_size=60))
def test_each_look_names_every_lane_once_and_who_waits_longest_before_who_came_later(looks):
    turns = Turns()
    now_us, since_us, waited_us, storm_us = 0, {}, -QUIET_US, 0
    for later_us, lanes in looks:
        now_us += later_us
        since_us = {
            lane.kdamond: since_us.get(lane.kdamond, now_us) for lane in lanes if lane.awaits
        }
        order = turns.order(lanes, now_us)
        assert sorted(order) == list(range(KDAMONDS))
        ranks = [
            (
                not lanes[kdamond].under_way,
                not lanes[kdamond].leaves,
                kdamond not in since_us,
                since_us.get(kdamond, 0),
            )
            for kdamond in order
        ]
        assert ranks == sorted(ranks)
        waits = any(now_us - us < HURRY_US for us in since_us.values())
        if waits:
            storm_us = now_us if now_us - waited_us >= QUIET_US else storm_us
            waited_us = now_us
        is_usual = not waits and now_us - storm_us >= STORM_US
        assert turns.is_calm(now_us) == (is_usual or now_us - waited_us >= QUIET_US)


def test_lanes_alike_take_turns():
    turns = Turns()
    alike = [standing(kdamond) for kdamond in range(3)]
    assert {turns.order(alike, 0)[0] for _ in range(3)} == {0, 1, 2}


def test_who_gets_in_waits_no_more_and_joins_the_queues_end_the_next_time():
    turns = Turns()
    turns.order([standing(0, awaits=True), standing(1)], 0)
    turns.order([standing(0, awaits=True), standing(1, awaits=True)], 1)
    turns.order([standing(0), standing(1, awaits=True)], 2)
    assert turns.order([standing(0, awaits=True), standing(1, awaits=True)], 3) == (1, 0)


def test_a_newcomer_that_never_gets_in_keeps_nothing_back_for_ever():
    turns = Turns()
    for now_us in (0, HURRY_US - 1):
        turns.order([standing(0, awaits=True), standing(1)], now_us)
        assert not turns.is_calm(now_us)
    end_us = HURRY_US - 1 + QUIET_US
    turns.order([standing(0, awaits=True), standing(1)], end_us)
    assert turns.is_calm(end_us)


def test_there_is_no_hurry_before_anybody_has_come():
    assert Turns().is_calm(0)


def test_starts_that_never_stop_do_not_keep_everything_else_back():
    turns = Turns()
    calm_us = []
    for now_us in range(0, STORM_US + 10_000_000, 500_000):
        turns.order([standing(0, awaits=now_us % 2_000_000 == 0), standing(1)], now_us)
        if turns.is_calm(now_us):
            calm_us.append(now_us)
            assert now_us % 2_000_000, "never while one waits"
    assert calm_us[0] == STORM_US + 500_000
