"""An agent that is told to end: it goes on until nothing reclaims, or for the time there is."""

import errno

import pytest

from damon_mock.damon.faults import Fails, Fault

A = "a1" * 32
B = "b2" * 32
S = 1_000_000
NOTHING_RECLAIMS_AT_ONCE_US = 2 * S


class Pause:
    """What the loop waits with: the emulator's time."""

    def __init__(self, machine) -> None:
        self.machine = machine
        self.passed = lambda: None

    def wait(self, us: int) -> None:
        end_us = self.machine.emulator.now_us + max(20_000, us)
        self.machine.commands.rang = False
        while self.machine.emulator.now_us < end_us and not self.machine.commands.rang:
            self.machine.emulator.advance(10_000)
            self.machine.commands.collect()
        self.passed()

    def ring(self) -> None:
        """Nobody sleeps."""


def halt(machine, passed=lambda: None) -> int:
    """Tell the agent to end; return how long that takes. `passed` is called after each wait."""
    machine.loop._bell = Pause(machine)
    machine.loop._bell.passed = passed
    machine.loop.stop()
    began_us = machine.emulator.now_us
    machine.loop._halt()
    return machine.emulator.now_us - began_us


def actions(machine) -> set[str]:
    return {
        scheme.wanted.action
        for kdamond in machine.emulator.kdamonds
        if kdamond.running
        for scheme in kdamond.context.schemes
    }


def enforce(machine, pod, mode="Enforce", generation=1):
    machine.plan(pod(1, A, priority=10), pod(2, B, priority=15), mode=mode, generation=generation)


@pytest.fixture
def eager_of(make_machine, pod):
    """Return a machine with two lanes that reclaim."""

    def of(profile="7.2"):
        machine = make_machine(profile, profile=profile)
        machine.start(10, machine.container(A))
        machine.start(11, machine.container(B))
        enforce(machine, pod)
        return machine

    return of


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_lanes_that_are_just_being_given_back_are_switched_off_before_the_end(
    eager_of, pod, profile
):
    machine = eager_of(profile)
    machine.emulator.memory.page_out_us_per_mib = 100_000
    while not any(kdamond.busy for kdamond in machine.emulator.kdamonds):
        machine.run(1)
    enforce(machine, pod, mode="Off", generation=2)
    machine.run(0.1)
    assert actions(machine) == {"stat", "pageout"}
    halt(machine)
    assert actions(machine) == set()


def test_a_tick_that_fails_is_tried_again_until_the_lanes_have_been_told(eager_of):
    machine = eager_of()
    machine.run(30)
    assert "pageout" in actions(machine)
    (machine.proc / "meminfo").rename(machine.proc / "hidden")
    began_us = machine.emulator.now_us

    def mend() -> None:
        if machine.emulator.now_us > began_us + 5 * S and (machine.proc / "hidden").exists():
            (machine.proc / "hidden").rename(machine.proc / "meminfo")

    assert 5 * S < halt(machine, mend) < 10 * S
    assert actions(machine) == {"stat"}


def test_where_nothing_can_be_told_it_is_said_after_the_time_there_is(eager_of, caplog):
    machine = eager_of()
    machine.run(30)
    (machine.proc / "meminfo").unlink()
    assert 15 * S <= halt(machine) < 16 * S
    assert "not every lane could be told to stop reclaiming" in caplog.text


def test_what_an_earlier_agent_left_is_told_although_the_first_look_finds_damon_locked(eager_of):
    machine = eager_of()
    machine.run(30)
    machine.restart()
    for path in ("*/nr_kdamonds", "*/avail_operations", "*/state"):
        machine.emulator.faults.add(
            Fault(path, Fails(errno.EBUSY), operation="read", times=3 if "nr" in path else 1)
        )
    halt(machine)
    assert actions(machine) == {"stat"}


def never_heard(machine):
    machine.plans.held = type(machine.plans.held)()


def no_plan(machine):
    machine.hear(known=True, plan=None)


def no_damon(machine):
    machine.emulator.present = False


def read_only(machine):
    machine.emulator.read_only = True


def damon_stat(machine):
    machine.emulator.modules.enabled["damon_stat"] = True


def foreign_kdamond(machine):
    machine.emulator.write("damon/admin/kdamonds/nr_kdamonds", b"1")


def lost_directory(machine):
    (machine.root / "state").write_text("a file, not a directory")


def no_operations(machine):
    fault = Fault("*/avail_operations", Fails(errno.EINVAL), operation="read", times=None)
    machine.emulator.faults.add(fault)


@pytest.mark.parametrize(
    "case",
    [
        *(never_heard, no_plan, no_damon, read_only, damon_stat, foreign_kdamond),
        *(lost_directory, no_operations),
    ],
)
def test_an_agent_that_has_nothing_in_the_kernel_ends_at_once(make_machine, pod, case, caplog):
    machine = make_machine()
    machine.start(10, machine.container(A))
    machine.start(11, machine.container(B))
    enforce(machine, pod)
    case(machine)
    machine.run(20)
    assert halt(machine) < NOTHING_RECLAIMS_AT_ONCE_US
    assert "not every lane" not in caplog.text


def test_so_does_one_that_only_observes(make_machine, pod):
    machine = make_machine()
    machine.start(10, machine.container(A))
    machine.start(11, machine.container(B))
    enforce(machine, pod, mode="Observe")
    machine.run(20)
    assert halt(machine) < NOTHING_RECLAIMS_AT_ONCE_US
