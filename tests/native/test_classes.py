"""The slots' numbers, and who gets which slot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_agent.kernel.intent import Member
from damon_agent.kernel.native import classes
from damon_agent.kernel.slots import settle, taken

PRIORITIES = st.integers(1, 100)
PROTECT_FROM = st.integers(1, 100)


def members_of(priorities: dict[int, int]) -> list[Member]:
    return [Member(Process(pid, 1), f"pod-{pid}", p) for pid, p in priorities.items()]


def nobody_dies(_process: Process) -> bool:
    return True


def standing(slots, layout) -> dict[int, int]:
    """Return the number by pid."""
    return {
        slot.process.pid: layout.numbers[i]
        for i, slot in enumerate(slots.slots)
        if slot.process is not None
    }


@pytest.mark.parametrize(
    ("priority", "number"), [(100, 1), (80, 1), (79, 20), (60, 40), (30, 70), (11, 90), (1, 100)]
)
def test_the_class_is_the_rank_floored_to_tens(priority, number):
    assert classes.class_of(priority, protect_from=80) == number


@given(PRIORITIES, PRIORITIES, PROTECT_FROM)
def test_a_less_important_priority_never_has_a_smaller_number(one, other, protect_from):
    lower, upper = min(one, other), max(one, other)
    assert classes.class_of(lower, protect_from) >= classes.class_of(upper, protect_from)


@given(PRIORITIES, PROTECT_FROM)
def test_every_class_is_laid_out_and_never_less_protective_than_the_rank(priority, protect_from):
    number = classes.class_of(priority, protect_from)
    assert number in classes.CLASSES
    assert 1 <= number <= max(1, 101 - priority)


@given(st.integers(1, 12))
def test_a_layout_has_sentinels_and_so_many_slots_of_each_class(slots_per_class):
    layout = classes.layout(slots_per_class)
    assert layout.numbers[:2] == (1, 100)
    assert all(layout.numbers[2:].count(n) == slots_per_class for n in classes.CLASSES)


@pytest.mark.parametrize("numbers", [(), (1,), (100, 1), (1, 1, 50), (1, 99), (1, 100, 0)])
def test_a_layout_without_its_sentinels_cannot_be_made(numbers):
    with pytest.raises(ValueError, match=r"sentinels|outside"):
        classes.Layout(numbers)


def test_a_layout_needs_slots():
    with pytest.raises(ValueError, match="at least 1"):
        classes.layout(0)


STEPS = st.lists(
    st.tuples(st.dictionaries(st.integers(10, 30), PRIORITIES, max_size=16), st.booleans()),
    min_size=1,
    max_size=6,
)


@given(STEPS, PROTECT_FROM, st.integers(1, 3))
def test_placing_holds_its_promises_at_every_change(steps, protect_from, slots_per_class):
    layout = classes.layout(slots_per_class)
    slots = layout.vacant()
    for priorities, committed in steps:
        before = slots
        members = members_of(priorities)
        placement = classes.place(before, members, layout, protect_from, nobody_dies)
        slots = placement.slots
        numbers = standing(slots, layout)
        homeless = {member.process.pid for member in placement.homeless}
        assert [slot.process for slot in slots.slots[:2]] == [None, None]
        assert len(slots.slots) == len(layout.numbers)
        assert set(numbers) | homeless == set(priorities)
        assert not set(numbers) & homeless
        assert len(slots.occupants) == len(numbers)
        for pid, number in numbers.items():
            assert number <= classes.class_of(priorities[pid], protect_from)
        for member in placement.homeless:
            own = classes.class_of(member.priority, protect_from)
            admitted = [i for i in range(len(layout.numbers)) if layout.admits(i, own)]
            assert all(slots.slots[i].process is not None for i in admitted)
        for old, new in zip(before.slots, slots.slots, strict=True):
            assert new == old or not new.settled
        again = classes.place(slots, members, layout, protect_from, nobody_dies)
        assert again.slots is slots, "placing twice changes nothing"
        if committed:
            slots = settle(taken(slots))


@given(st.dictionaries(st.integers(10, 30), PRIORITIES, max_size=10))
def test_who_stands_in_its_class_stays_while_others_come_and_go(priorities):
    layout = classes.layout(2)
    first = classes.place(layout.vacant(), members_of(priorities), layout, 80, nobody_dies).slots
    half = dict(list(priorities.items())[::2])
    then = classes.place(first, members_of(half), layout, 80, nobody_dies).slots
    for old, new in zip(first.slots, then.slots, strict=True):
        if old.process is None or old.process.pid not in half:
            continue
        own = classes.class_of(half[old.process.pid], 80)
        if layout.numbers[first.slots.index(old)] == own:
            assert new == old


def test_a_full_class_spills_to_the_next_more_protective_one():
    layout = classes.layout(1)
    members = members_of({10: 60, 11: 60, 12: 60})
    placement = classes.place(layout.vacant(), members, layout, 80, nobody_dies)
    assert standing(placement.slots, layout) == {10: 40, 11: 30, 12: 20}


def test_who_spilled_over_goes_home_when_there_is_room():
    layout = classes.layout(1)
    both = classes.place(
        layout.vacant(), members_of({10: 60, 11: 60}), layout, 80, nobody_dies
    ).slots
    alone = classes.place(both, members_of({11: 60}), layout, 80, nobody_dies).slots
    assert standing(alone, layout) == {11: 40}


def test_who_becomes_more_important_leaves_its_less_protective_slot():
    layout = classes.layout(1)
    before = classes.place(layout.vacant(), members_of({10: 30}), layout, 80, nobody_dies).slots
    after = classes.place(before, members_of({10: 90}), layout, 80, nobody_dies)
    assert standing(after.slots, layout) == {10: 1}
    assert not after.homeless


def test_a_protected_one_without_a_slot_is_homeless_and_takes_nobody_elses():
    layout = classes.layout(1)
    members = members_of({10: 90, 11: 95, 12: 30})
    placement = classes.place(layout.vacant(), members, layout, 80, nobody_dies)
    assert [member.process.pid for member in placement.homeless] == [11]
    assert standing(placement.slots, layout) == {10: 1, 12: 70}


def test_a_reused_pid_is_another_process():
    layout = classes.layout(1)
    old, new = Member(Process(10, 1), "a", 30), Member(Process(10, 2), "b", 30)
    before = settle(taken(classes.place(layout.vacant(), [old], layout, 80, nobody_dies).slots))
    after = classes.place(before, [new], layout, 80, nobody_dies).slots
    assert after.occupants == (new.process,)
    assert not next(slot for slot in after.slots if slot.process).settled


def test_room_left_behind_by_one_that_goes_home_is_taken_in_the_same_placing():
    """Found by the property above: two priorities swap around full classes."""
    layout = classes.layout(3)
    before = {10: 1, 11: 2, 12: 3, 13: 2, 14: 2}
    after = {12: 2, 10: 1, 11: 1, 13: 1, 14: 1}
    slots = classes.place(layout.vacant(), members_of(before), layout, 3, nobody_dies).slots
    once = classes.place(slots, members_of(after), layout, 3, nobody_dies).slots
    assert classes.place(once, members_of(after), layout, 3, nobody_dies).slots is once
