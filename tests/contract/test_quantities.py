"""Durations and sizes at the border."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_contract import quantities


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        ("220ms", 220_000),
        ("2s", 2_000_000),
        ("1m30s", 90_000_000),
        ("1h", 3_600_000_000),
        ("0s", 0),
    ],
)
def test_durations_become_microseconds(text, expected_us):
    assert quantities.microseconds(text) == expected_us


@pytest.mark.parametrize("text", ["", "2", "s", "2 s", "-2s", "1.5s", "2S", "２s", "2s\n", "1d"])  # noqa: RUF001
def test_other_spellings_of_a_duration_are_refused(text):
    with pytest.raises(ValueError, match="is not a duration"):
        quantities.microseconds(text)


@pytest.mark.parametrize(
    ("text", "expected_bytes"),
    [("0", 0), ("128Mi", 128 * 2**20), ("1G", 10**9), ("64k", 64_000), ("2Ti", 2 * 2**40)],
)
def test_sizes_become_bytes(text, expected_bytes):
    assert quantities.size_bytes(text) == expected_bytes


@pytest.mark.parametrize("text", ["", "Mi", "1.5Gi", "-1", "1 Mi", "1mi", "1KB", "１Mi"])  # noqa: RUF001
def test_other_spellings_of_a_size_are_refused(text):
    with pytest.raises(ValueError, match="is not a size"):
        quantities.size_bytes(text)


@pytest.mark.parametrize(
    ("text", "expected_bytes"),
    [
        ("16384256Ki", 16_384_256 * 1024),
        ("1.5Gi", 1_610_612_736),
        ("129e6", 129_000_000),
        ("128974848000m", 128_974_848),
        ("2E", 2 * 10**18),
    ],
)
def test_node_quantities_are_read_as_the_api_server_writes_them(text, expected_bytes):
    assert quantities.quantity_bytes(text) == expected_bytes


@given(st.integers(0, 10**12))
def test_a_plain_number_of_bytes_is_itself(number):
    assert quantities.quantity_bytes(str(number)) == number


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0"), (1, "1Mi"), (2**20, "1Mi"), (10 * 2**30, "10240Mi"), (10 * 2**30 + 1, "11Gi")],
)
def test_a_size_is_shown_rounded_up_so_that_only_nothing_is_zero(size_bytes, shown):
    assert quantities.shown_size(size_bytes) == shown
    assert quantities.size_bytes(shown) >= size_bytes


@given(st.integers(0, 2**50))
def test_a_duration_is_shown_as_it_is_written_in_whole_seconds_rounded_up(duration_us):
    shown = quantities.shown_duration(duration_us)
    assert 0 <= quantities.microseconds(shown) - duration_us < 1_000_000


def test_a_duration_is_shown_with_the_units_that_it_needs():
    shown = [quantities.shown_duration(s * 1_000_000) for s in (0, 24, 192, 3600, 3661)]
    assert shown == ["0s", "24s", "3m12s", "1h", "1h1m1s"]
