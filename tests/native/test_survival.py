"""Whatever happens on the node, the kernel with the priority patches survives it.

The emulator panics where that kernel does, and always takes the worst outcome. The machine below
changes plans, lets processes die and pids come back, starves the node of memory, breaks writes, and
kills the agent before or after any write.
"""

import contextlib
import errno
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from damon_agent.facts import Process
from damon_agent.kernel.native import classes
from damon_agent.kernel.native.boot import Phase
from damon_contract.v1alpha1.node import NodeReason
from damon_mock.damon import Fails, Fault, Killed, Kills

# What a full node and an unlucky SIGKILL leave behind; everything else heals by itself.
LASTING = {NodeReason.NATIVE_SPENT, NodeReason.NATIVE_FULL}

QUIET_PERMILLE = 600
"""Free memory at the end: at the highest mark there is, so that nobody of the ladder is awake."""

PRIORITIES = st.sampled_from([1, 20, 30, 60, 79, 80, 100]) | st.integers(1, 100)


class NodeMachine(RuleBasedStateMachine):
    """One machine through several boots."""

    node_class = None

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self.node = self.node_class(Path(self._directory.name) / "state", slots_per_class=1)
        self.plan: dict[Process, int] = {}
        self.planned_once: set[Process] = set()
        self.dead_pids: list[int] = []
        self.settings = {"mode": "Enforce", "protect_from": 80}
        self.has_plan = True
        self.is_off = False
        """Somebody has switched it off in this boot."""
        self.boot_log = 0

    def teardown(self) -> None:
        try:
            self.quiesce()
        finally:
            self._directory.cleanup()

    @initialize(
        priorities=st.lists(PRIORITIES, max_size=6),
        death=st.none()
        | st.builds(Fault, st.just("*"), st.just(Kills("after")), skip=st.integers(0, 600))
        | st.sampled_from([Fault("*/state", Kills(when)) for when in ("before", "after")]),
        us=st.sampled_from([0, 1_000_000, 10_000_000]),
    )
    def begin(self, priorities, death, us):
        for priority in priorities:
            self._plan(self.node.spawn(), priority)
        if death is not None:
            self.node.emulator.faults.add(death)
        self._run(us)
        self._run(us)

    # What happens on the node

    @rule(priority=PRIORITIES)
    def start_a_process(self, priority):
        self._plan(self.node.spawn(), priority)

    @precondition(lambda self: self.dead_pids)
    @rule(data=st.data(), priority=st.none() | PRIORITIES)
    def reuse_a_pid(self, data, priority):
        # Not while the kernel takes a commit: it resolves numbers, and nobody can look in between.
        self._let_commands_return()
        pid = data.draw(st.sampled_from(self.dead_pids))
        self.dead_pids.remove(pid)
        process = self.node.spawn(pid)
        if priority is not None:
            self._plan(process, priority)

    @precondition(lambda self: self._living())
    @rule(data=st.data(), stays_zombie=st.booleans())
    def end_a_process(self, data, stays_zombie):
        process = data.draw(st.sampled_from(self._living()))
        self.node.processes.exit(process.pid)
        if not stays_zombie:
            self.node.processes.reap(process.pid)
            self.dead_pids.append(process.pid)

    @precondition(lambda self: self._living())
    @rule(data=st.data(), permille=st.none() | st.integers(0, 200))
    def let_the_kernel_make_marks(self, data, permille):
        """Somebody exits and the agent does not look, perhaps while memory is very short."""
        self.end_a_process(data, stays_zombie=False)
        if permille is not None:
            self.node.memory.set_free_permille(permille)
        self.node.emulator.advance(7_000_000)

    @rule()
    def reap_all(self):
        for process in self.plan:
            held = self.node.processes.identity(process.pid)
            if held is not None and not self.node.processes.is_running(held.pid, held.start_ticks):
                self.node.processes.reap(held.pid)
                self.dead_pids.append(held.pid)

    @precondition(lambda self: self.plan)
    @rule(data=st.data(), priority=PRIORITIES)
    def change_a_priority(self, data, priority):
        self.plan[data.draw(st.sampled_from(list(self.plan)))] = priority

    @precondition(lambda self: self.plan)
    @rule(data=st.data())
    def drop_from_the_plan(self, data):
        del self.plan[data.draw(st.sampled_from(list(self.plan)))]

    @rule(
        mode=st.sampled_from(["Enforce", "Observe"]),
        protect_from=st.sampled_from([1, 50, 80, 100]),
        has_plan=st.booleans(),
    )
    def change_the_tuning(self, mode, protect_from, has_plan):
        self.settings = {"mode": mode, "protect_from": protect_from}
        self.has_plan = has_plan or mode == "Enforce"

    @rule(permille=st.integers(0, 1000))
    def change_free_memory(self, permille):
        self.node.memory.set_free_permille(permille)

    # What happens to the agent

    @rule(us=st.sampled_from([1000, 50_000, 300_000, 1_000_000]))
    def run_the_agent_for_a_moment(self, us):
        self._run(us)

    @rule(us=st.sampled_from([2_500_000, 8_000_000, 20_000_000]))
    def run_the_agent(self, us):
        self._run(us)

    @rule(us=st.sampled_from([2_500_000, 7_500_000]))
    def run_the_agent_once_more(self, us):
        self._run(us)

    @rule(us=st.sampled_from([100_000, 2_000_000, 12_000_000]))
    def nobody_looks(self, us):
        self.node.emulator.advance(us)

    @rule()
    def restart_the_agent(self):
        self._restart()

    @rule(skip=st.integers(0, 25), when=st.sampled_from(["before", "after"]))
    def kill_the_agent_at_a_write(self, skip, when):
        self.node.emulator.faults.add(Fault("*", Kills(when), skip=skip))

    @rule(
        value=st.sampled_from(["on", "commit", "off", "update_*"]),
        when=st.sampled_from(["before", "after"]),
    )
    def kill_the_agent_at_a_keyword(self, value, when):
        self.node.emulator.faults.add(Fault("*/state", Kills(when), value=value))

    @rule(
        operation=st.sampled_from(["read", "write"]),
        path=st.sampled_from(["*", "*/state", "*nr_*", "*/pid*"]),
        skip=st.integers(0, 60),
        times=st.integers(1, 5),
    )
    def let_accesses_find_the_lock_taken(self, operation, path, skip, times):
        fault = Fault(path, Fails(errno.EBUSY), operation, skip=skip, times=times)
        self.node.emulator.faults.add(fault)

    @rule(
        value=st.sampled_from([("*/state", "commit"), ("*/pid_target", "*"), ("*nr_*", "*")]),
        code=st.sampled_from([errno.EINVAL, errno.ENOMEM]),
        skip=st.integers(0, 5),
    )
    def let_writes_be_refused(self, value, code, skip):
        path, written = value
        self.node.emulator.faults.add(Fault(path, Fails(code), value=written, skip=skip))

    @precondition(lambda self: self._commits() > 2)
    @rule()
    def switch_off(self):
        self.settings = {**self.settings, "mode": "Off"}
        self.has_plan = True
        self.is_off = True

    @precondition(lambda self: self._commits() > 2)
    @rule()
    def uninstall(self):
        self._let_commands_return()
        self.node.settle(self.node.off(), until=lambda _: True)
        self.is_off = True

    @precondition(lambda self: self._commits() > 2)
    @rule()
    def somebody_switches_it_off(self):
        self._let_commands_return()
        if self.node.read("0/state") == "on":
            self.node.write_as_other("0/state", "off")
            self.is_off = True

    @precondition(lambda self: self._commits() > 2 or self.is_off)
    @rule()
    def reboot(self):
        self.node.reboot()
        self.is_off = False
        self.boot_log = len(self.node.emulator.log)

    # What must hold

    @invariant()
    def the_kernel_lives_and_ages_are_nobody_elses(self):
        self.node.check()

    @invariant()
    def the_sentinels_stand_wherever_numbers_are_in_force(self):
        for kdamond in self.node.emulator.kdamonds:
            if kdamond.running:
                targets = kdamond.context.targets
                assert [target.process.pid for target in targets[:2]] == [2, 2]
                assert [target.priority for target in targets[:2]] == [1, 100]
                assert all(1 <= target.priority <= 100 for target in targets)

    @invariant()
    def nobody_is_a_target_who_was_never_planned(self):
        for kdamond in self.node.emulator.kdamonds:
            if kdamond.running:
                assert {p for p in self.node.slots() if p} <= self.planned_once

    @invariant()
    def on_and_off_happen_once_per_boot(self):
        for keyword in ("on", "off"):
            done = [r for r in self._state_writes(keyword) if r.code == 0]
            assert len(done) <= 1, f"{keyword} twice in a boot"

    def quiesce(self) -> None:
        """Let every trouble end; then everybody who can be is in place, and stays there."""
        self.node.emulator.faults.clear()
        self.node.memory.set_free_permille(QUIET_PERMILLE)
        self._let_commands_return()
        reasons: set[NodeReason] = set()

        def done(report) -> bool:
            reasons.clear()
            reasons.update(fault.reason for fault in report.faults)
            return report.at_rest or bool(reasons & LASTING)

        self.node.settle(self._intent(), until=done, limit_us=400_000_000)
        if NodeReason.NATIVE_SPENT in reasons:
            died_at_on = [r for r in self._state_writes("on") if r.code != 0]
            assert self.is_off or died_at_on, "spent without a reason"
            return
        # Two looks at memory, five seconds apart, and the commit that follows them.
        report = self.node.keep_running(self._intent(), 25_000_000)
        marks = {p: lane.mark_permille for lane in report.lanes for p in lane.priorities}
        if self._intent() is None or self._intent().mode == "Off":
            assert not self.node.emulator.kdamonds or not any(self._standing())
            return
        for process in self._living():
            if process in self._standing():
                own = classes.class_of(self.plan[process], self.settings["protect_from"])
                assert self.node.number_of(process) <= own
                mark = marks[self.plan[process]]
                scheme = self.node.scheme_of(process)
                if mark is not None and mark <= QUIET_PERMILLE:
                    assert (scheme.action, scheme.watermarks.high) == ("stat", 0)
            else:
                assert NodeReason.NATIVE_FULL in reasons, f"{process} is not in place"
        assert self._standing() <= set(self.plan)

    # Means

    def _plan(self, process: Process, priority: int) -> None:
        self.plan[process] = priority
        self.planned_once.add(process)

    def _living(self) -> list[Process]:
        return [process for process in self.plan if self.node.is_alive(process)]

    def _standing(self) -> set[Process]:
        if not any(kdamond.running for kdamond in self.node.emulator.kdamonds):
            return set()
        return {process for process in self.node.slots() if process}

    def _intent(self):
        """Return the plan; memory counts as cold sooner than by default, to see more happen."""
        if not self.has_plan:
            return None
        soon = {"sample_us": 200_000, "aggregation_us": 1_000_000, "min_age_us": 4_000_000}
        return self.node.intent(self.plan.items(), **soon, **self.settings)

    def _run(self, us: int) -> None:
        try:
            self.node.keep_running(self._intent(), us)
        except Killed:
            self._restart()

    def _commits(self) -> int:
        return len(self._state_writes("commit"))

    def _state_writes(self, keyword: str) -> list:
        return [
            record
            for record in self.node.emulator.log[self.boot_log :]
            if record.path.endswith("/state") and record.value == keyword
        ]

    def _let_commands_return(self) -> None:
        """Wait until nobody holds DAMON's lock, not even for an agent that was killed meanwhile."""
        self.node.emulator.faults.clear()
        for _ in range(300):
            try:
                if self.node.read("nr_kdamonds") == "0" or self.node.read("0/state"):
                    return
            except OSError as error:
                assert error.errno == errno.EBUSY  # noqa: PT017 - anything else is a failure
            self.node.emulator.advance(100_000)
        raise AssertionError("DAMON's lock is never released")

    def _restart(self) -> None:
        self.node.emulator.faults.clear()
        self.node.restart()


@pytest.fixture
def machine(node_of):
    """Return the machine, bound to the node class of conftest (tests are no packages)."""
    return type("BoundMachine", (NodeMachine,), {"node_class": type(node_of())})


def test_the_kernel_survives_everything(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


@pytest.mark.parametrize("skip", range(110, 150))
def test_an_agent_killed_while_it_lays_out_the_slots_gives_all_back(node_of, skip):
    """Between the count of schemes and its watermarks the tree has no signature."""
    node = node_of()
    node.emulator.faults.add(Fault("*", Kills("after"), skip=skip))
    with contextlib.suppress(Killed):
        node.settle(node.intent())
    node.emulator.faults.clear()
    node.restart()
    node.release()
    assert node.phase() in {None, Phase.SPENT}, "nothing is left that nobody answers for"
