"""Which lanes are awake, and what the kernel is told then."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent import intents
from damon_agent.facts import MemoryReading
from damon_agent.kernel.availability import SHIFT_TOLERANCE_PERMILLE, Availability, works
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
    ("available", "free", "is_let"), [(599, 30, True), (601, 30, False), (100, 99, True)]
)
def test_the_shift_makes_free_memory_speak_of_available_memory(available, free, is_let):
    intent = seen(available, free)
    memory = Availability().looked(intent, 0)
    assert lets_work(free, memory.kernel_mark(600, intent.memory)) is is_let


@given(
    st.integers(10_000, 1 << 42),
    st.integers(0, 990),
    st.integers(0, 1000),
    st.integers(-200, 1000),
    st.integers(0, 1000),
)
def test_the_kernel_stops_where_the_mark_is_whatever_part_of_memory_is_huge_pages(
    total, huge_permille, mark, shift, free_permille
):
    """It compares what is free with MemTotal (mm/damon/core.c); marks are a share of the rest."""
    huge = total * huge_permille // 1000
    memory = MemoryReading(total - huge, 0, 0, 0, 0, 4096, huge_bytes=huge)
    availability = Availability(shift_permille=shift)
    watermark = availability.kernel_mark(mark, memory)
    assert 0 <= watermark <= 1000
    free = memory.capacity_bytes * free_permille // 1000
    stops_at = max(0, min(1000, mark - shift)) + 1
    if watermark and lets_work(free * 1000 // total, watermark):
        assert free * 1000 < stops_at * memory.capacity_bytes, "never later than at the mark"
    if free * 1000 <= stops_at * memory.capacity_bytes - total - 1000:
        assert lets_work(free * 1000 // total, watermark), "and less than a per mille earlier"


def test_with_half_of_the_memory_in_huge_pages_the_kernel_is_told_half_of_the_share():
    memory = MemoryReading(256 << 30, 50 << 30, 75 << 30, 64 << 30, 0, 4096, huge_bytes=256 << 30)
    intent = intents.intent(SPEC, (), memory)
    seen_memory = Availability().looked(intent, 0)
    assert (seen_memory.permille, seen_memory.shift_permille) == (292, 97)
    assert seen_memory.kernel_mark(400, memory) == 151, "77 GiB free, as 102 GiB available are"
    assert works(intent, "Ladder", 400, seen_memory)
    freed = replace(intent, memory=replace(memory, free_bytes=78 << 30))
    assert not works(freed, "Ladder", 400, seen_memory)


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
