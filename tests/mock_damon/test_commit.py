"""What a commit takes over, what it keeps, and what a bad one does."""

import errno

import pytest

SILENT = {"6.1", "6.12"}


@pytest.fixture
def machine(profile, make_machine):
    machine = make_machine(profile)
    machine.prepare(machine.processes.spawn(), machine.processes.spawn(), schemes=1)
    machine.scheme(0, "stat", min_age=1)
    machine.command("on")
    machine.emulator.advance(500_000)
    return machine


def test_nothing_takes_effect_before_the_commit(machine):
    machine.set("schemes/0/action", "cold")
    machine.emulator.advance(500_000)
    assert machine.schemes()[0].wanted.action == "stat"
    machine.command("commit")
    assert machine.schemes()[0].wanted.action == "cold"


def test_a_dead_pid_kills_the_kdamond_silently_or_is_einval(machine, profile):
    machine.set("targets/1/pid_target", 999_999)
    code = machine.command_errno("commit")
    if profile in SILENT:
        assert (code, machine.state()) == (0, "off")
    else:
        assert (code, machine.state()) == (errno.EINVAL, "on")
        assert machine.targets()[1].process.pid != 999_999


def test_bad_bounds_kill_the_kdamond_silently_or_are_einval(machine, profile):
    machine.set("monitoring_attrs/nr_regions/min", 2)
    code = machine.command_errno("commit")
    assert (code, machine.state()) == ((0, "off") if profile in SILENT else (errno.EINVAL, "on"))


@pytest.mark.parametrize("profile", ["6.12", "6.18", "7.2", "rfc"])
def test_a_bad_memcg_kills_the_kdamond_silently_or_is_enomem(machine, profile):
    machine.set("schemes/0/filters/nr_filters", 1)
    machine.set("schemes/0/filters/0/type", "memcg")
    machine.set("schemes/0/filters/0/memcg_path", "nowhere")
    code = machine.command_errno("commit")
    assert (code, machine.state()) == ((0, "off") if profile in SILENT else (errno.ENOMEM, "on"))


def test_no_targets_commit_well_and_the_kdamond_stops_by_itself(machine):
    machine.aim()
    assert machine.command_errno("commit") == 0
    machine.emulator.advance(10_000)
    assert machine.state() == "off"


def test_commit_resolves_pids_in_the_init_namespace_and_on_in_the_writers(machine):
    inner = machine.processes.spawn()
    machine.processes.enter("container", 2, inner)
    machine.command("off")
    machine.emulator.advance(200_000)
    machine.aim(2)
    machine.emulator_write("0/state", "on", namespace="container")
    assert machine.targets()[0].process == inner
    machine.emulator_write("0/state", "commit", namespace="container")
    machine.emulator.advance(500_000)
    assert machine.targets()[0].process.pid == 2
    assert not machine.processes.has_memory(machine.targets()[0].process)


def test_a_pid_only_the_container_knows_breaks_the_commit(machine, profile):
    inner = machine.processes.spawn()
    machine.processes.enter("container", 77, inner)
    machine.set("targets/0/pid_target", 77)
    code = machine.command_errno("commit")
    assert (code, machine.state()) == ((0, "off") if profile in SILENT else (errno.EINVAL, "on"))


def test_stats_are_not_reset_by_a_commit_but_by_on(machine):
    machine.emulator.advance(1_000_000)
    before = machine.schemes()[0].stats.nr_tried
    assert before > 0
    machine.command("commit")
    assert machine.schemes()[0].stats.nr_tried >= before
    machine.command("off")
    machine.emulator.advance(200_000)
    machine.command("on")
    assert machine.schemes()[0].stats.nr_tried == 0


def test_schemes_are_matched_by_index_and_extra_ones_dropped(machine):
    machine.set("schemes/nr_schemes", 3)
    machine.command("commit")
    assert len(machine.schemes()) == 3
    first = machine.schemes()[0]
    machine.set("schemes/nr_schemes", 1)
    machine.command("commit")
    assert machine.schemes() == [first]


@pytest.mark.parametrize(("profile", "age"), [("6.1", 32), ("6.12", 3), ("6.18", 3), ("7.2", 3)])
def test_other_intervals_convert_ages_but_not_on_6_1(make_machine, profile, age):
    machine = make_machine(profile)
    machine.prepare(machine.processes.spawn())
    machine.set("monitoring_attrs/intervals/update_us", 60_000_000)
    machine.command("on")
    machine.emulator.advance(3_105_000)
    machine.set("monitoring_attrs/intervals/sample_us", 50_000)
    machine.set("monitoring_attrs/intervals/aggr_us", 1_000_000)
    machine.command("commit")
    assert machine.targets()[0].regions[0].age == pytest.approx(age, abs=1)


def test_update_tuned_intervals_and_stats_go_from_the_kernel_copy_to_sysfs(machine, profile):
    machine.set("monitoring_attrs/intervals/sample_us", 7000)
    if profile not in SILENT:
        machine.command("update_tuned_intervals")
        assert machine.get("monitoring_attrs/intervals/sample_us") == "5000"
    machine.emulator.advance(500_000)
    assert machine.get("schemes/0/stats/nr_tried") == "0"
    machine.command("update_schemes_stats")
    assert int(machine.get("schemes/0/stats/nr_tried")) > 0


@pytest.mark.parametrize("profile", ["6.18", "7.2", "rfc"])
def test_refresh_ms_shows_stats_by_itself_and_overwrites_uncommitted_intervals(machine):
    machine.write("0/refresh_ms", 100)
    machine.set("monitoring_attrs/intervals/sample_us", 7000)
    machine.emulator.advance(1_000_000)
    assert int(machine.get("schemes/0/stats/nr_tried")) > 0
    assert machine.get("monitoring_attrs/intervals/sample_us") == "5000"
