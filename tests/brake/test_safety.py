"""SafetyLimits of the whole node, as pure rules."""

from hypothesis import given
from hypothesis import strategies as st

from damon_agent.brake.safety import NodeReading, SafetyLimits, given_up_bytes, over
from damon_agent.facts import PodSwap

LIMITS = SafetyLimits(swap_used_permille=500, protected_pressure_permille=20, reclaim_bytes=1 << 30)
VALUES = st.integers(0, 1000) | st.none()
SEEN = st.builds(
    NodeReading,
    swap_used_permille=VALUES,
    protected_pressure_bp=VALUES,
    reclaimed_bytes=st.none() | st.integers(0, 2 << 30),
)


def held(seen, *, before=False, limits=LIMITS):
    return bool(over(seen, limits, was_held=before))


def test_each_limit_is_told_with_the_field_that_states_it():
    told = over(NodeReading(501, 201, (1 << 30) + 1), LIMITS, was_held=False)
    assert "501 permille of swap are used (safety.maxSwapUsedPermille is 500)" in told
    assert "waits for memory 2.01 % of the time" in told
    assert "1024 MiB were given up within a minute" in told
    assert over(NodeReading(500, 200, 1 << 30), LIMITS, was_held=False) == ""


def test_it_comes_back_well_below():
    assert held(NodeReading(swap_used_permille=451), before=True)
    assert not held(NodeReading(swap_used_permille=450), before=True)
    assert held(NodeReading(protected_pressure_bp=101), before=True)
    assert not held(NodeReading(protected_pressure_bp=100), before=True)


@given(SEEN)
def test_what_is_not_limited_and_what_is_not_known_holds_nothing(seen):
    assert not held(seen, limits=SafetyLimits())
    assert not held(NodeReading(), before=True)


@given(SEEN, st.lists(st.booleans(), max_size=9))
def test_the_same_figures_never_let_it_go_on_and_off(seen, noise):
    """Whatever it was before: seen again and again, it stays as it is after one look."""
    state = bool(noise and noise[0])
    looks = [state := held(seen, before=state) for _ in range(4)]
    assert len(set(looks)) == 1


@given(SEEN, SEEN)
def test_more_of_anything_never_releases_and_having_been_held_never_helps(one, other):
    def most(a, b):
        known = [value for value in (a, b) if value is not None]
        return max(known) if known else None

    more = NodeReading(
        *(most(getattr(one, f), getattr(other, f)) for f in NodeReading.__dataclass_fields__)
    )
    for before in (False, True):
        assert held(more, before=before) >= held(one, before=before)
    assert held(one, before=True) >= held(one, before=False)


MINUTE_US = 60_000_000


def test_what_went_and_came_back_counts_as_gone():
    before = {"a": PodSwap(100, 10), "b": PodSwap(50, 0), "new": PodSwap(None, None)}
    after = {"a": PodSwap(90, 40), "b": PodSwap(20, 0), "new": PodSwap(999, 0), "c": PodSwap(9, 9)}
    assert given_up_bytes(before, after, MINUTE_US) == 20
    assert given_up_bytes(before, after, MINUTE_US // 2) == 40
    assert given_up_bytes({}, after, MINUTE_US) is None
