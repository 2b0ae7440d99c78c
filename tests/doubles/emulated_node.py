"""An emulated machine with one agent's driver on it: what the tests of both drivers share.

Time is the emulator's: a test never sleeps. `restart` is a SIGKILL and a new agent.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from damon_agent import intents
from damon_agent.facts import MemoryReading, Process
from damon_agent.kernel.intent import Intent, Member
from damon_agent.kernel.ownership.record import StateDirectory
from damon_agent.kernel.report import Driver, Report
from damon_agent.kernel.tree.commands import Command, Keyword
from damon_agent.kernel.tree.errors import KernelError, translated
from damon_agent.kernel.tree.sysfs import Sysfs, state_path
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
WAKE_US = 10_000
"""How soon the loop is awake after a command has come back."""


class WaitingCommands:
    """What ThreadCommands is in real time: the write waits in the kernel, the driver does not."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.waiting: list[Pending] = []
        self.rang = False
        self._returned: list[tuple[Command, Callable[[], None] | None]] = []

    def start(
        self, kdamond: int, keyword: Keyword, then: Callable[[], None] | None = None
    ) -> Command:
        command = Command(kdamond, keyword)
        path = f"damon/{state_path(kdamond)}"
        try:
            pending = self._emulator.write(path, keyword.encode())
        except OSError as error:
            command.error, command.done = translated(path, keyword, error), True
            return command
        if pending is None:
            self._follow(command, then)
            return command

        def returned(error: OSError | None) -> None:
            command.error = None if error is None else translated(path, keyword, error)
            self._returned.append((command, then if error is None else None))

        pending.when_done.append(returned)
        self.waiting.append(pending)
        return command

    def collect(self) -> None:
        """Let the threads whose write has returned go on; to be called when time has passed."""
        while self._returned:
            self._follow(*self._returned.pop(0))
            self.rang = True

    @staticmethod
    def _follow(command: Command, then: Callable[[], None] | None) -> None:
        try:
            if then is not None:
                then()
        except KernelError as error:
            command.error = error
        command.done = True


class EmulatedNode:
    """One emulated machine with one agent's driver; `make_driver` says which."""

    def __init__(
        self,
        profile: str,
        state_dir: Path,
        *,
        cache_bytes: int = 0,
        swap_bytes: int = 8192 * MIB,
        free_bytes: int | None = None,
    ) -> None:
        self.processes = SimulatedProcesses()
        self.memory = SimulatedMemory()
        if free_bytes is not None:
            self.memory = SimulatedMemory(free_bytes=free_bytes)
        self.emulator = Emulator(profile, self.processes, self.memory)
        self.memory.cache_bytes = cache_bytes
        self.swap_bytes = swap_bytes
        self.state_dir = state_dir
        self.boot_id = "this-boot"
        self.steps = 0
        self.state: StateDirectory | None = None

    # The agent

    def make_driver(self, state: StateDirectory) -> Driver:
        raise NotImplementedError

    def restart(self) -> None:
        """Kill the agent and start another one; the lock waits for writes still in the kernel."""
        if self.state is not None:
            self.run_until(lambda: all(pending.done for pending in self.commands.waiting))
            self.state.unlock()
        self.state = StateDirectory(self.state_dir, self.boot_id)
        self.commands = WaitingCommands(self.emulator)
        self.driver = self.make_driver(self.state)

    def reboot(self) -> None:
        self.boot_id += "+"
        self.emulator.reboot()
        self.commands.waiting.clear()  # with the machine they have ended
        self.restart()

    @property
    def damon(self) -> Sysfs:
        return Sysfs(VirtualFiles(self.emulator, "damon"))

    @property
    def module(self) -> Sysfs:
        return Sysfs(VirtualFiles(self.emulator, "module"))

    def is_alive(self, process: Process) -> bool:
        return self.processes.is_running(process.pid, process.start_ticks)

    def spent_us(self, _pid: int) -> int | None:
        """Return the CPU time of a kdamond: none, unless a test says that they work."""
        return 0

    def step(self, intent: Intent | None) -> Report:
        self.steps += 1
        self.commands.collect()
        return self.driver.step(intent, self.emulator.now_us)

    def sleep_until(self, moment_us: int) -> None:
        """Let time pass as the loop does: a command that comes back wakes it."""
        moment_us = max(moment_us, self.emulator.now_us + 1000)
        self.commands.rang = False
        while self.emulator.now_us < moment_us and not self.commands.rang:
            if all(pending.done for pending in self.commands.waiting):
                self.emulator.advance(moment_us - self.emulator.now_us)
            else:
                self.emulator.advance(min(WAKE_US, moment_us - self.emulator.now_us))
            self.commands.collect()

    def settle(
        self,
        intent: Intent | None,
        *,
        limit_us: int = 120_000_000,
        until: Callable[[Report], bool] = lambda report: report.at_rest,
        check: Callable[[], None] | None = None,
    ) -> Report:
        """Step as the loop would, until the report is as wanted."""
        end_us = self.emulator.now_us + limit_us
        while True:
            report = self.step(intent)
            (check or self.check)()
            if until(report):
                return report
            assert self.emulator.now_us < end_us, f"not within {limit_us} us: {report}"
            assert self.steps < 20_000, f"steps without end: {report}"
            self.sleep_until(report.next_step_us)

    def keep_running(
        self, intent: Intent | None, us: int, *, check: Callable[[], None] | None = None
    ) -> Report:
        """Step as the loop would, for so long, with memory looked at anew each time."""
        end_us = self.emulator.now_us + us
        while True:
            report = self.step(intent and self.seen(intent))
            (check or self.check)()
            if self.emulator.now_us >= end_us:
                return report
            self.sleep_until(min(report.next_step_us, end_us))

    def run_until(self, done: Callable[[], bool]) -> None:
        for _ in range(1000):
            if done():
                return
            self.emulator.advance(100_000)
            self.commands.collect()
        raise AssertionError("does not come to an end")

    # What is asked of it

    def spawn(self, pid: int | None = None) -> Process:
        identity = self.processes.spawn(pid)
        return Process(identity.pid, identity.start_ticks)

    def reading(self) -> MemoryReading:
        free = self.memory.free_bytes
        total = self.memory.total_bytes
        available = min(total, self.memory.available_bytes)
        return MemoryReading(total, free, available, self.swap_bytes, 0, 4096)

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

    def events(self, kind: str) -> list:
        return [event for event in self.emulator.events if event.kind == kind]

    def reclaimed(self) -> dict[Process, int]:
        """Return when each process first lost memory."""
        first: dict[Process, int] = {}
        for event in self.events("reclaim"):
            first.setdefault(Process(event.pid, event.start_ticks), event.time_us)
        return first

    def kernel_targets(self) -> dict[int, list[Process | None]]:
        """Return who stands in the slots of each running kdamond; None: a tombstone."""
        return {
            kdamond.index: [as_process(target.process) for target in kdamond.context.targets]
            for kdamond in self.emulator.kdamonds
            if kdamond.running and kdamond.context is not None
        }

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
        assert self.emulator.panicked is None, self.emulator.panicked
        assert self.emulator.inherited() == [], "a live slot carries ages of another process"
        assert not [r for r in self.emulator.log if r.writer == "agent" and r.foreign]
        held = [p for held in self.kernel_targets().values() for p in held if p is not None]
        assert len(held) == len(set(held)), "a process is in two live targets"


def as_process(identity: Identity | None) -> Process | None:
    if identity is None or identity.pid == KTHREADD:
        return None
    return Process(identity.pid, identity.start_ticks)
