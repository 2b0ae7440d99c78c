"""The `state` file: what each keyword gives in each situation."""

import errno

import pytest

from damon_mock.damon import Killed

UPDATES = ["update_schemes_stats", "commit"]
CLEAR = "clear_schemes_tried_regions"
WALK = "update_schemes_tried_regions"


def knows_clear(profile):
    return profile != "6.1"


@pytest.mark.parametrize("keyword", ["on", "off", *UPDATES])
def test_without_a_context_everything_is_einval(profile, make_machine, keyword):
    machine = make_machine(profile)
    machine.write("nr_kdamonds", 1)
    assert machine.command_errno(keyword) == errno.EINVAL


@pytest.mark.parametrize("keyword", ["off", *UPDATES])
def test_a_kdamond_that_never_ran_can_only_be_switched_on(machine, keyword):
    assert machine.command_errno(keyword) == errno.EINVAL


@pytest.mark.parametrize("keyword", UPDATES)
def test_a_stopped_kdamond_refuses_with_an_errno_of_its_kernel(machine, profile, keyword):
    machine.command("on")
    machine.command("off")
    expected = errno.ECANCELED if profile in {"7.2", "7.3", "rfc"} else errno.EINVAL
    assert machine.command_errno(keyword) == expected


def test_off_after_a_stop_is_eperm_until_7_3(machine, profile):
    machine.command("on")
    machine.command("off")
    assert machine.command_errno("off") == (0 if profile == "7.3" else errno.EPERM)


def test_off_after_a_failed_on_is_einval_again(machine):
    machine.command("on")
    machine.command("off")
    machine.aim(0)
    assert machine.command_errno("on") == errno.EINVAL
    assert machine.command_errno("off") == errno.EINVAL


def test_clearing_tried_regions_needs_a_running_kdamond_only_on_old_kernels(machine, profile):
    if not knows_clear(profile):
        assert machine.command_errno(CLEAR) == errno.EINVAL
        return
    needs_running = profile == "6.12"
    assert machine.command_errno(CLEAR) == (errno.EINVAL if needs_running else 0)
    machine.command("on")
    assert machine.command_errno(CLEAR) == 0


def test_on_while_running_is_busy(machine):
    machine.command("on")
    assert machine.command_errno("on") == errno.EBUSY


@pytest.mark.parametrize("keyword", ["ON", "on ", "start", "commit_targets", "add_target 5"])
def test_unknown_keywords_are_einval(machine, keyword):
    assert machine.command_errno(keyword) == errno.EINVAL


def test_update_tuned_intervals_tells_the_new_request_machinery(machine, profile):
    machine.command("on")
    code = machine.command_errno("update_tuned_intervals")
    assert code == (errno.EINVAL if profile in {"6.1", "6.12"} else 0)


def test_pid_and_state_tell_whether_it_runs(machine):
    assert (machine.state(), machine.read("0/pid")) == ("off", "-1")
    machine.command("on")
    assert machine.state() == "on"
    assert int(machine.read("0/pid")) > 0
    machine.command("off")
    assert (machine.state(), machine.read("0/pid")) == ("off", "-1")


@pytest.mark.parametrize("pid", [0, -1, 999_999])
def test_on_with_a_pid_nobody_has_is_einval(machine, pid):
    machine.aim(pid)
    assert machine.command_errno("on") == errno.EINVAL


def test_on_with_a_reaped_process_is_einval_but_a_zombie_is_fine(machine):
    process = machine.processes.spawn()
    machine.aim(process)
    machine.processes.exit(process.pid)
    assert machine.command_errno("on") == 0
    machine.command("off")
    machine.processes.reap(process.pid)
    assert machine.command_errno("on") == errno.EINVAL


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("monitoring_attrs/nr_regions/min", 2),
        ("monitoring_attrs/nr_regions/min", 1001),
        ("targets/0/regions/0/start", 9000),
    ],
)
def test_on_with_bad_bounds_is_einval(machine, path, value):
    machine.set("targets/0/regions/nr_regions", 1)
    machine.set("targets/0/regions/0/end", 8192)
    machine.set(path, value)
    assert machine.command_errno("on") == errno.EINVAL


def test_on_with_regions_that_overlap_is_einval(machine):
    machine.set("targets/0/regions/nr_regions", 2)
    for region, start, end in ((0, 4096, 12288), (1, 8192, 16384)):
        machine.set(f"targets/0/regions/{region}/start", start)
        machine.set(f"targets/0/regions/{region}/end", end)
    assert machine.command_errno("on") == errno.EINVAL
    machine.set("targets/0/regions/1/start", 12288)
    assert machine.command_errno("on") == 0


def test_aggregation_below_sampling_is_accepted_by_6_1_only(machine, profile):
    machine.set("monitoring_attrs/intervals/aggr_us", 4000)
    assert machine.command_errno("on") == (0 if profile == "6.1" else errno.EINVAL)


def test_an_empty_region_is_accepted_by_6_18_only(machine, profile):
    machine.set("targets/0/regions/nr_regions", 1)
    assert machine.command_errno("on") == (0 if profile == "6.18" else errno.EINVAL)


def test_paddr_takes_one_target_only(machine):
    machine.set("operations", "paddr")
    assert machine.command_errno("on") == 0
    machine.command("off")
    machine.aim(1, 1)
    assert machine.command_errno("on") == errno.EINVAL


@pytest.mark.parametrize("profile", ["6.12", "6.18", "7.2", "rfc"])
def test_an_unknown_memcg_is_enomem(profile, make_machine):
    machine = make_machine(profile)
    machine.prepare(1)
    machine.set("schemes/0/filters/nr_filters", 1)
    machine.set("schemes/0/filters/0/type", "memcg")
    machine.set("schemes/0/filters/0/memcg_path", "kubepods/no-leading-slash")
    assert machine.command_errno("on") == errno.ENOMEM


def test_with_no_targets_on_succeeds_and_the_kdamond_stops_at_once(machine):
    machine.aim()
    assert machine.command_errno("on") == 0
    machine.emulator.advance(10_000)
    assert (machine.state(), machine.read("0/pid")) == ("off", "-1")


def test_when_all_targets_are_gone_the_kdamond_stops_within_a_sample(machine):
    one, other = machine.processes.spawn(), machine.processes.spawn()
    machine.aim(one, other)
    machine.command("on")
    machine.processes.kill(one.pid)
    machine.emulator.advance(1_000_000)
    assert machine.state() == "on"
    machine.processes.exit(other.pid)
    machine.emulator.advance(1_000_000)
    assert machine.state() == "on"  # a zombie still counts
    machine.processes.reap(other.pid)
    machine.emulator.advance(10_000)
    assert machine.state() == "off"
    assert machine.get("targets/0/pid_target") == str(one.pid)
    assert machine.read("0/pid") == "-1"


def test_a_number_that_lives_on_as_a_session_is_accepted_and_invalid_at_once(machine):
    machine.processes.hold_number(4242)
    machine.aim(4242)
    assert machine.command_errno("on") == 0
    machine.emulator.advance(0)
    assert machine.state() == "off"


def test_nr_contexts_0_while_running_leaves_only_off(machine, profile):
    machine.command("on")
    machine.write("0/contexts/nr_contexts", 0)
    assert machine.state() == "on"
    if profile != "6.18":
        assert machine.command_errno("commit") == errno.EINVAL
    assert machine.command_errno("off") == 0


def test_6_18_crashes_the_writer_that_clears_without_a_context_and_keeps_the_lock(make_machine):
    machine = make_machine("6.18")
    machine.write("nr_kdamonds", 1)
    with pytest.raises(Killed):
        machine.command(CLEAR)
    assert machine.command_errno("on") == errno.EBUSY
    with pytest.raises(OSError, match="busy"):
        machine.state()
    machine.emulator.reboot()
    machine.write("nr_kdamonds", 1)


def test_6_18_leaves_a_walk_dangling_when_asked_of_a_stopped_kdamond(make_machine):
    machine = make_machine("6.18")
    machine.prepare(1)
    machine.command("on")
    machine.command("off")
    assert machine.command_errno(WALK) == errno.EINVAL
    assert machine.command_errno(WALK) == errno.EBUSY
    machine.command("on")
    assert machine.command_errno(WALK) == 0


@pytest.mark.parametrize(
    ("profile", "keyword", "fastest_us", "slowest_us"),
    [
        ("6.1", "commit", 1_800_000, 2_200_000),
        ("6.1", "update_schemes_stats", 1_800_000, 2_200_000),
        ("6.12", "update_schemes_stats", 100_000, 200_000),
        ("6.12", "commit", 1_800_000, 2_200_000),
        ("6.18", "commit", 0, 5_000),
        ("7.2", "commit", 0, 5_000),
        ("7.2", WALK, 1_800_000, 2_000_000),
    ],
)
def test_how_long_a_keyword_takes_with_an_aggregation_of_two_seconds(
    make_machine, profile, keyword, fastest_us, slowest_us
):
    machine = make_machine(profile)
    machine.prepare(1)
    machine.set("monitoring_attrs/intervals/aggr_us", 2_000_000)
    machine.command("on")
    machine.emulator.advance(2_107_000)
    started_us = machine.emulator.now_us
    machine.command(keyword)
    assert fastest_us <= machine.emulator.now_us - started_us <= slowest_us


def test_off_is_immediate_even_in_the_middle_of_a_long_sample(machine):
    machine.set("monitoring_attrs/intervals/aggr_us", 20_000_000)
    machine.set("monitoring_attrs/intervals/sample_us", 2_000_000)
    machine.command("on")
    machine.emulator.advance(2_500_000)
    before_us = machine.emulator.now_us
    machine.command("off")
    assert machine.emulator.now_us == before_us
