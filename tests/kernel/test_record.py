import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_agent.kernel import record
from damon_agent.kernel.tree.errors import AlreadyRunning, StateUnwritable
from damon_agent.kernel.ownership.record import Record, RecordStore
from damon_agent.kernel.slots import Slot, Slots

processes = st.builds(Process, st.integers(3, 99), st.integers(1, 99))
records = st.builds(
    Record,
    boot_id=st.text(),
    driver=st.sampled_from(["lanes", "native"]),
    nr_kdamonds_found=st.just(0),
    nr_kdamonds=st.integers(0, 8),
    kdamonds=st.lists(
        st.builds(
            Slots,
            slots=st.lists(st.builds(Slot, st.none() | processes, st.booleans())).map(tuple),
            leaving=st.lists(processes).map(tuple),
            committed=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    armed=st.booleans(),
    shift_permille=st.none() | st.integers(-1000, 1000),
)
MINE = Record("boot", "lanes", 0, 8, (Slots(),) * 8)


@given(written=records)
def test_what_is_written_is_what_is_read(written):
    assert record.parse(record.dump(written)) == written


@given(text=st.text() | st.sampled_from(["{}", "[]", "null", '{"format":1}', '{"format":2}']))
def test_garbage_is_no_record(text):
    assert record.parse(text) is None


def test_a_record_of_another_boot_does_not_count(tmp_path):
    RecordStore(tmp_path, "boot").save(MINE)
    assert RecordStore(tmp_path, "boot").load() == MINE
    assert RecordStore(tmp_path, "another").load() is None


def test_removing_leaves_nothing_to_load(tmp_path):
    store = RecordStore(tmp_path, "boot")
    store.save(MINE)
    store.remove()
    store.remove()
    assert store.load() is None


def test_a_state_directory_that_cannot_be_written_is_said_so(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("")
    store = RecordStore(occupied / "below", "boot")
    for attempt in (lambda: store.save(MINE), store.lock):
        with pytest.raises(StateUnwritable, match="below"):
            attempt()


def test_a_second_agent_is_kept_out_until_the_first_is_gone(tmp_path):
    first, second = RecordStore(tmp_path, "boot"), RecordStore(tmp_path, "boot")
    first.lock()
    with pytest.raises(AlreadyRunning):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()
