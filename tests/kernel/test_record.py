import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_agent.kernel.ownership import record
from damon_agent.kernel.ownership.record import Record, StateDirectory
from damon_agent.kernel.slots import Slot, Slots
from damon_agent.kernel.tree.errors import AlreadyRunning, StateUnwritable

processes = st.builds(Process, st.integers(3, 99), st.integers(1, 99))
records = st.builds(
    Record,
    boot_id=st.text(),
    kdamonds=st.lists(
        st.builds(
            Slots,
            slots=st.lists(st.builds(Slot, st.none() | processes, st.booleans())).map(tuple),
            leaving=st.lists(processes).map(tuple),
            committed=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    is_signed=st.booleans(),
    native=st.booleans(),
    stopped_damon_stat=st.booleans(),
)
MINE = Record("boot", (Slots(),) * 8)


@given(written=records)
def test_what_is_written_is_what_is_read(written):
    assert record.parse(record.dump(written)) == written


@given(
    text=st.text()
    | st.sampled_from(["{}", "[]", "null", "[" * 100_000, '{"format":1}', '{"format":2}'])
)
def test_garbage_is_no_record(text):
    assert record.parse(text) is None


def test_a_record_of_another_boot_does_not_count(tmp_path):
    StateDirectory(tmp_path, "boot").save(MINE)
    assert StateDirectory(tmp_path, "boot").load() == MINE
    assert StateDirectory(tmp_path, "another").load() is None


def test_removing_leaves_nothing_to_load(tmp_path):
    store = StateDirectory(tmp_path, "boot")
    store.save(MINE)
    store.forget()
    store.forget()
    assert store.load() is None


def test_a_state_directory_that_cannot_be_written_is_said_so(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("")
    store = StateDirectory(occupied / "below", "boot")
    for attempt in (lambda: store.save(MINE), store.lock):
        with pytest.raises(StateUnwritable, match="below"):
            attempt()


def test_a_second_agent_is_kept_out_until_the_first_is_gone(tmp_path):
    first, second = StateDirectory(tmp_path, "boot"), StateDirectory(tmp_path, "boot")
    first.lock()
    with pytest.raises(AlreadyRunning):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


@pytest.mark.parametrize(
    ("failing", "raised"), [(errno.ENOLCK, StateUnwritable), (errno.EAGAIN, AlreadyRunning)]
)
def test_a_lock_that_is_not_to_be_had_costs_no_descriptor(tmp_path, monkeypatch, failing, raised):
    def flock(_descriptor, _operation):
        raise OSError(failing, os.strerror(failing))

    monkeypatch.setattr(record.fcntl, "flock", flock)
    store = StateDirectory(tmp_path, "boot")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(3):
        with pytest.raises(raised, match=str(tmp_path)):
            store.lock()
    assert len(list(descriptors.iterdir())) == before


@given(written=records, data=st.data())
def test_a_record_of_which_one_byte_changed_is_no_record_or_one_that_can_be_worked_with(
    written, data
):
    text = bytearray(record.dump(written).encode())
    position = data.draw(st.integers(0, len(text) - 1))
    text[position] ^= 1 << data.draw(st.integers(0, 7))
    found = record.parse(bytes(text))
    if found is not None:
        assert record.parse(record.dump(found)) == found
