"""`nr_snapshots`, one for each target whose last region is reached, and where it ends a scheme.

Measured on 7.3.4: what ends a scheme, what wakes it, and that a quota keeps it from ending.
"""

import pytest

from damon_mock.damon import MIB, Usage

WITH = ["7.2", "7.3", "rfc"]
"""The limit came with 7.0, and `rfc` is 7.0."""


@pytest.fixture(params=WITH)
def machine(request, make_machine):
    return make_machine(request.param)


def run(machine, *, targets=1, limit=0, action="pageout", usage=None):
    machine.prepare(*(machine.processes.spawn() for _ in range(targets)))
    if usage is not None:
        for target in range(targets):
            pid = int(machine.get(f"targets/{target}/pid_target"))
            machine.memory.set_usage(machine.processes.identity(pid), usage)
    machine.scheme(0, action, min_age=1)
    machine.set("schemes/0/stats/max_nr_snapshots", limit)
    machine.command("on")


def commit(machine, limit):
    machine.set("schemes/0/stats/max_nr_snapshots", limit)
    machine.command("commit")


def stats(machine):
    machine.command("update_schemes_stats")
    names = ("nr_snapshots", "nr_tried", "nr_applied")
    return tuple(int(machine.get(f"schemes/0/stats/{name}")) for name in names)


@pytest.mark.parametrize("profile", ["6.1", "6.12", "6.18"])
def test_older_kernels_have_none(make_machine, profile):
    machine = make_machine(profile)
    machine.prepare(1)
    names = machine.files.list("admin/kdamonds/0/contexts/0/schemes/0/stats")
    assert not {"nr_snapshots", "max_nr_snapshots"} & set(names)


@pytest.mark.parametrize("targets", [1, 2, 82])
def test_each_target_counts_in_each_pass(machine, targets):
    run(machine, targets=targets)
    machine.emulator.advance(1_050_000)
    assert stats(machine)[0] == 10 * targets


@pytest.mark.parametrize("action", ["stat", "pageout"])
@pytest.mark.parametrize("targets", [1, 2])
def test_it_ends_a_scheme_while_the_kdamond_goes_on(machine, action, targets):
    run(machine, targets=targets, limit=5, action=action)
    machine.emulator.advance(2_000_000)
    seen = stats(machine)
    assert seen[0] == 5
    machine.emulator.advance(5_000_000)
    assert stats(machine) == seen
    assert machine.state() == "on"


@pytest.mark.parametrize("limit", [8, 0])
def test_a_higher_limit_or_none_wakes_it(machine, limit):
    run(machine, limit=5)
    machine.emulator.advance(2_000_000)
    commit(machine, limit)
    machine.emulator.advance(2_000_000)
    assert (stats(machine)[0] == 8) if limit else (stats(machine)[0] > 20)


def test_a_higher_limit_before_it_has_ended_counts_just_so(machine):
    run(machine, limit=5)
    machine.emulator.advance(300_000)
    commit(machine, 15)
    machine.emulator.advance(3_000_000)
    assert stats(machine)[0] == 15


def test_the_same_limit_again_wakes_nothing(machine):
    run(machine, limit=5)
    machine.emulator.advance(2_000_000)
    commit(machine, 5)
    machine.emulator.advance(2_000_000)
    assert stats(machine)[0] == 5


def test_a_limit_below_the_count_ends_it_at_once(machine):
    run(machine)
    machine.emulator.advance(2_000_000)
    commit(machine, 5)
    seen = stats(machine)
    machine.emulator.advance(2_000_000)
    assert stats(machine) == seen


def test_tried_regions_of_an_ended_scheme_are_an_empty_success(machine):
    run(machine, limit=5)
    machine.emulator.advance(2_000_000)
    machine.command("update_schemes_tried_regions")
    assert machine.get("schemes/0/tried_regions/total_bytes") == "0"
    assert machine.files.list("admin/kdamonds/0/contexts/0/schemes/0/tried_regions") == [
        "total_bytes"
    ]


def test_only_the_next_on_counts_from_0(machine):
    run(machine, limit=5)
    machine.emulator.advance(2_000_000)
    machine.command("off")
    machine.command("on")
    machine.emulator.advance(300_000)
    assert 0 < stats(machine)[0] < 5


@pytest.mark.parametrize("size_bytes", [1 * MIB, 4 * MIB])
@pytest.mark.parametrize("action", ["stat", "pageout"])
def test_a_quota_that_every_window_fills_keeps_it_from_ending(machine, size_bytes, action):
    holey = Usage(cold_bytes=64 * MIB, hole_bytes=20 * 1024 * MIB)
    run(machine, limit=5, usage=holey, action=action)
    machine.set("schemes/0/quotas/bytes", size_bytes)
    machine.set("schemes/0/quotas/reset_interval_ms", 1000)
    machine.command("off")
    machine.command("on")
    machine.emulator.advance(33_000_000)
    assert stats(machine)[0] == 0
    assert stats(machine)[1] > 30


def test_a_quota_that_does_not_fill_lets_it_end(machine):
    run(machine, limit=5)
    machine.set("schemes/0/quotas/bytes", 1024 * MIB)
    machine.set("schemes/0/quotas/reset_interval_ms", 1000)
    machine.command("off")
    machine.command("on")
    machine.emulator.advance(33_000_000)
    assert stats(machine)[0] == 5
