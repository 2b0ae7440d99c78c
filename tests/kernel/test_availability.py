"""Which lanes are awake, and what the kernel is told then."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent import intents
from damon_agent.facts import MemoryReading
from damon_agent.kernel.availability import SHIFT_TOLERANCE_PERMILLE, Availability
from damon_agent.kernel.ladder import lets_work
from damon_contract.v1alpha1.node import DamonNodeSpec
from damon_contract.v1alpha1.tuning import Settings

SPEC = DamonNodeSpec(tuning="test", mode="Enforce", settings=Settings(), hash="", pods=())


def seen(available: int, free: int | None = None, **changes):
    """Return an intent for a node of which so much is available and free, in per mille."""
    memory = MemoryReading(1000, available if free is None else free, available, 0, 0, 4096)
    return replace(intents.intent(SPEC, (), memory), **changes)


def looks(*availables: int) -> Availability:
    memory = Availability()
    for number, available in enumerate(availables):
        memory = memory.looked(seen(available), number * 5_000_000)
    return memory


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(0, 1000))
def test_a_lane_is_awake_while_less_than_its_mark_was_available_at_one_of_two_looks(found, mark):
    assert looks(*found).wakes(mark) is any(available < mark for available in found[-2:])


def test_before_the_first_look_every_lane_sleeps():
    assert not Availability().wakes(1000)


def test_within_an_interval_the_last_look_is_good_enough():
    memory = looks(500)
    assert memory.looked(seen(100), 4_999_999) is memory
    assert memory.looked(seen(100), 5_000_000).permille == 100


@pytest.mark.parametrize(
    ("available", "free", "works"), [(599, 30, True), (601, 30, False), (100, 99, True)]
)
def test_the_shift_makes_free_memory_speak_of_available_memory(available, free, works):
    memory = Availability().looked(seen(available, free), 0)
    assert lets_work(free, memory.kernel_mark(600)) is works


@pytest.mark.parametrize("free", [0, 30, 600])
def test_free_memory_is_not_shifted(free):
    memory = Availability().looked(seen(700, free, metric="FreeMemory"), 0)
    assert (memory.permille, memory.shift_permille) == (free, 0)


@given(st.integers(-500, 500), st.integers(-20, 20))
def test_the_shift_is_moved_only_by_more_than_the_tolerance(shift, by):
    memory = Availability().looked(seen(500, 500 - shift), 0)
    moved = memory.looked(seen(500, 500 - shift - by), 5_000_000)
    kept = abs(by) <= SHIFT_TOLERANCE_PERMILLE and shift + by != 0
    assert moved.shift_permille == (shift if kept else shift + by)
