"""nr_* files: they destroy and recreate, they never grow."""

import errno

import pytest

from damon_mock.damon import Writer


def test_writing_the_same_number_wipes_the_children_too(machine):
    machine.set("schemes/0/action", "pageout")
    machine.set("schemes/nr_schemes", 1)
    machine.set("targets/nr_targets", 1)
    assert machine.get("schemes/0/action") == "stat"
    assert machine.get("targets/0/pid_target") == "0"


def test_children_are_numbered_from_zero(machine):
    machine.set("targets/nr_targets", 3)
    names = machine.files.list("admin/kdamonds/0/contexts/0/targets")
    assert sorted(names) == ["0", "1", "2", "nr_targets"]
    machine.set("targets/nr_targets", 1)
    assert machine.errno_of("0/contexts/0/targets/1/pid_target", 2) == errno.ENOENT


@pytest.mark.parametrize(
    ("value", "code"), [("-1", errno.EINVAL), ("x", errno.EINVAL), ("2147483648", errno.ERANGE)]
)
def test_a_bad_number_changes_nothing(machine, value, code):
    assert machine.errno_of("0/contexts/0/targets/nr_targets", value) == code
    assert machine.get("targets/nr_targets") == "1"


def test_there_is_one_context_at_most(machine):
    assert machine.errno_of("0/contexts/nr_contexts", 2) == errno.EINVAL
    assert machine.errno_of("0/contexts/nr_contexts", 0) == 0


def test_nr_kdamonds_is_busy_while_any_kdamond_runs(machine):
    machine.write("nr_kdamonds", 3)
    machine.write("2/contexts/nr_contexts", 1)
    machine.aim(machine.processes.spawn(), kdamond=2)
    machine.command("on", 2)
    for number in (0, 3, 64):
        assert machine.errno_of("nr_kdamonds", number) == errno.EBUSY
    assert machine.state(2) == "on"


def test_nr_kdamonds_wipes_stopped_kdamonds_of_others_and_says_nothing(machine):
    machine.emulator.write("damon/admin/kdamonds/nr_kdamonds", b"2", Writer("foreign"))
    assert machine.errno_of("nr_kdamonds", 1) == 0
    assert machine.emulator.log[-1].foreign


def test_other_counts_may_change_while_running_and_touch_only_sysfs(machine):
    machine.command("on")
    machine.emulator.advance(200_000)
    machine.set("targets/nr_targets", 0)
    machine.set("schemes/nr_schemes", 5)
    machine.emulator.advance(1_000_000)
    assert machine.state() == "on"
    assert len(machine.targets()) == 1
    assert len(machine.schemes()) == 1


def test_stats_files_die_with_nr_schemes_but_the_counters_survive(machine):
    machine.scheme(0, "pageout", min_age=5)
    machine.command("on")
    machine.emulator.advance(1_000_000)
    machine.command("update_schemes_stats")
    before = machine.get("schemes/0/stats/nr_tried")
    assert int(before) > 0
    machine.set("schemes/nr_schemes", 1)
    assert machine.get("schemes/0/stats/nr_tried") == "0"
    machine.command("update_schemes_stats")
    assert int(machine.get("schemes/0/stats/nr_tried")) >= int(before)
