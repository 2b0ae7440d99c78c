"""A machine with the priority patches, and one agent's native driver. Time is the emulator's."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from damon_agent import intents
from damon_agent.facts import MemoryReading, Process
from damon_agent.kernel.commands import Command, Keyword, state_path
from damon_agent.kernel.errors import translated
from damon_agent.kernel.intent import Intent, Member
from damon_agent.kernel.native.driver import NativeDriver
from damon_agent.kernel.record import Record, RecordStore
from damon_agent.kernel.report import Report
from damon_agent.kernel.sysfs import Sysfs
from damon_contract.v1alpha1.node import DamonNodeSpec
from damon_contract.v1alpha1.tuning import Settings
from damon_mock.damon import (
    KTHREADD,
    MIB,
    Emulator,
    Identity,
    Pending,
    SimulatedMemory,
    SimulatedProcesses,
    VirtualFiles,
    Writer,
)

KDAMONDS = "damon/admin/kdamonds"
TARGETS = f"{KDAMONDS}/0/contexts/0/targets"


class WaitingCommands:
    """What ThreadCommands is in real time: the write waits in the kernel, the driver does not."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.waiting: list[Pending] = []

    def start(self, kdamond: int, keyword: Keyword, deadline_us: int, then=None) -> Command:
        command = Command(kdamond, keyword, deadline_us)
        path = f"damon/{state_path(kdamond)}"
        try:
            pending = self._emulator.write(path, keyword.encode())
        except OSError as error:
            command.error, command.done = translated(path, keyword, error), True
            return command
        if pending is None:
            command.done = True
            return command

        def returned(error: OSError | None) -> None:
            command.error = None if error is None else translated(path, keyword, error)
            if error is None and then is not None:
                then()
            command.done = True

        pending.when_done.append(returned)
        self.waiting.append(pending)
        return command


class Node:
    """One emulated machine with one agent."""

    def __init__(
        self,
        state_dir: Path,
        *,
        profile: str = "rfc",
        slots_per_class: int = 2,
        host_pid_namespace: bool = True,
        swap_bytes: int = 8192 * MIB,
    ) -> None:
        self.processes = SimulatedProcesses()
        self.memory = SimulatedMemory(free_bytes=6144 * MIB)
        self.emulator = Emulator(profile, self.processes, self.memory)
        self.state_dir = state_dir
        self.slots_per_class = slots_per_class
        self.host_pid_namespace = host_pid_namespace
        self.swap_bytes = swap_bytes
        self.boot_id = "this-boot"
        self.crashed_thread: str | None = None
        """Set: the kdamond's thread is gone, and its pid belongs to something of this name."""
        self.steps = 0
        self._store: RecordStore | None = None
        self.restart()

    # The agent

    def restart(self) -> None:
        """Kill the agent and start another one; the lock waits for writes still in the kernel."""
        if self._store is not None:
            for _ in range(300):
                if all(pending.done for pending in self.commands.waiting):
                    break
                self.emulator.advance(100_000)
            self._store.unlock()
        self._store = RecordStore(self.state_dir, self.boot_id)
        self.commands = WaitingCommands(self.emulator)
        self.driver = NativeDriver(
            Sysfs(VirtualFiles(self.emulator, "damon")),
            Sysfs(VirtualFiles(self.emulator, "module")),
            commands=self.commands,
            store=self._store,
            alive=self.is_alive,
            comm=self.comm,
            host_pid_namespace=self.host_pid_namespace,
            slots_per_class=self.slots_per_class,
        )

    def reboot(self) -> None:
        self.boot_id += "+"
        self.emulator.reboot()
        self.restart()

    def is_alive(self, process: Process) -> bool:
        return self.processes.is_running(process.pid, process.start_ticks)

    def comm(self, pid: int) -> str | None:
        if self.crashed_thread is not None:
            return self.crashed_thread or None
        return self.processes.comm(pid)

    def step(self, intent: Intent | None) -> Report:
        self.steps += 1
        return self.driver.step(intent, self.emulator.now_us)

    def settle(
        self,
        intent: Intent | None,
        *,
        limit_us: int = 120_000_000,
        until: Callable[[Report], bool] = lambda report: report.settled,
    ) -> Report:
        """Step as the loop would, until the report is as wanted."""
        return self._drive(lambda: self.step(intent), until, limit_us)

    def release_now(self) -> Report:
        """Take one step out."""
        return self.driver.release(self.emulator.now_us)

    def release(self) -> Report:
        return self._drive(self.release_now, lambda r: r.settled, 60_000_000)

    def _drive(
        self, step: Callable[[], Report], until: Callable[[Report], bool], limit_us: int
    ) -> Report:
        end_us = self.emulator.now_us + limit_us
        while True:
            report = step()
            self.check()
            if until(report):
                return report
            assert self.emulator.now_us < end_us, f"not within {limit_us} us: {report}"
            self.emulator.advance(max(1000, report.next_step_us - self.emulator.now_us))

    def keep_running(self, intent: Intent | None, us: int) -> Report:
        """Step as the loop would, for so long, with memory looked at anew each time."""
        end_us = self.emulator.now_us + us
        while True:
            report = self.step(intent and self.seen(intent))
            self.check()
            if self.emulator.now_us >= end_us:
                return report
            pause_us = max(1000, report.next_step_us - self.emulator.now_us)
            self.emulator.advance(min(pause_us, end_us - self.emulator.now_us))

    # What is asked of it

    def spawn(self, pid: int | None = None) -> Process:
        identity = self.processes.spawn(pid)
        return Process(identity.pid, identity.start_ticks)

    def reading(self) -> MemoryReading:
        free = self.memory.free_bytes
        return MemoryReading(self.memory.total_bytes, free, free, self.swap_bytes, 0)

    def seen(self, intent: Intent) -> Intent:
        return replace(intent, memory=self.reading())

    def intent(self, members: Iterable[tuple[Process, int]] = (), **changes) -> Intent:
        """Return the defaults of a DamonTuning in mode Enforce, a pod per process."""
        spec = DamonNodeSpec(tuning="test", mode="Enforce", settings=Settings(), hash="", pods=())
        planned = tuple(
            Member(process, f"pod-{process.pid}-{process.start_ticks}", priority)
            for process, priority in members
        )
        wanted = replace(intents.intent(spec, planned, self.reading()), floor_permille=100)
        return replace(wanted, **changes)

    # What is the case

    def read(self, path: str) -> str:
        return self.emulator.read(f"{KDAMONDS}/{path}").decode().removesuffix("\n")

    def record(self) -> Record | None:
        return RecordStore(self.state_dir, self.boot_id).load()

    def numbers(self) -> list[int]:
        """Return target_priority of every slot, as sysfs shows it."""
        count = int(self.read("0/contexts/0/targets/nr_targets"))
        return [int(self.read(f"0/contexts/0/targets/{i}/target_priority")) for i in range(count)]

    def slots(self) -> list[Process | None]:
        """Return who stands in the kernel's slots; None: a sentinel or tombstone."""
        context = self.emulator.kdamonds[0].context
        assert context is not None
        return [as_process(target.process) for target in context.targets]

    def number_of(self, process: Process) -> int:
        """Return the number the kernel holds for a process."""
        context = self.emulator.kdamonds[0].context
        assert context is not None
        return context.targets[self.slots().index(process)].priority

    def mark_of(self, process: Process) -> int:
        """Return the mark the kernel holds for a process's scheme."""
        context = self.emulator.kdamonds[0].context
        assert context is not None
        return context.schemes[self.slots().index(process)].wanted.watermarks.high

    def events(self, kind: str) -> list:
        return [event for event in self.emulator.events if event.kind == kind]

    def reclaimed(self) -> dict[Process, int]:
        """Return when each process first lost memory."""
        first: dict[Process, int] = {}
        for event in self.events("reclaim"):
            first.setdefault(Process(event.pid, event.start_ticks), event.time_us)
        return first

    def write_as_other(self, path: str, value: str) -> None:
        self.emulator.write(f"{KDAMONDS}/{path}", value.encode(), Writer("other"))

    def check(self) -> None:
        """What must hold at every moment, whatever happens."""
        assert self.emulator.panicked is None, self.emulator.panicked
        assert self.emulator.inherited() == [], "a live slot carries ages of another process"
        assert not [r for r in self.emulator.log if r.writer == "agent" and r.foreign]
        for kdamond in self.emulator.kdamonds:
            if kdamond.running and kdamond.context is not None:
                held = [p for t in kdamond.context.targets if (p := as_process(t.process))]
                assert len(held) == len(set(held)), "a process is in two live targets"


def as_process(identity: Identity | None) -> Process | None:
    if identity is None or identity.pid == KTHREADD:
        return None
    return Process(identity.pid, identity.start_ticks)


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
