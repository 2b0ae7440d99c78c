"""A machine with the priority patches, and one agent's native driver. Time is the emulator's."""

from pathlib import Path

import pytest
from emulated_node import EmulatedNode
from state_disk import StateDisk

from damon_agent.facts import Process
from damon_agent.kernel.intent import Intent
from damon_agent.kernel.native import boot
from damon_agent.kernel.native.boot import Phase
from damon_agent.kernel.native.driver import NativeDriver
from damon_agent.kernel.ownership.record import Record, StateDirectory
from damon_agent.kernel.report import Report
from damon_mock.damon import MIB


class Node(EmulatedNode):
    """One emulated machine with one agent's driver."""

    def __init__(
        self,
        state_dir: Path,
        *,
        profile: str = "rfc",
        slots_per_class: int = 2,
        host_pid_namespace: bool = True,
        **changes,
    ) -> None:
        super().__init__(profile, state_dir, free_bytes=6144 * MIB, **changes)
        self.slots_per_class = slots_per_class
        self.host_pid_namespace = host_pid_namespace
        self.crashed_thread: str | None = None
        """Set: the kdamond's thread is gone, and its pid belongs to something of this name."""
        self.restart()

    def make_driver(self, state: StateDirectory) -> NativeDriver:
        return NativeDriver(
            self.damon,
            self.module,
            commands=self.commands,
            state=state,
            alive=self.is_alive,
            spent_us=self.spent_us,
            comm=self.comm,
            host_pid_namespace=self.host_pid_namespace,
            slots_per_class=self.slots_per_class,
        )

    def comm(self, pid: int) -> str | None:
        if self.crashed_thread is not None:
            return self.crashed_thread or None
        return self.processes.comm(pid)

    def off(self) -> Intent:
        return self.intent(mode="Off")

    def release(self) -> Report:
        return self.settle(self.off(), limit_us=60_000_000)

    # What is the case

    def record(self) -> Record | None:
        return StateDirectory(self.state_dir, self.boot_id).load()

    def phase(self) -> Phase | None:
        """Return what the note says of this boot."""
        state = StateDirectory(self.state_dir, self.boot_id)
        found = boot.parse(state.read(boot.FILE), self.boot_id)
        return None if found is None else found.phase

    def numbers(self) -> list[int]:
        """Return target_priority of every slot, as sysfs shows it."""
        count = int(self.read("0/contexts/0/targets/nr_targets"))
        return [int(self.read(f"0/contexts/0/targets/{i}/target_priority")) for i in range(count)]

    def slots(self) -> list[Process | None]:
        """Return who stands in the kernel's slots; None: a sentinel or tombstone."""
        return self.kernel_targets()[0]

    def number_of(self, process: Process) -> int:
        """Return the number the kernel holds for a process."""
        return self.emulator.kdamonds[0].context.targets[self.slots().index(process)].priority

    def scheme_of(self, process: Process):
        """Return what the kernel holds of a process's scheme."""
        return self.emulator.kdamonds[0].context.schemes[self.slots().index(process)].wanted

    def mark_of(self, process: Process) -> int:
        """Return the mark the kernel holds for a process's scheme."""
        return self.scheme_of(process).watermarks.high


@pytest.fixture
def node_of(tmp_path):
    """Return a node; each call another machine."""
    made = iter(range(1000))

    def of(**changes) -> Node:
        return Node(tmp_path / f"state-{next(made)}", **changes)

    return of


@pytest.fixture
def node(node_of) -> Node:
    return node_of()


@pytest.fixture
def disk(monkeypatch) -> StateDisk:
    return StateDisk(monkeypatch)
