"""The priority map, the annotation, and the one inversion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_contract import priorities
from damon_contract.v1alpha1.tuning import DamonTuningSpec

CLASS_VALUES = st.integers(min_value=-(2**31), max_value=2**31 - 1)


@pytest.mark.parametrize(
    ("value", "priority"),
    [(0, 50), (1000, 66), (10**6, 83), (-1000, 34), (10**9, 99), (-(2**31), 1), (2**31 - 1, 99)],
)
def test_known_priority_class_values(value, priority):
    assert priorities.from_priority_class(value) == priority


def test_the_values_that_the_pages_name_are_on_the_right_side_of_the_defaults():
    spec = DamonTuningSpec()
    assert priorities.from_priority_class(263_000) >= spec.protect_from
    assert priorities.from_priority_class(-263_000) <= spec.eager_up_to


@given(CLASS_VALUES, CLASS_VALUES)
def test_a_higher_class_value_never_gets_a_lower_priority(one, other):
    low, high = sorted((one, other))
    assert priorities.from_priority_class(low) <= priorities.from_priority_class(high)


@given(CLASS_VALUES)
def test_a_class_value_always_lands_in_1_to_99(value):
    assert 1 <= priorities.from_priority_class(value) <= 99


@given(st.integers(1, 100))
def test_every_written_priority_is_read_back(priority):
    assert priorities.from_annotation(str(priority)) == priority


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=name)
        for name, text in {
            "empty": "",
            "letters": "abc",
            "zero": "0",
            "above": "101",
            "negative": "-5",
            "fraction": "50.5",
            "exponent": "1e3",
            "full-width digits": "５０",  # noqa: RUF001 - the point of the case
            "arabic digits": "٥٠",  # noqa: RUF001 - the point of the case
            "leading zero": "050",
            "plus": "+5",
            "space": " 5",
            "newline": "5\n",
            "hexadecimal": "0x10",
            "boolean": "true",
        }.items()
    ],
)
def test_anything_else_is_rejected_with_what_was_written(text):
    rejected = priorities.from_annotation(text)
    assert isinstance(rejected, priorities.Rejected)
    assert ascii(text) in rejected.reason
    assert "1 to 100" in rejected.reason


def test_a_rejection_of_a_very_long_value_stays_short():
    rejected = priorities.from_annotation("9" * 10_000)
    assert isinstance(rejected, priorities.Rejected)
    assert "10000 characters" in rejected.reason
    assert len(rejected.reason) < 120


@given(st.text(max_size=6))
def test_nothing_but_1_to_100_is_ever_accepted(text):
    read = priorities.from_annotation(text)
    assert isinstance(read, priorities.Rejected) or (1 <= read <= 100 and text == str(read))


def test_the_inversion_trap_kubernetes_high_is_kernel_low():
    """A critical pod (90) must get a SMALLER kernel number than a batch pod (30).

    The kernel reclaims the larger target_priority earlier; passing the pod's priority through
    unchanged would page out the most important pod first.
    """
    assert priorities.reclaim_rank(90) < priorities.reclaim_rank(60) < priorities.reclaim_rank(30)
    assert priorities.reclaim_rank(100) == 1
    assert priorities.reclaim_rank(1) == 100


@given(st.integers(1, 100))
def test_the_rank_stays_in_the_range_the_kernel_accepts(priority):
    assert 1 <= priorities.reclaim_rank(priority) <= 100


@pytest.mark.parametrize("priority", [0, 101, -1])
def test_a_rank_of_something_that_is_no_priority_is_refused(priority):
    with pytest.raises(ValueError, match=r"outside 1\.\.100"):
        priorities.reclaim_rank(priority)
