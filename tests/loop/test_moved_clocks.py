"""A wall clock that is set to another time moves timestamps, and nothing else."""

import pytest

A = "a1" * 32
B = "b2" * 32
YEAR_S = 365 * 86_400


class Set:
    """A clock whose wall time somebody sets."""

    def __init__(self, clock):
        self._clock = clock
        self.off_s = 0

    def now_us(self):
        return self._clock.now_us()

    def wall_s(self):
        return self._clock.wall_s() + self.off_s


@pytest.mark.parametrize("leaps_s", [(10 * YEAR_S,), (-56 * YEAR_S,), (3600, -7200, YEAR_S)])
def test_a_wall_clock_that_leaps_changes_nothing_in_the_kernel(machine, pod, leaps_s):
    for pid, container in ((10, A), (20, B)):
        machine.start(pid, machine.container(container))
    clock = machine.loop._clock = Set(machine.loop._clock)
    machine.plan(pod(1, A, priority=10), pod(2, B, priority=90))
    machine.run(200)
    machine.hear()
    before = machine.targets(), machine.condition("Ready")
    written = len(machine.emulator.log)
    for leap_s in leaps_s:
        clock.off_s += leap_s
        machine.run(200)
        machine.hear()
    assert (machine.targets(), machine.condition("Ready")) == before, "no transition either"
    values = {write.value for write in machine.emulator.log[written:]}
    questions = {"update_schemes_stats", "update_schemes_tried_regions"}
    assert values == {*questions, "clear_schemes_tried_regions"}, "only figures were asked for"


def test_a_pod_that_is_spared_is_forgiven_by_the_clock_that_runs_on(machine, pod):
    home = machine.container(A)
    machine.start(10, home)
    (home / "memory.stat").write_text("anon 1\nfile 0\nworkingset_refault_anon 0\n")
    (home / "memory.pressure").write_text("some avg10=9.00 avg60=0.00 avg300=0.00 total=0\n")
    clock = machine.loop._clock = Set(machine.loop._clock)
    machine.loop._sparing._clock = clock
    machine.plan(pod(1, A, priority=10))
    machine.run(15)
    assert machine.status.pods[0].spared
    (home / "memory.pressure").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    clock.off_s -= YEAR_S
    machine.run(90)
    assert machine.status.pods[0].spared is None
