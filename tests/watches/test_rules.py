"""The rules by themselves: what holds whatever happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_contract.watches import Backoff, Ended, after_list, after_watch, retry_after_s

endings = st.builds(
    Ended,
    status=st.sampled_from([0, 200, 400, 401, 403, 404, 410, 429, 500, 503, 504]),
    brought=st.booleans(),
    lasted_s=st.floats(0, 400),
    broken=st.booleans(),
    unusable=st.booleans(),
    asked_s=st.floats(0, 60),
)
failures = st.integers(0, 1000)


@given(endings, failures)
def test_only_a_watch_that_brought_something_and_ended_well_goes_on_without_a_pause(ended, before):
    following = after_watch(ended, before)
    good = ended.status == 200 and ended.brought and not ended.broken and not ended.unusable
    assert (following.failures == 0) == (good and ended.lasted_s >= 1)
    assert not (following.lists and following.failures == 0)


@given(endings, failures)
def test_a_version_that_brought_nothing_is_not_asked_again_unless_there_was_no_answer(
    ended, before
):
    if not ended.brought and ended.status not in {0, 429, 503}:
        assert after_watch(ended, before).lists
    assert after_watch(ended, before).asked_s in {0.0, ended.asked_s}


@given(st.lists(endings, min_size=1, max_size=30))
def test_failures_add_up_until_a_watch_brings_something(ended):
    count = 0
    for each in ended:
        following = after_watch(each, count)
        assert following.failures in {0, 1, count + 1}
        count = following.failures
    assert after_list(count, 3.0) == (True, count + 1, 3.0)


@given(st.floats(0, 0.999), failures, st.floats(0, 60))
def test_delays_have_bounds_and_are_never_shorter_than_asked_for(jitter, count, asked_s):
    delay_s = Backoff(lambda: jitter, first_s=0.8, most_s=30).delay_s(count, asked_s)
    assert delay_s <= max(30, asked_s)
    if count:
        assert delay_s >= max(0.4, asked_s)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("7", 7), (7, 7), ("0.5", 0.5), ("9999", 60), ("inf", 60)]
    + [(odd, 0) for odd in (None, "", "-3", "nan", "soon", [], {"a": 1}, "1e")],
)
def test_what_a_server_asks_for_is_read_or_taken_for_nothing(asked, seconds):
    assert retry_after_s(asked) == seconds
