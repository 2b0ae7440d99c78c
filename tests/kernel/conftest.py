"""A node for the driver to work on: the emulator, processes, memory, and a state directory.

Time is the emulator's: a test never sleeps. `Node.restart` is a SIGKILL and a new agent.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from damon_agent import intents
from damon_agent.facts import MemoryReading, Process
from damon_agent.kernel.commands import Command, Keyword, state_path
from damon_agent.kernel.driver import LanesDriver
from damon_agent.kernel.errors import KernelError, translated
from damon_agent.kernel.intent import Intent, Member
from damon_agent.kernel.record import RecordStore
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


class WaitingCommands:
    """What ThreadCommands is in real time: the write waits in the kernel, the driver does not."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.waiting: list[Pending] = []

    def start(
        self,
        kdamond: int,
        keyword: Keyword,
        deadline_us: int,
        then: Callable[[], None] | None = None,
    ) -> Command:
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
                self._follow(command, then)
            else:
                command.done = True

        pending.when_done.append(returned)
        self.waiting.append(pending)
        return command

    @staticmethod
    def _follow(command: Command, then: Callable[[], None]) -> None:
        """Do at once what a thread would do after the write has returned."""
        try:
            then()
        except KernelError as error:
            command.error = error
        command.done = True


class Node:
    """One emulated machine with one agent's driver."""

    def __init__(self, profile: str, state_dir: Path, *, cache_bytes: int = 0) -> None:
        self.processes = SimulatedProcesses()
        self.memory = SimulatedMemory()
        self.emulator = Emulator(profile, self.processes, self.memory)
        self.cache_bytes = cache_bytes
        self.state_dir = state_dir
        self.boot_id = "this-boot"
        self.steps = 0
        self.stops_damon_stat = False
        self._store: RecordStore | None = None
        self.restart()

    # The agent

    def restart(self) -> None:
        """Kill the agent and start another one; the lock waits for writes still in the kernel."""
        if self._store is not None:
            self.run_until(lambda: all(pending.done for pending in self.commands.waiting))
            self._store.unlock()
        self._store = RecordStore(self.state_dir, self.boot_id)
        self.commands = WaitingCommands(self.emulator)
        self.driver = LanesDriver(
            Sysfs(VirtualFiles(self.emulator, "damon")),
            Sysfs(VirtualFiles(self.emulator, "module")),
            commands=self.commands,
            store=self._store,
            alive=self.is_alive,
            spent_us=lambda: 0,
            stops_damon_stat=self.stops_damon_stat,
        )

    def is_alive(self, process: Process) -> bool:
        return self.processes.is_running(process.pid, process.start_ticks)

    def step(self, intent: Intent | None) -> Report:
        self.steps += 1
        return self.driver.step(intent, self.emulator.now_us)

    def settle(
        self,
        intent: Intent | None,
        *,
        limit_us: int = 120_000_000,
        until: Callable[[Report], bool] = lambda report: report.settled,
        check: Callable[[], None] = lambda: None,
    ) -> Report:
        """Step as the loop would, until the report is as wanted."""
        end_us = self.emulator.now_us + limit_us
        while True:
            report = self.step(intent)
            check()
            if until(report):
                return report
            assert self.emulator.now_us < end_us, f"not within {limit_us} us: {report}"
            assert self.steps < 20_000, f"steps without end: {report}"
            self.emulator.advance(max(1000, report.next_step_us - self.emulator.now_us))

    def keep_running(
        self, intent: Intent, us: int, *, check: Callable[[], None] = lambda: None
    ) -> Report:
        """Step as the loop would, for so long, with memory looked at anew each time."""
        end_us = self.emulator.now_us + us
        while True:
            report = self.step(self.seen(intent))
            check()
            if self.emulator.now_us >= end_us:
                return report
            pause_us = max(1000, report.next_step_us - self.emulator.now_us)
            self.emulator.advance(min(pause_us, end_us - self.emulator.now_us))

    def run_until(self, done: Callable[[], bool]) -> None:
        for _ in range(1000):
            if done():
                return
            self.emulator.advance(100_000)
        raise AssertionError("does not come to an end")

    # What is asked of it

    def spawn(self, pid: int | None = None) -> Process:
        identity = self.processes.spawn(pid)
        return Process(identity.pid, identity.start_ticks)

    def reading(self) -> MemoryReading:
        free = self.memory.free_bytes
        total = self.memory.total_bytes
        return MemoryReading(total, free, min(total, free + self.cache_bytes), 8192 * MIB, 0)

    def seen(self, intent: Intent) -> Intent:
        return replace(intent, memory=self.reading())

    def intent(self, members: Iterable[tuple[Process, int]], **changes) -> Intent:
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

    def kernel_targets(self) -> dict[int, list[Process | None]]:
        """Return who stands in the slots of each running kdamond; None: a tombstone."""
        return {
            kdamond.index: [as_process(target.process) for target in kdamond.context.targets]
            for kdamond in self.emulator.kdamonds
            if kdamond.running and kdamond.context is not None
        }

    def targeted(self) -> set[Process]:
        return {p for held in self.kernel_targets().values() for p in held if p is not None}

    def lane_of(self, process: Process) -> int:
        (found,) = [k for k, held in self.kernel_targets().items() if process in held]
        return found

    def events(self, kind: str) -> list:
        return [event for event in self.emulator.events if event.kind == kind]

    def writes(self, value: str | None = None) -> list:
        """Return the agent's writes, or only those of one keyword or value."""
        return [
            record
            for record in self.emulator.log
            if record.writer == "agent" and value in {None, record.value}
        ]

    def write_as_other(self, path: str, value: str) -> None:
        self.emulator.write(f"{KDAMONDS}/{path}", value.encode(), Writer("other"))

    def check(self) -> None:
        """What must hold at every moment, whatever happens."""
        assert self.emulator.inherited() == [], "a live slot carries ages of another process"
        held = [p for held in self.kernel_targets().values() for p in held if p is not None]
        assert len(held) == len(set(held)), "a process is in two live targets"
        assert not [r for r in self.emulator.log if r.writer == "agent" and r.foreign]
        assert self.emulator.panicked is None


def as_process(identity: Identity | None) -> Process | None:
    if identity is None or identity.pid == KTHREADD:
        return None
    return Process(identity.pid, identity.start_ticks)


@pytest.fixture
def node_of(tmp_path):
    """Return a node of a profile; each call another machine."""
    made = iter(range(1000))

    def of(profile: str, **changes) -> Node:
        return Node(profile, tmp_path / f"state-{next(made)}", **changes)

    return of


@pytest.fixture(params=["6.12", "7.2"])
def node(request, node_of) -> Node:
    return node_of(request.param)
