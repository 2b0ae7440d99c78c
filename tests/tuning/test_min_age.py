"""How long memory must be idle, by priority: longer at once, shorter slowly, always bounded."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from damon_agent.brake.brake import LOOK_US
from damon_agent.tuning.min_age import (
    HIGHEST_US,
    LONGEST_DEBT_US,
    LOWEST_US,
    Returned,
    look,
    tolerated_ppm,
)

S = 1_000_000
MINUTE_US = 60 * S
PAGES = 1_000_000
"""Of each priority: as many as a share is told in, so that pages and millionths are the same."""


class Priority:
    """One priority, looked at again and again."""

    def __init__(self, priority=50):
        self.priority, self.ages, self.now_us = priority, {}, 0

    def look(self, pages=0, times=1):
        for _ in range(times):
            self.now_us += LOOK_US
            back = {self.priority: Returned(pages, PAGES)}
            self.ages = look(self.ages, back, now_us=self.now_us, elapsed_us=LOOK_US)
        return self

    def wait(self, us):
        return self.look(times=us // LOOK_US)

    @property
    def age(self):
        return self.ages[self.priority]

    @property
    def age_s(self):
        return self.age.min_age_us / S


def test_the_rate_that_is_tolerated_falls_with_the_priority():
    rates = [tolerated_ppm(priority) for priority in range(1, 101)]
    assert rates == sorted(rates, reverse=True)
    assert [tolerated_ppm(p) for p in (1, 10, 30, 50, 70, 90, 100)] == [
        *(8000, 8000, 4000, 2000, 1000, 500, 500),
    ]


def test_what_a_minute_may_bring_may_come_at_once_and_no_more():
    allowed = 2000 * LOOK_US // MINUTE_US
    assert Priority().look(2000 + allowed).age_s == 24
    assert Priority().look(2001 + allowed).age_s == 48


def test_it_is_doubled_at_each_look_that_brings_too_much_up_to_an_hour():
    priority = Priority()
    ages = [priority.look(5000).age_s for _ in range(9)]
    assert ages == [48, 96, 192, 384, 768, 1536, 3072, 3600, 3600]


def test_a_rate_above_the_tolerated_one_is_noticed_however_evenly_it_comes():
    assert Priority().look(2 * 2000 * LOOK_US // MINUTE_US, times=30).age_s > 24
    assert Priority().look(2000 * LOOK_US // MINUTE_US, times=600).age_s == 24


def test_a_handful_of_pages_never_counts_however_small_the_pods():
    def age_s(pages):
        back = {50: Returned(pages, 100)}
        return look({}, back, now_us=LOOK_US, elapsed_us=LOOK_US)[50].min_age_us / S

    assert (age_s(16), age_s(17)) == (24, 48)


def test_it_stays_until_what_came_back_is_made_up_for_at_the_tolerated_rate():
    priority = Priority().look(20_000)
    assert priority.age_s == 48
    made_up_us = (20_000 // 2000 - 1) * MINUTE_US
    assert priority.wait(made_up_us).age_s == 48
    assert priority.wait(400 * S).age_s == 43.2


def test_it_is_lowered_by_a_tenth_each_five_minutes_or_each_twice_the_age():
    priority = Priority().look(2400)
    assert priority.age_s == 48
    changes = []
    for _ in range(100_000):
        before = priority.age_s
        if priority.look().age_s != before:
            changes.append((priority.now_us // S, priority.age_s))
        if priority.age_s == 24:
            break
    ages = [48, *(age for _, age in changes)]
    assert all(round(b / a, 3) == 0.9 for a, b in itertools.pairwise(ages[:-1]))
    assert all(b - a == 300 for (a, _), (b, _) in itertools.pairwise(changes))
    high = Priority().look(5000, times=8)
    assert high.age_s == 3600
    began_us = high.now_us
    while high.age_s == 3600:
        high.look()
    assert high.now_us - began_us >= 2 * HIGHEST_US


def test_a_priority_without_pods_goes_on_from_what_is_known_of_it():
    priority = Priority().look(20_000)
    ages = look(priority.ages, {}, now_us=priority.now_us + LOOK_US, elapsed_us=LOOK_US)
    assert ages[50].min_age_us == 48 * S
    assert ages[50].debt_ppm < priority.age.debt_ppm


LOOKS = st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 400)), max_size=40)
"""Pages that come back at a look, and how many quiet looks follow."""
PRIORITIES = st.integers(1, 100)


def played(priority, looks):
    """Yield the age after each look."""
    one = Priority(priority)
    for pages, quiet in looks:
        yield one.look(pages).age
        for _ in range(quiet):
            yield one.look().age


@given(PRIORITIES, LOOKS)
def test_it_is_never_out_of_bounds(priority, looks):
    most_ppm = tolerated_ppm(priority) * LONGEST_DEBT_US // MINUTE_US
    for age in played(priority, looks):
        assert LOWEST_US <= age.min_age_us <= HIGHEST_US
        assert 0 <= age.debt_ppm <= most_ppm


@given(PRIORITIES, LOOKS, st.lists(st.integers(0, 30_000), min_size=40, max_size=40))
def test_more_that_comes_back_never_gives_a_lower_age(priority, looks, more):
    worse = [(pages + extra, quiet) for (pages, quiet), extra in zip(looks, more, strict=False)]
    for less, most in zip(played(priority, looks), played(priority, worse), strict=True):
        assert most.min_age_us >= less.min_age_us


@given(LOOKS, st.tuples(PRIORITIES, PRIORITIES))
def test_a_more_important_priority_never_has_a_lower_age_for_the_same(looks, two):
    low, high = sorted(two)
    for less, most in zip(played(low, looks), played(high, looks), strict=True):
        assert most.min_age_us >= less.min_age_us


@given(PRIORITIES, LOOKS)
def test_whatever_was_before_a_quiet_priority_comes_back_to_the_lowest_age(priority, looks):
    one = Priority(priority).look()
    for pages, _ in looks:
        one.look(pages)
    quiet_us = 0
    while one.age.min_age_us > LOWEST_US:
        one.look()
        quiet_us += LOOK_US
        assert quiet_us <= LONGEST_DEBT_US + 24 * 3600 * S


@given(PRIORITIES, LOOKS)
def test_when_it_is_lowered_no_more_has_come_back_than_is_tolerated(priority, looks):
    """Since any look before, as long as not so much came back that some of it is forgiven."""
    tolerated, most = tolerated_ppm(priority), tolerated_ppm(priority) * LONGEST_DEBT_US
    if sum(pages for pages, _ in looks) >= most // MINUTE_US:
        return
    one, came = Priority(priority), []
    for pages in itertools.chain.from_iterable(
        (pages, *itertools.repeat(0, quiet)) for pages, quiet in looks
    ):
        before = one.age.min_age_us if one.ages else LOWEST_US
        came.append(pages if pages > 16 else 0)
        if one.look(pages).age.min_age_us < before:
            back = 0
            for number, each in enumerate(reversed(came), 1):
                back += each
                assert back <= number * (tolerated * LOOK_US // MINUTE_US)
