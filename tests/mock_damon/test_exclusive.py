"""DAMON_STAT and its like exclude every sysfs kdamond, and the other way round."""

import errno

import pytest

from damon_mock.damon import VirtualFiles, Writer

STAT = "module/damon_stat/parameters/"
RECLAIM = "module/damon_reclaim/parameters/"


def test_damon_stat_exists_since_6_17(machine, profile):
    has_stat = profile not in {"6.1", "6.12"}
    assert ("damon_stat" in machine.emulator.entries("module")) == has_stat
    if has_stat:
        assert machine.emulator.read(STAT + "enabled") == b"N\n"


def test_kdamond_pid_of_damon_stat_came_later(make_machine):
    assert make_machine("6.18").emulator.entries(STAT) == ["enabled"]
    assert make_machine("7.2").emulator.read(STAT + "kdamond_pid") == b"-1\n"


def test_while_an_exclusive_user_runs_on_is_busy(machine):
    machine.emulator.modules.enabled["damon_reclaim"] = True
    assert machine.command_errno("on") == errno.EBUSY
    assert machine.command_errno("off") == errno.EINVAL
    machine.emulator.modules.enabled["damon_reclaim"] = False
    assert machine.command_errno("on") == 0


def test_while_a_kdamond_runs_enabling_fails_and_6_1_does_not_say_so(machine, profile):
    machine.command("on")
    if profile == "6.1":
        machine.emulator.write(RECLAIM + "enabled", b"Y\n", Writer("foreign"))
    else:
        with pytest.raises(OSError, match="busy"):
            machine.emulator.write(RECLAIM + "enabled", b"Y\n", Writer("foreign"))
    assert machine.emulator.read(RECLAIM + "enabled") == b"N\n"


def test_the_pid_parameter_cannot_be_written(machine):
    with pytest.raises(PermissionError):
        machine.emulator.write(RECLAIM + "kdamond_pid", b"1")


@pytest.mark.parametrize("path", ["nothing", "nothing/parameters", "damon_reclaim/x"])
def test_what_is_not_there_is_enoent(machine, path):
    with pytest.raises(FileNotFoundError):
        machine.emulator.entries("module/" + path)


def test_a_running_foreign_kdamond_makes_nr_kdamonds_busy_but_its_files_can_be_harmed(machine):
    ours = machine.files
    machine.files = VirtualFiles(machine.emulator, "damon", writer=Writer("foreign"))
    machine.prepare(machine.processes.spawn())
    machine.command("on")
    machine.files = ours
    assert machine.errno_of("nr_kdamonds", 8) == errno.EBUSY
    assert machine.errno_of("0/contexts/0/targets/nr_targets", 0) == 0
    assert [record.foreign for record in machine.emulator.log[-2:]] == [True, True]


def test_several_kdamonds_run_side_by_side(machine):
    machine.allocate(3)
    for kdamond in range(3):
        machine.aim(machine.processes.spawn(), kdamond=kdamond)
        machine.command("on", kdamond)
    machine.emulator.advance(1_000_000)
    assert [machine.state(kdamond) for kdamond in range(3)] == ["on"] * 3
    assert len({machine.read(f"{kdamond}/pid") for kdamond in range(3)}) == 3
