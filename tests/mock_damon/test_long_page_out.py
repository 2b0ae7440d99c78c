"""A page-out that takes long: the kdamond looks at nothing else meanwhile, not even at `off`."""

import errno

import pytest

from damon_mock.damon import WouldHangForever
from damon_mock.damon.profiles import load

EVERYWHERE = ["6.1", "6.12", "6.18", "7.2", "7.3", "rfc"]


@pytest.fixture(params=EVERYWHERE)
def profile(request):
    return request.param


@pytest.fixture
def machine(profile, make_machine):
    """Return a machine in the middle of 25.6 s of paging out 128 MiB of two processes."""
    machine = make_machine(profile)
    machine.memory.page_out_us_per_mib = 200_000
    machine.prepare(machine.processes.spawn(), machine.processes.spawn())
    machine.scheme(0, min_age=20)
    machine.command("on")
    machine.emulator.advance(2_000_000)
    machine.emulator.advance(1_000_000)
    assert machine.emulator.kdamonds[0].busy
    return machine


def test_targets_go_one_after_the_other(machine):
    assert len(machine.reclaims()) == 1
    machine.emulator.advance(13_000_000)
    first, second = machine.reclaims()
    assert second.time_us - first.time_us == 64 * 200_000
    assert first.pid != second.pid


def test_a_commit_is_answered_when_it_is_over(machine):
    pending = machine.emulator_write("0/state", "commit")
    machine.emulator.advance(24_000_000)
    assert not pending.done
    machine.emulator.advance(1_000_000)
    assert pending.done
    assert pending.error is None


def test_a_commit_that_waits_looks_like_one_that_hangs(machine):
    machine.files.limit_us = 15_000_000
    with pytest.raises(WouldHangForever) as raised:
        machine.command("commit")
    machine.files.finish(raised.value.pending)
    assert machine.state() == "on"


def test_off_waits_too_and_holds_the_lock(machine, profile):
    pending = machine.emulator_write("0/state", "off")
    assert machine.errno_of("0/contexts/0/schemes/nr_schemes", 1) == errno.EBUSY
    assert machine.command_errno("off") == errno.EBUSY
    if load(profile).synchronous:
        with pytest.raises(OSError, match="busy"):
            machine.state()
    else:
        assert machine.state() == "on"
    machine.emulator.advance(22_000_000)
    assert not pending.done
    machine.emulator.advance(3_000_000)
    assert pending.done
    assert pending.error is None
    assert machine.state() == "off"
    assert machine.emulator.events[-1].detail == "off"
    assert machine.command_errno("on") == 0


@pytest.mark.parametrize("profile", ["6.1", "6.12"])
def test_off_frees_a_commit_that_waits_where_that_holds_no_lock(machine):
    commit = machine.emulator_write("0/state", "commit")
    off = machine.emulator_write("0/state", "off")
    machine.emulator.advance(26_000_000)
    assert (commit.done, off.done) == (True, True)
    assert machine.state() == "off"


def test_paging_out_takes_no_time_unless_told(make_machine, profile):
    machine = make_machine(profile)
    machine.prepare(machine.processes.spawn())
    machine.scheme(0, min_age=20)
    machine.command("on")
    machine.emulator.advance(2_000_000)
    assert machine.reclaims()
    assert not machine.emulator.kdamonds[0].busy
