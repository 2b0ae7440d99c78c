"""Histograms of operations: buckets, percentiles, and which windows belong to a step."""

import pytest
from efficacy.latency import Window, floor_ns, latency, percentile_us
from hypothesis import given
from hypothesis import strategies as st


def bucket(ns):
    """Return the bucket as guest/workload.c has it."""
    if ns < 16:
        return ns
    exponent = ns.bit_length() - 1
    return (exponent - 3) * 16 + ((ns >> (exponent - 4)) & 15)


@given(st.integers(0, 2**60))
def test_a_bucket_begins_at_most_a_sixteenth_below_what_is_in_it(ns):
    begin = floor_ns(bucket(ns))
    assert begin <= ns
    assert ns - begin <= ns / 16


@given(st.integers(0, 900))
def test_buckets_begin_one_after_the_other(number):
    assert floor_ns(number) < floor_ns(number + 1)
    assert bucket(floor_ns(number)) == number


@pytest.mark.parametrize(
    ("share", "us"), [(0.5, 1.024), (0.99, 1.024), (0.991, 1048.576), (1.0, 1048.576)]
)
def test_a_percentile_is_the_bucket_that_reaches_it(share, us):
    histogram = {bucket(1024): 990, bucket(1 << 20): 10}
    assert percentile_us(histogram, share) == us


def test_nothing_has_no_percentile():
    assert percentile_us({}, 0.5) is None


def test_windows_are_merged_by_their_middle_and_divided_by_their_own_length():
    windows = [
        Window(begin_s=9.0, end_s=9.5, buckets={1: 100}),
        Window(begin_s=9.9, end_s=10.4, buckets={1: 10}),
        Window(begin_s=10.4, end_s=12.4, buckets={2: 15}),
        Window(begin_s=12.4, end_s=12.9, buckets={3: 100}),
    ]
    told = latency(windows, 10, 12)
    assert told is not None
    assert told.operations_per_s == pytest.approx(25 / 2.5)
    assert told.p999_us == 0.002
    assert latency(windows, 20, 30) is None
