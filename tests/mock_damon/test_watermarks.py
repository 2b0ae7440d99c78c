"""Watermarks: per-mille of MemFree, hysteresis, sleep, and what a commit does to them."""

import pytest

from damon_mock.damon.watermarks import Watermarks


@pytest.fixture
def machine(profile, make_machine):
    """A kdamond with a keep-alive scheme, and a pageout scheme with the marks 500/400/100."""
    machine = make_machine(profile)
    machine.prepare(machine.processes.spawn(), schemes=2)
    machine.scheme(1, marks=(500, 400, 100))
    return machine


def active(machine):
    machine.emulator.advance(10_000)
    return machine.schemes()[1].activated


@pytest.mark.parametrize(
    ("free", "activated", "expected"),
    [
        (501, True, (7, False)),
        (99, True, (7, False)),
        (450, True, (0, True)),
        (450, False, (7, False)),
        (400, False, (7, False)),
        (399, False, (0, True)),
        (100, False, (0, True)),
    ],
)
def test_the_rule_of_the_kernel(free, activated, expected):
    marks = Watermarks("free_mem_rate", 7, 500, 400, 100)
    assert marks.wait_us(free, activated=activated) == expected


def test_a_scheme_starts_activated_so_a_start_inside_the_band_is_active(machine):
    machine.memory.set_free_permille(450)
    machine.command("on")
    assert active(machine)


def test_once_off_it_stays_off_inside_the_band(machine):
    machine.memory.set_free_permille(600)
    machine.command("on")
    assert not active(machine)
    machine.memory.set_free_permille(450)
    assert not active(machine)
    machine.memory.set_free_permille(350)
    assert active(machine)


def test_the_metric_is_an_integer_permille_of_memfree(machine):
    machine.memory.total_bytes, machine.memory.free_bytes = 1000, 500
    machine.command("on")
    assert active(machine)
    machine.memory.free_bytes = 501
    assert not active(machine)


def test_a_commit_inside_the_band_reactivates_except_on_6_1(machine, profile):
    machine.memory.set_free_permille(600)
    machine.command("on")
    assert not active(machine)
    machine.memory.set_free_permille(450)
    machine.command("commit")
    assert active(machine) == (profile != "6.1")


def test_committed_to_no_metric_a_sleeping_scheme_stays_off_on_6_1(machine, profile):
    machine.memory.set_free_permille(600)
    machine.command("on")
    assert not active(machine)
    machine.set("schemes/1/watermarks/metric", "none")
    machine.command("commit")
    assert active(machine) == (profile != "6.1")


def test_commits_let_a_sleeping_scheme_act_now_and_then_since_6_18(machine, profile):
    machine.memory.set_free_permille(900)
    machine.set("schemes/1/action", "stat")
    machine.command("on")
    for _ in range(60):
        machine.command("commit")
    applied = machine.schemes()[1].stats.nr_snapshots
    assert (applied > 0) == (profile not in {"6.1", "6.12"})


def test_reversed_marks_are_accepted_and_never_active(machine):
    for name, mark in (("high", 100), ("mid", 200), ("low", 300)):
        machine.set(f"schemes/1/watermarks/{name}", mark)
    machine.command("on")
    for free in (0, 150, 250, 1000):
        machine.memory.set_free_permille(free)
        assert not active(machine)


def test_an_inactive_scheme_does_nothing_while_another_keeps_the_kdamond_awake(machine):
    machine.memory.set_free_permille(900)
    machine.command("on")
    machine.emulator.advance(10_000_000)
    assert machine.reclaims() == []
    assert machine.targets()[0].regions[0].age == 100


def test_when_all_sleep_ages_freeze_and_go_on_afterwards(machine):
    machine.set("schemes/nr_schemes", 1)
    machine.scheme(0, "stat", marks=(500, 400, 0), interval_us=1_000_000)
    machine.memory.set_free_permille(300)
    machine.command("on")
    machine.emulator.advance(2_000_000)
    age = machine.targets()[0].regions[0].age
    machine.memory.set_free_permille(800)
    machine.emulator.advance(30_000_000)
    assert machine.targets()[0].regions[0].age in {age, age + 1}
    assert machine.state() == "on"
    machine.memory.set_free_permille(300)
    machine.emulator.advance(2_000_000)
    assert age < machine.targets()[0].regions[0].age <= age + 21


def test_paged_out_memory_becomes_free_and_puts_the_scheme_to_sleep(machine):
    machine.memory.set_free_permille(499)
    machine.set("schemes/1/watermarks/mid", 500)
    machine.command("on")
    machine.emulator.advance(5_000_000)
    assert machine.reclaims()
    assert machine.memory.free_permille() > 500
    assert not active(machine)
