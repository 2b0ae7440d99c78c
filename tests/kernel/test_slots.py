from hypothesis import given
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_agent.kernel import slots
from damon_agent.kernel.slots import Slot, Slots

A, B, C, D = (Process(pid, 1) for pid in (10, 20, 30, 40))

processes = st.builds(Process, pid=st.integers(3, 8), start_ticks=st.integers(1, 2))


def always(_process: Process) -> bool:
    return True


def settled(*occupants: Process | None) -> Slots:
    return Slots(tuple(Slot(occupant, settled=True) for occupant in occupants))


def occupants(table: Slots) -> list[Process | None]:
    return [slot.process for slot in table.slots]


def test_a_dead_slot_becomes_a_tombstone_and_nobody_moves():
    placed = slots.place(settled(A, B, C), [A, C], always)
    assert occupants(placed) == [A, None, C]
    assert placed.leaving == (B,)
    assert not placed.committed


def test_trailing_tombstones_are_dropped():
    assert occupants(slots.place(settled(A, None, B), [A], always)) == [A]


def test_a_new_process_takes_a_settled_tombstone_before_a_new_index():
    placed = slots.place(settled(A, None, B), [A, B, C, D], always)
    assert occupants(placed) == [A, C, B, D]
    assert [slot.settled for slot in placed.slots] == [True, False, True, False]


def test_the_index_just_left_is_not_given_away_in_the_same_commit():
    placed = slots.place(settled(A, B), [B, C], always)
    assert occupants(placed) == [None, B, C]


def test_a_reused_pid_is_never_bound_to_the_old_slot():
    reused = Process(A.pid, A.start_ticks + 5)
    placed = slots.place(settled(A, B), [reused, B], lambda process: process != A)
    assert occupants(placed) == [None, B, reused]


def test_nothing_to_do_returns_the_same_list():
    table = settled(A, None, B)
    assert slots.place(table, [B, A], always) is table


def test_who_begins_anew_keeps_the_slot_and_loses_the_regions():
    begun = slots.begin_anew(settled(A, None, B), {B, C})
    assert occupants(begun) == [A, None, B]
    assert [slots.needs_clearing(slot) for slot in begun.slots] == [False, True, True]
    assert not begun.committed
    assert not begun.leaving
    assert slots.begin_anew(begun, {B}) is begun
    assert slots.begin_anew(settled(A), {B}) == settled(A)


def test_what_the_kernel_has_taken_can_begin_anew_again():
    begun = slots.taken(slots.begin_anew(settled(A), {A}))
    assert not slots.begin_anew(begun, {A}).committed


def test_a_process_listed_twice_gets_one_slot():
    assert occupants(slots.place(Slots(), [A, A], always)) == [A]


def test_only_settled_live_slots_go_without_the_dummy_region():
    assert slots.needs_clearing(Slot(None, settled=True))
    assert slots.needs_clearing(Slot(A, settled=False))
    assert not slots.needs_clearing(Slot(A, settled=True))


def test_those_who_leave_are_carried_until_the_commit():
    placed = slots.place(settled(A, B), [A], always)
    assert placed.carried == {A, B}
    assert slots.taken(placed).carried == {A}


@given(
    rounds=st.lists(
        st.tuples(st.lists(processes, max_size=8), st.frozensets(processes), st.booleans()),
        max_size=8,
    )
)
def test_no_index_changes_hands_without_being_cleared(rounds):
    table = Slots()
    for wanted, dead, commit in rounds:
        before = table.slots
        table = slots.place(table, wanted, lambda process, dead=dead: process not in dead)
        living = {process for process in wanted if process not in dead}
        assert set(table.occupants) == living
        assert len(table.occupants) == len(living)
        for index, slot in enumerate(table.slots):
            if index >= len(before) or before[index].process != slot.process:
                assert not slot.settled
            elif slot.process is not None:
                assert slot == before[index], "a survivor neither moves nor is cleared again"
        assert not table.slots or table.slots[-1].process is not None
        if commit:
            table = slots.settle(slots.taken(table))


def test_an_index_whose_clearing_is_still_to_be_committed_is_not_given_away():
    table = Slots((Slot(None, settled=False), Slot(A, settled=True)), committed=False)
    assert occupants(slots.place(table, [A, B], always)) == [None, A, B]
