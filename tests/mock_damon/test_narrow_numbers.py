"""Numbers that sysfs takes and shows in 64 bits, and the kernel keeps in 32."""

import pytest

from damon_mock.damon import MIB

EVERYWHERE = ["6.1", "6.12", "6.18", "7.2", "7.3", "rfc"]
NARROW = [
    ("access_pattern/age/min", lambda wanted: wanted.pattern.min_age),
    ("access_pattern/age/max", lambda wanted: wanted.pattern.max_age),
    ("access_pattern/nr_accesses/min", lambda wanted: wanted.pattern.min_accesses),
    ("access_pattern/nr_accesses/max", lambda wanted: wanted.pattern.max_accesses),
    ("quotas/reset_interval_ms", lambda wanted: wanted.limits.window_ms),
]
WIDE = [
    ("access_pattern/sz/min", lambda wanted: wanted.pattern.min_bytes),
    ("access_pattern/sz/max", lambda wanted: wanted.pattern.max_bytes),
    ("quotas/ms", lambda wanted: wanted.limits.time_ms),
    ("quotas/bytes", lambda wanted: wanted.limits.size_bytes),
    ("watermarks/high", lambda wanted: wanted.watermarks.high),
    ("watermarks/mid", lambda wanted: wanted.watermarks.mid),
    ("watermarks/low", lambda wanted: wanted.watermarks.low),
    ("watermarks/interval_us", lambda wanted: wanted.watermarks.interval_us),
]
VALUES = [0, 1, 2**31, 2**32 - 1, 2**32, 2**32 + 50, 2**63, 2**64 - 1]


@pytest.fixture(params=EVERYWHERE)
def machine(request, make_machine):
    return make_machine(request.param)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("path", "of"), NARROW)
def test_the_upper_half_is_lost_and_sysfs_goes_on_showing_it(machine, path, of, value):
    machine.prepare(1)
    machine.set(f"schemes/0/{path}", value)
    machine.command("on")
    assert of(machine.schemes()[0].wanted) == value % 2**32
    assert machine.get(f"schemes/0/{path}") == str(value)
    machine.set(f"schemes/0/{path}", value ^ 7)
    machine.command("commit")
    assert of(machine.schemes()[0].wanted) == (value ^ 7) % 2**32


@pytest.mark.parametrize("value", [2**32 + 50, 2**64 - 1])
@pytest.mark.parametrize(("path", "of"), WIDE)
def test_what_the_kernel_keeps_in_64_bits_stays(machine, path, of, value):
    machine.prepare(1)
    machine.set(f"schemes/0/{path}", value)
    machine.command("on")
    assert of(machine.schemes()[0].wanted) == value


def test_an_age_beyond_32_bits_is_a_short_one(machine):
    """As 59653 h are, in aggregations of 50 ms: 2^32 of them and 41 minutes. Here it is 2 s."""
    machine.prepare(machine.processes.spawn())
    machine.scheme(0, min_age=2**32 + 20)
    machine.command("on")
    machine.emulator.advance(2_200_000)
    assert sum(event.size_bytes for event in machine.reclaims()) == 64 * MIB


def test_a_highest_age_of_2_to_the_63_matches_nothing(machine):
    machine.prepare(machine.processes.spawn())
    machine.scheme(0, min_age=1)
    machine.set("schemes/0/access_pattern/age/max", 2**63)
    machine.command("on")
    machine.emulator.advance(3_000_000)
    assert machine.reclaims() == []
    machine.set("schemes/0/access_pattern/age/max", 2**32 - 1)
    machine.command("commit")
    machine.emulator.advance(3_000_000)
    assert machine.reclaims() != []
