"""A pod that sleeps for a minute: with `tuning: Auto` an agent learns not to take its memory."""

import pytest

from damon_mock.damon import MIB
from damon_mock.damon.memory import PAGE, Usage

OFFICE, COLD, OTHER, HIGH = "a1" * 32, "b2" * 32, "c3" * 32, "d4" * 32
HELD_BYTES = 64 * MIB
SETTINGS = {"tuning": "Auto", "watermarks": {"floorPermille": 700, "ceilingPermille": 900}}
"""So that every lane is awake: half of the memory is available."""


class Working:
    """One process that has its memory in use, or not, and the files that tell of it."""

    def __init__(self, machine, pid, container):
        self.emulator = machine.emulator
        self.home = machine.container(container)
        machine.start(pid, self.home)
        self.process = self.emulator.processes.identity(pid)
        self.back_pages = 0
        self._hold()

    @property
    def swapped_bytes(self):
        return self.emulator.memory.usage(self.process).swapped_bytes

    def sleep(self):
        """Touch nothing; the files say what was taken."""
        (self.home / "memory.stat").write_text(
            f"anon {HELD_BYTES - self.swapped_bytes}\nfile 0\n"
            f"workingset_refault_anon {self.back_pages}\n"
        )
        (self.home / "memory.swap.current").write_text(f"{self.swapped_bytes}\n")

    def work(self):
        """Touch everything: what is out comes back, and no region counts as idle."""
        self.back_pages += self.swapped_bytes // PAGE
        self._hold()
        for target in (target for context in self._contexts() for target in context.targets):
            if target.process == self.process:
                for region in target.regions:
                    region.age = 0

    def min_age(self):
        """Return the aggregations after which the kernel takes its memory."""
        (found,) = {
            context.schemes[1].wanted.pattern.min_age
            for context in self._contexts()
            if any(target.process == self.process for target in context.targets)
        }
        return found

    def _contexts(self):
        return [k.context for k in self.emulator.kdamonds if k.running]

    def _hold(self):
        usage = Usage(cold_bytes=HELD_BYTES, hot_bytes=0)
        self.emulator.memory.set_usage(self.process, usage)
        self.sleep()


@pytest.fixture(name="office")
def office_fixture(machine):
    return Working(machine, 10, OFFICE)


@pytest.fixture(name="cold")
def cold_fixture(machine):
    return Working(machine, 20, COLD)


def plan(machine, pod, *pods, settings=None, **changes):
    planned = (pod(1, OFFICE, priority=10), pod(2, COLD, priority=10), *pods)
    machine.plan(*planned, settings={**SETTINGS, **(settings or {})}, **changes)


def rounds(machine, number, office, *others):
    """Let a minute of sleep and half a minute of work pass; yield the pages that came back."""
    told = []
    for _ in range(number):
        before = office.back_pages
        for moment in range(0, 90, 5):
            machine.run(5)
            office.work() if moment >= 60 else office.sleep()
            for other in others:
                other.sleep()
        told.append(office.back_pages - before)
    return told


def ages(machine):
    return {lane.priorities: lane.min_age for lane in machine.status.lanes}


NO_BRAKE = {"brake": {"enabled": False}}


def test_it_comes_back_less_each_time_until_nothing_and_what_is_cold_for_good_goes(
    machine, pod, office, cold
):
    plan(machine, pod, settings=NO_BRAKE)
    back = rounds(machine, 8, office, cold)
    assert back[0] == HELD_BYTES // PAGE
    assert back == sorted(back, reverse=True)
    assert back[-5:] == [0] * 5
    assert ages(machine)[10,] == "1m36s"
    assert cold.swapped_bytes == HELD_BYTES


def test_with_the_brake_it_is_learned_in_the_rounds_that_the_brake_does_not_spare(
    machine, pod, office, cold
):
    plan(machine, pod)
    back = rounds(machine, 20, office, cold)
    assert sum(pages > 0 for pages in back) == 2
    assert back[-16:] == [0] * 16
    assert cold.swapped_bytes == HELD_BYTES
    plan(machine, pod, settings={"tuning": "Fixed"}, generation=2)
    assert any(rounds(machine, 20, office, cold)), "the brake alone tries again and again"


@pytest.mark.parametrize(
    "settings", [{"tuning": "Fixed"}, {"reclaim": {"minAge": "24s"}}], ids=["Fixed", "set"]
)
def test_a_fixed_age_and_one_that_is_set_never_change(machine, pod, office, cold, settings):
    plan(machine, pod, settings={**settings, **NO_BRAKE})
    assert rounds(machine, 4, office, cold) == [HELD_BYTES // PAGE] * 4
    assert ages(machine)[10,] is None
    assert office.min_age() == 12


def test_only_the_priority_that_was_hurt_waits_and_only_the_age_changes(machine, pod, office):
    other, high = Working(machine, 30, OTHER), Working(machine, 40, HIGH)
    others = (pod(3, OTHER, priority=30), pod(4, HIGH, priority=90))
    plan(machine, pod, *others, settings=NO_BRAKE)
    machine.run(20)
    kdamonds = {k.index: (k.pid, k.context.attrs) for k in machine.emulator.kdamonds if k.running}
    rounds(machine, 5, office)
    assert ages(machine) == {(10,): "1m36s", (30,): "24s", (90,): None}
    assert (office.min_age(), other.min_age()) == (48, 12)
    after = {k.index: (k.pid, k.context.attrs) for k in machine.emulator.kdamonds if k.running}
    assert after == kdamonds
    assert high.swapped_bytes == 0


def test_what_comes_back_to_a_pod_that_is_spared_says_nothing(machine, pod, office, cold):
    plan(machine, pod)
    machine.run(60)
    office.work()  # all of it comes back at once, and the brake spares it
    machine.run(11)
    assert machine.status.pods[0].spared
    for _ in range(3):
        office.back_pages += 10_000
        office.sleep()
        cold.sleep()
        machine.run(11)
    machine.run(60)
    assert ages(machine)[10,] == "48s"


def test_a_new_agent_begins_at_the_lowest_age(machine, pod, office, cold):
    plan(machine, pod)
    rounds(machine, 4, office, cold)
    assert ages(machine)[10,] == "1m36s"
    machine.restart()
    machine.run(15)
    assert ages(machine)[10,] == "24s"


def test_it_ends_with_the_setting_and_outside_of_enforce(machine, pod, office, cold):
    plan(machine, pod)
    rounds(machine, 4, office, cold)
    plan(machine, pod, settings={"tuning": "Fixed"}, generation=2)
    machine.run(15)
    assert ages(machine)[10,] is None
    assert office.min_age() == 12
    plan(machine, pod, mode="Observe", generation=3)
    machine.run(15)
    assert set(ages(machine).values()) == {None}
