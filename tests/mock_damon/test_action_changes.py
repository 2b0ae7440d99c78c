"""A commit that turns a scheme from `stat` to `pageout` and back: what goes on, what is anew."""

import pytest

EVERYWHERE = ["6.1", "6.12", "6.18", "7.2", "7.3", "rfc"]
APPLIED_BY_COMMIT = {"6.18", "7.2", "7.3", "rfc"}
"""Where a sleeping scheme is applied once if a commit falls on its time (DAMON stays awake)."""


@pytest.fixture(params=EVERYWHERE)
def profile(request):
    return request.param


@pytest.fixture
def machine(profile, make_machine):
    """Return a machine whose scheme 0 keeps it awake; scheme 1 counts what was cold for 4 s."""
    machine = make_machine(profile)
    machine.memory.set_free_permille(300)
    machine.prepare(machine.processes.spawn(), machine.processes.spawn(), schemes=2)
    machine.scheme(1, "stat", min_age=40, marks=(600, 600, 0), interval_us=1_000_000)
    machine.command("on")
    machine.emulator.advance(6_000_000)
    return machine


def turn(machine, action):
    machine.set("schemes/1/action", action)
    machine.command("commit")


def ages(machine):
    return [region.age for target in machine.targets() for region in target.regions]


def tried(machine):
    machine.command("update_schemes_stats")
    return int(machine.get("schemes/1/stats/nr_tried"))


def test_ages_are_kept_so_that_old_memory_goes_at_once(machine):
    assert machine.reclaims() == []
    turn(machine, "pageout")
    began_us = machine.emulator.now_us
    machine.emulator.advance(200_000)
    first, second = machine.reclaims()
    assert {first.pid, second.pid} == {target.process.pid for target in machine.targets()}
    assert second.time_us - began_us <= 100_000


def test_turning_back_ends_it_before_anything_more_goes(machine):
    turn(machine, "pageout")
    machine.emulator.advance(1_000_000)
    turn(machine, "stat")
    seen = len(machine.reclaims())
    before = ages(machine)
    machine.emulator.advance(10_000_000)
    assert len(machine.reclaims()) == seen
    assert [age - old for age, old in zip(ages(machine), before, strict=True)] == [100] * len(
        before
    )


def test_counters_go_on(machine):
    before = tried(machine)
    assert before > 0
    turn(machine, "pageout")
    machine.emulator.advance(300_000)
    assert tried(machine) > before


def test_a_sleeping_scheme_that_only_counts_may_be_committed_at_any_time(machine):
    machine.memory.set_free_permille(900)
    machine.emulator.advance(1_000_000)
    for step in range(60):
        machine.emulator.advance(93_000 + step * 500)
        machine.command("commit")
    assert machine.reclaims() == []


def test_a_sleeping_scheme_that_pages_out_may_not(machine, profile):
    machine.memory.set_free_permille(900)
    machine.emulator.advance(1_000_000)
    turn(machine, "pageout")
    for step in range(60):
        machine.emulator.advance(93_000 + step * 500)
        machine.command("commit")
    assert bool(machine.reclaims()) == (profile in APPLIED_BY_COMMIT)


def test_it_sleeps_again_by_its_marks_whatever_its_action(machine):
    turn(machine, "pageout")
    machine.emulator.advance(300_000)
    machine.memory.set_free_permille(900)
    seen = len(machine.reclaims())
    machine.emulator.advance(20_000_000)
    assert len(machine.reclaims()) == seen
    machine.memory.set_free_permille(300)
    machine.emulator.advance(3_000_000)
    assert len(machine.reclaims()) == seen  # nothing cold is left
