"""Starts, exits, reused pids, moves, restarts and SIGKILL at any write, in any order."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from damon_mock.damon import Fault, Identity, Killed, Kills, Usage

PRIORITIES = st.sampled_from([10, 30, 31, 60, 90])


class Storm(RuleBasedStateMachine):
    """The world around one agent. Members are what a resolver would report, sometimes late."""

    node_of = None
    profile = ""

    def __init__(self) -> None:
        super().__init__()
        self.node = self.node_of(self.profile)
        self.members: dict = {}
        self.dead: list = []
        self.places: dict = {}

    def intent(self):
        return self.node.intent(self.members.items())

    @rule(priority=PRIORITIES, count=st.integers(1, 3))
    def start(self, priority, count):
        for _ in range(count):
            self.members[self.node.spawn()] = priority

    @precondition(lambda self: any(map(self.node.is_alive, self.members)))
    @rule(data=st.data(), noticed=st.booleans())
    def exit(self, data, noticed):
        alive = [process for process in self.members if self.node.is_alive(process)]
        process = data.draw(st.sampled_from(alive))
        self.node.processes.kill(process.pid)
        self.dead.append(process)
        if noticed:
            del self.members[process]

    @precondition(lambda self: self.dead and self.is_quiet())
    @rule(data=st.data(), priority=PRIORITIES)
    def reuse_a_pid(self, data, priority):
        process = data.draw(st.sampled_from(self.dead))
        self.dead.remove(process)
        self.members[self.node.spawn(process.pid)] = priority

    @precondition(lambda self: self.members)
    @rule(data=st.data(), priority=PRIORITIES)
    def move(self, data, priority):
        moved = data.draw(st.sampled_from(list(self.members)))
        self.members[moved] = priority
        # Out and back again may bring it to another index, cleared: it is its own move.
        self.places = {place: at for place, at in self.places.items() if place[2] != moved}

    @rule(us=st.sampled_from([0, 100_000, 3_000_000, 30_000_000]))
    def go_on(self, us):
        self.node.keep_running(self.intent(), us, check=self.check)

    @rule()
    def restart(self):
        self.node.restart()

    @rule(write=st.integers(0, 60), when=st.sampled_from(["before", "after"]))
    def sigkill(self, write, when):
        self.node.emulator.faults.add(Fault("damon/*", Kills(when), skip=write))
        try:
            self.node.keep_running(self.intent(), 8_000_000, check=self.check)
        except Killed:
            self.node.emulator.faults.clear()
            self.node.restart()
        self.node.emulator.faults.clear()

    def is_quiet(self) -> bool:
        """Whether no commit is in the kernel: up to 6.12 it resolves numbers only when served."""
        return all(pending.done for pending in self.node.commands.waiting)

    @invariant()
    def check(self):
        self.node.check()
        assert not [e for e in self.node.events("reclaim") if e.hot_bytes], (
            "memory in use was taken"
        )
        self.check_order()

    def check_order(self):
        """No survivor changes its index while its kdamond runs and it stays."""
        places = {}
        for kdamond, held in self.node.kernel_targets().items():
            thread = self.node.emulator.kdamonds[kdamond].pid
            for index, process in enumerate(held):
                if process is not None:
                    places[kdamond, thread, process] = index
        for place, index in places.items():
            assert self.places.get(place, index) == index
        self.places = places

    def teardown(self):
        self.check()
        living = {p: priority for p, priority in self.members.items() if self.node.is_alive(p)}
        self.members = living
        report = self.node.settle(self.intent(), check=self.check)
        assert report.faults == ()
        assert self.node.targeted() == set(living)
        lanes = {lane.kdamond: lane.priorities for lane in report.lanes}
        for kdamond, held in self.node.kernel_targets().items():
            assert {living[p] for p in held if p is not None} == set(lanes[kdamond])
        self.node.settle(None, check=self.check)
        assert self.node.read("nr_kdamonds") == "0"


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_no_slot_ever_inherits_and_everything_converges(node_of, profile):
    machine = type("Storm", (Storm,), {"node_of": staticmethod(node_of), "profile": profile})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_sigkill_at_each_write_of_a_change_leaves_what_the_next_agent_understands(node_of, when):
    write = 0
    while True:
        node = node_of("6.12")
        a, b, c, d = (node.spawn() for _ in range(4))
        intent = node.intent([(a, 30), (b, 30), (c, 30)])
        node.settle(intent)
        node.keep_running(intent, 20_000_000)
        node.processes.kill(a.pid)
        node.memory.set_free_permille(900)
        changed = node.intent([(b, 30), (c, 60), (d, 30)], min_age_us=10_000_000)
        node.emulator.faults.add(Fault("damon/*", Kills(when), skip=write))
        try:
            node.settle(changed)
        except Killed:
            node.emulator.faults.clear()
            node.restart()
            node.settle(changed)
            assert node.targeted() == {b, c, d}
            write += 3
        else:
            break
    assert write > 30


def test_a_restart_keeps_tuning_and_ages_and_changes_nothing(node):
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50), (node.spawn(), 90)])
    node.settle(intent)
    node.keep_running(intent, 20_000_000)
    ages = [[r.age for t in k.context.targets for r in t.regions] for k in running(node)]
    before = len(node.writes())
    node.restart()
    assert node.settle(intent).faults == ()
    assert {record.value for record in node.writes()[before:]} <= {"update_schemes_stats"}
    assert ages == [[r.age for t in k.context.targets for r in t.regions] for k in running(node)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_kdamonds_allocated_right_before_a_sigkill_are_known_for_ours(node, when):
    intent = node.intent([(node.spawn(), 30)])
    node.emulator.faults.add(Fault("*/nr_kdamonds", Kills(when)))
    with pytest.raises(Killed):
        node.step(intent)
    node.emulator.faults.clear()
    node.restart()
    assert node.settle(intent).faults == ()


def test_a_restart_finds_processes_gone_and_come_meanwhile(node):
    a, b, c = (node.spawn() for _ in range(3))
    intent = node.intent([(a, 30), (b, 30)])
    node.settle(intent)
    node.keep_running(intent, 20_000_000)
    node.processes.kill(a.pid)
    reused = node.spawn(a.pid)
    node.restart()
    node.settle(node.intent([(b, 30), (c, 30), (reused, 30)]))
    (held,) = node.kernel_targets().values()
    assert held.index(b) == 1, "nobody moves"
    assert set(held) - {None} == {b, c, reused}
    assert held[0] != reused


def test_a_machine_that_was_rebooted_starts_from_nothing(node):
    intent = node.intent([(node.spawn(), 30)])
    node.settle(intent)
    node.emulator.reboot()
    node.boot_id = "the-next-boot"
    node.restart()
    node.settle(intent)
    assert len(node.targeted()) == 1


def test_a_pid_reused_while_a_commit_is_under_way_costs_its_owner_nothing(node_of):
    """Up to 6.12 the number is resolved seconds after our look: the heir stands on cold regions."""
    node = node_of("6.12")
    a, b, c = node.spawn(), node.spawn(), node.spawn()
    node.memory.set_usage(Identity(a.pid, a.start_ticks), Usage(hot_bytes=0))
    node.memory.set_free_permille(900)
    intent = node.intent([(a, 50), (b, 50)])
    node.settle(intent)
    node.keep_running(intent, 60_000_000)
    grown = node.intent([(a, 50), (b, 50), (c, 50)])
    node.settle(grown, until=lambda _: bool(node.writes("commit")))
    node.processes.kill(a.pid)
    heir = node.spawn(a.pid)
    node.memory.set_free_permille(50)
    last = node.intent([(heir, 50), (b, 50), (c, 50)])
    # The number stands for the heir in the kernel until the next commit: that one is sent at once.
    node.keep_running(last, 20_000_000, check=lambda: None)
    node.settle(last)
    assert not [event for event in node.events("reclaim") if event.hot_bytes]
    assert [event for event in node.events("reclaim") if event.pid == b.pid]


def test_moving_up_is_out_of_one_lane_before_into_the_other(node):
    a, b = node.spawn(), node.spawn()
    intent = node.intent([(a, 30), (b, 60)])
    node.settle(intent)
    swapped = replace(
        intent,
        members=tuple(replace(member, priority=90 - member.priority) for member in intent.members),
    )
    node.settle(swapped)
    assert node.targeted() == {a, b}
    bystander = node.spawn()
    node.settle(node.intent([(a, 60), (b, 30), (bystander, 30)]))
    node.settle(node.intent([(a, 60), (b, 60), (bystander, 30)]))
    assert node.lane_of(a) == node.lane_of(b) != node.lane_of(bystander)


def running(node) -> list:
    return [kdamond for kdamond in node.emulator.kdamonds if kdamond.running]
