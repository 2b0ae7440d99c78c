"""Injected faults, and the evidence the emulator keeps."""

import errno

import pytest

from damon_mock.damon import (
    Fails,
    Fault,
    Hangs,
    Killed,
    Kills,
    StopsKdamond,
    WouldHangForever,
    Writer,
)


@pytest.fixture
def machine(profile, make_machine):
    machine = make_machine(profile)
    machine.prepare(machine.processes.spawn())
    machine.command("on")
    machine.emulator.advance(10_000)
    return machine


def test_an_ebusy_storm_ends(machine):
    machine.emulator.faults.add(Fault("*/state", Fails(errno.EBUSY), times=3))
    codes = [machine.command_errno("commit") for _ in range(4)]
    assert codes == [errno.EBUSY] * 3 + [0]


def test_a_fault_can_wait_for_the_nth_access_and_for_a_value(machine):
    machine.emulator.faults.add(Fault("*/state", Fails(errno.EIO), value="off", skip=1))
    assert machine.command_errno("commit") == 0
    assert machine.command_errno("off") == 0
    machine.emulator.advance(200_000)
    machine.command("on")
    assert machine.command_errno("off") == errno.EIO
    assert machine.command_errno("off") == 0


def test_reads_and_lists_fail_too(machine):
    machine.emulator.faults.add(
        Fault("*/pid", Fails(errno.EIO), "read"), Fault("*", Fails(errno.EACCES), "list")
    )
    with pytest.raises(OSError, match="Input/output"):
        machine.read("0/pid")
    with pytest.raises(PermissionError):
        machine.files.list("admin")
    assert machine.read("0/pid") != "-1"


def test_a_commit_can_hang_on_any_kernel_until_off(machine):
    machine.emulator.faults.add(Fault("*/state", Hangs(), value="commit"))
    with pytest.raises(WouldHangForever) as hang:
        machine.command("commit")
    assert machine.emulator.is_stuck(hang.value.pending)
    assert machine.command_errno("commit") == errno.EBUSY
    machine.command("off")
    machine.files.finish(hang.value.pending)
    assert machine.command_errno("on") == 0


def test_another_write_can_hang_for_ever(machine):
    machine.emulator.faults.add(Fault("*/nr_schemes", Hangs()))
    with pytest.raises(WouldHangForever):
        machine.set("schemes/nr_schemes", 2)
    assert machine.get("schemes/nr_schemes") == "1"


def test_a_commit_can_succeed_and_stop_the_kdamond_on_any_kernel(machine):
    machine.emulator.faults.add(Fault("*/state", StopsKdamond(), value="commit"))
    assert machine.command_errno("commit") == 0
    assert machine.state() == "off"


@pytest.mark.parametrize(("when", "applied"), [("before", "100000"), ("after", "7000")])
def test_the_agent_can_die_at_any_write(machine, when, applied):
    count = len(machine.emulator.log)
    machine.emulator.faults.add(Fault("*", Kills(when), skip=2))
    machine.set("monitoring_attrs/intervals/sample_us", 5001)
    machine.set("monitoring_attrs/intervals/sample_us", 5002)
    with pytest.raises(Killed):
        machine.set("monitoring_attrs/intervals/aggr_us", 7000)
    assert len(machine.emulator.log) == count + 3
    assert machine.get("monitoring_attrs/intervals/aggr_us") == applied


def test_a_commit_goes_on_in_the_kernel_when_its_writer_is_killed(machine):
    machine.set("schemes/0/action", "cold")
    machine.emulator.faults.add(Fault("*/state", Kills("after"), value="commit"))
    with pytest.raises(Killed):
        machine.command("commit")
    machine.emulator.advance(1_000_000)
    assert machine.schemes()[0].wanted.action == "cold"


def test_killed_is_no_exception_an_agent_could_swallow():
    assert not issubclass(Killed, Exception)


def test_without_damon_nothing_is_there(machine):
    machine.emulator.present = False
    for access in (
        lambda: machine.read("nr_kdamonds"),
        lambda: machine.write("nr_kdamonds", 1),
        lambda: machine.files.list("admin"),
    ):
        with pytest.raises(FileNotFoundError):
            access()
    assert machine.emulator.entries("module")


def test_a_read_only_tree_can_be_read(machine):
    machine.emulator.read_only = True
    assert machine.errno_of("nr_kdamonds", 1) == errno.EROFS
    assert machine.errno_of("0/pid", 1) == errno.EROFS
    assert machine.read("nr_kdamonds") == "1"


def test_every_write_is_logged_with_its_result(machine):
    count = len(machine.emulator.log)
    machine.set("schemes/0/action", "cold")
    machine.errno_of("0/contexts/0/schemes/0/action", "nonsense")
    machine.emulator_write("0/state", "commit")
    good, bad, waiting = machine.emulator.log[count:]
    assert (good.value, good.code, good.writer, good.foreign) == ("cold", 0, "agent", False)
    assert bad.code == errno.EINVAL
    assert waiting.code is None
    machine.emulator.advance(4_000_000)
    assert waiting.code == 0


def test_what_another_writer_made_is_marked_as_foreign(machine):
    machine.emulator.write(
        "damon/admin/kdamonds/0/contexts/0/schemes/0/action", b"cold", Writer("somebody")
    )
    assert machine.emulator.log[-1].foreign


def test_the_snapshot_has_every_file_with_the_present_state(machine):
    snapshot = machine.emulator.snapshot()
    assert snapshot["damon/admin/kdamonds/0/state"] == "on"
    assert int(snapshot["damon/admin/kdamonds/0/pid"]) > 0
    assert snapshot["damon/admin/kdamonds/nr_kdamonds"] == "1"
    assert all(machine.emulator.mode(path) is not None for path in snapshot)
