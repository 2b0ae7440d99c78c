"""What real kernels did differently from what the emulator did before it was asked."""

import errno

import pytest

from damon_mock.damon import Writer

WITH_WALKS = ["6.12", "6.18", "7.2", "7.3"]
WALK = "update_schemes_tried_bytes"


def total(machine, scheme=0):
    return int(machine.get(f"schemes/{scheme}/tried_regions/total_bytes"))


@pytest.mark.parametrize("name", ["sz", "nr_accesses", "age"])
def test_weights_are_of_32_bits(machine, profile, name):
    path = f"0/contexts/0/schemes/0/quotas/weights/{name}_permil"
    assert machine.errno_of(path, 2**32 - 1) == 0
    expected = errno.EINVAL if profile == "6.1" else errno.ERANGE
    assert machine.errno_of(path, 2**32) == expected


def test_physical_memory_needs_no_target_but_has_at_most_one(machine):
    machine.set("operations", "paddr")
    machine.aim(1, 2)
    assert machine.command_errno("on") == errno.EINVAL
    machine.aim()
    assert machine.command_errno("on") == 0
    assert machine.state() == "on"


def test_a_missing_context_is_noticed_before_the_running_kdamond(make_machine):
    machine = make_machine("7.2")
    machine.prepare(machine.processes.spawn())
    machine.command("on")
    machine.write("0/contexts/nr_contexts", 0)
    assert machine.command_errno("on") == errno.EINVAL
    assert machine.state() == "on"


@pytest.mark.parametrize("profile", WITH_WALKS)
def test_tried_regions_are_those_of_the_next_application(machine):
    machine.scheme(0, "stat", min_age=0)
    machine.command("on")
    machine.command(WALK)
    all_bytes = total(machine)
    assert all_bytes > 0
    machine.set("targets/0/regions/nr_regions", 1)
    machine.set("targets/0/regions/0/start", 4096)
    machine.set("targets/0/regions/0/end", 8192)
    machine.set("monitoring_attrs/intervals/update_us", 60_000_000)
    machine.command("commit")
    machine.command(WALK)
    assert total(machine) == 4096


def test_on_6_12_a_walk_while_all_sleep_shows_nothing_and_later_ones_say_so(make_machine):
    for profile, expected in (("6.12", 0), ("6.18", errno.ECANCELED)):
        machine = make_machine(profile)
        machine.prepare(machine.processes.spawn())
        machine.scheme(0, "stat", min_age=0, marks=(1, 1, 0))
        machine.command("on")
        assert machine.command_errno(WALK) == expected
        assert total(machine) == 0


def test_exclusive_users_exclude_each_other(machine, profile):
    machine.emulator.write("module/damon_reclaim/parameters/enabled", b"Y", Writer("foreign"))
    path = "module/damon_lru_sort/parameters/enabled"
    if profile == "6.1":
        machine.emulator.write(path, b"Y", Writer("foreign"))
    else:
        with pytest.raises(OSError, match="busy"):
            machine.emulator.write(path, b"Y", Writer("foreign"))
    assert machine.emulator.read(path) == b"N\n"


@pytest.mark.parametrize("profile", ["7.2", "7.3"])
def test_there_are_at_most_four_probes(machine):
    path = "0/contexts/0/monitoring_attrs/probes/nr_probes"
    assert machine.errno_of(path, 4) == 0
    assert machine.errno_of(path, 5) == errno.EINVAL


@pytest.mark.parametrize("profile", ["7.2", "7.3"])
def test_a_paused_context_answers_and_does_nothing_else(machine):
    machine.scheme(0, "stat", min_age=0)
    machine.command("on")
    machine.set("pause", "Y")
    machine.command("commit")
    machine.command("update_schemes_stats")
    tried = machine.get("schemes/0/stats/nr_tried")
    machine.emulator.advance(5_000_000)
    machine.command("update_schemes_stats")
    assert machine.get("schemes/0/stats/nr_tried") == tried
    assert machine.state() == "on"
    machine.set("pause", "N")
    machine.command("commit")
    machine.emulator.advance(5_000_000)
    machine.command("update_schemes_stats")
    assert int(machine.get("schemes/0/stats/nr_tried")) > int(tried)


def test_7_3_refuses_on_with_an_obsolete_target(make_machine):
    for profile, expected in (("7.2", 0), ("7.3", errno.EINVAL)):
        machine = make_machine(profile)
        machine.prepare(machine.processes.spawn())
        machine.set("targets/0/obsolete_target", "Y")
        assert machine.command_errno("on") == expected


def test_newer_kernels_know_the_words_enable_and_disable(make_machine):
    for profile, expected in (("6.12", errno.EINVAL), ("7.3", 0)):
        machine = make_machine(profile)
        machine.prepare(machine.processes.spawn())
        machine.set("schemes/0/filters/nr_filters", 1)
        path = "0/contexts/0/schemes/0/filters/0/matching"
        assert machine.errno_of(path, "enabled") == expected
        assert machine.errno_of(path, "disabled") == expected


def test_6_18_counts_tried_regions_twice(make_machine):
    """As observed: 1, 3, 5; then, three of the six having been taken back, 4, 6, 8."""
    machine = make_machine("6.18")
    machine.prepare(machine.processes.spawn())
    machine.scheme(0, "stat", min_age=0)
    machine.set("schemes/0/access_pattern/nr_accesses/max", 2**64 - 1)
    machine.command("on")
    path = "damon/admin/kdamonds/0/contexts/0/schemes/0/tried_regions"

    def numbers():
        machine.command("update_schemes_tried_regions")
        return [name for name in machine.emulator.entries(path) if name != "total_bytes"]

    assert numbers() == ["1", "3", "5"]
    assert numbers() == ["4", "6", "8"]
    assert machine.get("schemes/0/tried_regions/4/nr_accesses")
    machine.set("schemes/nr_schemes", 1)
    assert machine.emulator.entries(path) == ["total_bytes"]
