"""Page cache takes free memory but no available memory; watermarks look at free memory only."""

import pytest

from damon_mock.damon import MIB, SimulatedMemory

EVERYWHERE = ["6.1", "6.12", "6.18", "7.2", "7.3", "rfc"]


@pytest.mark.parametrize("step_us", [1, 333, 5_000, 1_000_000, 7_000_000])
@pytest.mark.parametrize("mib_per_s", [1, 15, 40, 1300])
def test_cache_grows_at_the_rate_that_was_said_however_time_is_cut(step_us, mib_per_s):
    memory = SimulatedMemory(total_bytes=16384 * MIB, free_bytes=16000 * MIB, cache_bytes=100 * MIB)
    memory.grow_cache(mib_per_s * MIB)
    steps = min(1000, 7_000_000 // step_us)
    for _ in range(steps):
        memory.pass_time(step_us)
    grown = mib_per_s * MIB * steps * step_us // 1_000_000
    assert memory.cache_bytes == 100 * MIB + grown
    assert memory.free_bytes == 16000 * MIB - grown
    assert memory.available_bytes == 16100 * MIB


def test_it_stops_growing_where_the_kernel_takes_cache_back():
    memory = SimulatedMemory(total_bytes=1000 * MIB, free_bytes=900 * MIB)
    memory.grow_cache(100 * MIB, least_free_permille=30)
    memory.pass_time(60_000_000)
    assert memory.free_permille() == 30
    assert memory.available_bytes == 900 * MIB


def test_less_free_memory_than_that_is_left_alone():
    memory = SimulatedMemory(total_bytes=1000 * MIB, free_bytes=10 * MIB)
    memory.grow_cache(100 * MIB, least_free_permille=30)
    memory.pass_time(1_000_000)
    assert (memory.free_bytes, memory.cache_bytes) == (10 * MIB, 0)


@pytest.mark.parametrize("profile", EVERYWHERE)
def test_a_sleeping_pageout_wakes_when_cache_fills_although_nothing_is_short(profile, make_machine):
    machine = make_machine(profile)
    machine.memory.set_free_permille(900)
    machine.prepare(machine.processes.spawn(), schemes=2)
    machine.scheme(1, marks=(600, 600, 0))
    machine.command("on")
    machine.memory.grow_cache(100 * MIB)
    machine.emulator.advance(20_000_000)
    assert machine.memory.free_permille() > 600
    assert machine.reclaims() == []
    machine.emulator.advance(10_000_000)
    assert machine.reclaims()
    assert machine.memory.available_bytes >= machine.memory.total_bytes * 899 // 1000
