from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent import intents
from damon_agent.facts import MemoryReading
from damon_agent.kernel import ladder
from damon_agent.kernel.availability import Availability
from damon_agent.kernel.lanes import bands as lanes
from damon_contract.v1alpha1.node import DamonNodeSpec
from damon_contract.v1alpha1.tuning import Settings

GIB = 2**30
MEMORY = MemoryReading(16 * GIB, 1 * GIB, 8 * GIB, 4 * GIB, 100 * 2**20, 4096)
SPEC = DamonNodeSpec(
    tuning="test",
    mode="Enforce",
    settings=Settings(),
    reserved_bytes=512 * 2**20,
    hash="",
    pods=(),
)
INTENT = intents.intent(SPEC, (), MEMORY)


@st.composite
def any_intent(draw):
    capacity = draw(st.integers(0, 2**45))
    available = draw(st.sampled_from([0, capacity]) | st.integers(0, capacity))
    free = draw(st.sampled_from([0, capacity]) | st.integers(0, capacity))
    eager = draw(st.integers(0, 99))
    return replace(
        INTENT,
        protect_from=draw(st.integers(max(2, eager + 1), 100)),
        eager_up_to=eager,
        metric=draw(st.sampled_from(["AvailableMemory", "FreeMemory"])),
        floor_permille=draw(st.none() | st.integers(0, 1000)),
        ceiling_permille=draw(st.integers(0, 1000)),
        scaling=draw(st.sampled_from(["Relative", "Absolute"])),
        reserved_bytes=draw(st.integers(0, 2**45)),
        memory=MemoryReading(capacity, free, available, 0, draw(st.integers(0, 2**40)), 4096),
    )


priority_sets = st.sets(st.integers(1, 100), min_size=1, max_size=40)


@given(intent=any_intent(), priorities=priority_sets)
def test_marks_are_integers_between_floor_and_ceiling_in_the_order_of_importance(
    intent, priorities
):
    rungs = ladder.build(intent, priorities)
    marks = [
        rungs.mark(priority)
        for priority in sorted(priorities)
        if rungs.role(priority) != "Protected"
    ]
    assert all(type(mark) is int for mark in marks)
    assert all(
        0 <= rungs.floor_permille <= mark <= rungs.ceiling_permille <= 1000 for mark in marks
    )
    assert marks == sorted(marks, reverse=True), "less important: higher mark, works earlier"


@given(intent=any_intent(), priorities=priority_sets)
def test_what_the_kernel_is_told_is_in_its_range_and_in_order_whatever_memory_there_is(
    intent, priorities
):
    rungs = ladder.build(intent, priorities)
    memory = Availability().looked(intent, 0)
    told = [
        (
            memory.wakes(rungs.mark(priority)),
            memory.kernel_mark(rungs.mark(priority), intent.memory),
        )
        for priority in sorted(priorities)
        if rungs.role(priority) != "Protected"
    ]
    assert all(0 <= mark <= 1000 for _, mark in told)
    assert told == sorted(told, reverse=True), "who is less important is awake no later"


@given(intent=any_intent(), priority=st.integers(1, 100))
def test_a_single_priority_only_is_no_special_case(intent, priority):
    rungs = ladder.build(intent, [priority])
    if rungs.role(priority) != "Protected" and intent.scaling == "Relative":
        assert rungs.mark(priority) == rungs.ceiling_permille


def test_polarity_the_less_important_pod_works_first():
    rungs = ladder.build(INTENT, [30, 60, 90])
    assert rungs.mark(30) == 600
    assert rungs.mark(30) > rungs.mark(60) > rungs.floor_permille
    assert rungs.role(90) == "Protected"
    with pytest.raises(ValueError, match="protected"):
        rungs.mark(90)


def test_the_formula_by_hand():
    rungs = ladder.build(replace(INTENT, floor_permille=120), [30, 60])
    # ranks 71 and 41, the protected one is 21: 120 + (41 - 21) * 480 / (71 - 21)
    assert (rungs.mark(30), rungs.mark(60)) == (600, 312)


def test_absolute_scaling_gives_the_ceiling_to_priority_one():
    rungs = ladder.build(replace(INTENT, scaling="Absolute", floor_permille=0), [50])
    assert rungs.mark(1) == 600
    assert rungs.mark(50) == (51 - 21) * 600 // (100 - 21)


def test_the_automatic_floor_lies_above_what_kernel_and_kubelet_keep():
    kept = MEMORY.zone_high_bytes + INTENT.reserved_bytes
    assert ladder.floor(INTENT) * MEMORY.capacity_bytes >= kept * 1000
    assert ladder.floor(replace(INTENT, ceiling_permille=10)) == 10


@given(intent=any_intent(), priorities=priority_sets, most=st.integers(1, 8))
def test_bands_cover_all_priorities_and_protected_ones_are_never_in_a_lane_that_reclaims(
    intent, priorities, most
):
    rungs = ladder.build(intent, priorities)
    result = lanes.bands(priorities, rungs, most)
    assert len(result) <= most
    assert [p for band in result for p in band.priorities] == sorted(priorities)
    for band in result:
        roles = {rungs.role(priority) for priority in band.priorities}
        if "Protected" in roles:
            assert band.role == "Protected"
        if band.role == "Eager":
            assert roles == {"Eager"}
        if band.role == "Ladder":
            assert band.mark_permille == min(rungs.mark(p) for p in band.priorities)
        else:
            assert band.mark_permille is None
    if most > 1:
        mixed = [b for b in result if b.role == "Protected"]
        assert all(rungs.role(p) == "Protected" for b in mixed for p in b.priorities)


@given(intent=any_intent(), priorities=priority_sets)
def test_with_kdamonds_enough_everybody_has_a_lane_of_its_own(intent, priorities):
    rungs = ladder.build(intent, priorities)
    result = lanes.bands(priorities, rungs, len(priorities))
    assert [band.priorities for band in result] == [(p,) for p in sorted(priorities)]


def test_protected_ones_share_first_then_eager_ones_then_the_closest_neighbours():
    rungs = ladder.build(INTENT, [1, 10, 30, 40, 41, 70, 85, 95])

    def shared(most):
        return [
            band.priorities
            for band in lanes.bands([1, 10, 30, 40, 41, 70, 85, 95], rungs, most)
            if len(band.priorities) > 1
        ]

    assert shared(8) == []
    assert shared(7) == [(85, 95)]
    assert shared(6) == [(1, 10), (85, 95)]
    assert shared(5) == [(1, 10), (40, 41), (85, 95)]
    assert shared(2) == [(1, 10, 30, 40, 41, 70), (85, 95)]


@given(
    priorities=st.sets(st.integers(1, 100), min_size=1, max_size=8),
    previous=st.dictionaries(
        st.integers(0, 7), st.dictionaries(st.integers(1, 100), st.integers(1, 9)), max_size=8
    ),
)
def test_each_band_gets_a_kdamond_of_its_own_and_keeps_it(priorities, previous):
    result = lanes.bands(priorities, ladder.build(INTENT, priorities), 8)
    assigned = lanes.choose_kdamonds(result, previous, 8)
    assert len(assigned) == len(result)
    assert set(assigned) <= set(range(8))
    carried = {kdamond: dict.fromkeys(band.priorities, 1) for kdamond, band in assigned.items()}
    assert lanes.choose_kdamonds(result, carried, 8) == assigned
    assert lanes.choose_kdamonds(tuple(reversed(result)), carried, 8) == assigned
