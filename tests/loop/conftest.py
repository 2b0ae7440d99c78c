"""A machine with one agent in it: node files, the DAMON emulator, and the loop between them.

Time is the emulator's: a test never sleeps.
"""

import errno
import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster_objects import planned_node, planned_pod
from emulated_node import WaitingCommands
from node_files import OWN_PID, NodeFiles
from reclaimed_node import Kernel

from damon_agent.bell import Bell
from damon_agent.cold.coldness import Coldness
from damon_agent.growth import Growing
from damon_agent.kernel.lanes.driver import LanesDriver
from damon_agent.kernel.ownership.record import StateDirectory
from damon_agent.kernel.tree.sysfs import Sysfs
from damon_agent.loop import Loop
from damon_agent.node.exits import Exits
from damon_agent.node.hierarchy import Hierarchy
from damon_agent.node.meminfo import MemoryMeter
from damon_agent.node.procfs import Procfs
from damon_agent.node.resolver import Resolver
from damon_agent.plans.plan import Invalid, Latest, Plan
from damon_agent.reclaim.reclaiming import Reclaiming
from damon_contract.v1alpha1.node import DamonNodeSpec
from damon_mock.damon.emulator import Emulator
from damon_mock.damon.files import RealtimeFiles, SharedEmulator, Ticker, VirtualFiles
from damon_mock.damon.processes import HostProcesses
from damon_mock.damon.remote import answer
from damon_mock.damon.wire import Server

KDAMONDS = "damon/admin/kdamonds"
NODE = "worker-1"
S = 1_000_000


class Clock:
    """The emulator's time, and a wall clock that runs with it."""

    def __init__(self, emulator):
        self._emulator = emulator

    def now_us(self):
        return self._emulator.now_us

    def wall_s(self):
        return 1_800_000_000 + self._emulator.now_us / S


class HeldPlans:
    """Where the test puts plans and finds statuses."""

    def __init__(self):
        self.held = Latest()
        self.reported = []

    def latest(self):
        return self.held

    def report(self, uid, status):
        self.reported.append((uid, status))


class Machine(NodeFiles):
    """One node: files, processes, emulated kernel, and an agent that can be restarted."""

    def __init__(
        self,
        root: Path,
        *,
        profile: str = "7.2",
        swap_kib: int = 8 << 20,
        reclaim_file=None,
        beside_the_loop=lambda work: work(),
    ) -> None:
        super().__init__(root)
        self.root = root
        self.reclaim_file = reclaim_file
        self.beside_the_loop = beside_the_loop
        (self.proc / "sys/kernel/random").mkdir(parents=True)
        (self.proc / "sys/kernel/random/boot_id").write_text("this-boot\n")
        (self.proc / "zoneinfo").write_text("        high     100\n")
        self.set_memory(swap_kib=swap_kib)
        self.appear(2, "/", comm="kthreadd")
        self.emulator = Emulator(profile, HostProcesses(self.proc))
        self.plans = HeldPlans()
        self.broken = False  # True: a step of the driver fails as nobody has thought of
        self._closing = []
        self.restart()

    def set_memory(self, *, swap_kib: int = 8 << 20) -> None:
        (self.proc / "meminfo").write_text(
            "MemTotal: 16777216 kB\nMemFree: 1677721 kB\n"
            f"MemAvailable: 8388608 kB\nSwapTotal: {swap_kib} kB\n"
        )

    # The agent

    def restart(self, plans=None) -> None:
        """Let the agent die and start another one with the same state directory."""
        self.close()
        procfs = Procfs(self.proc)
        exits = Exits(procfs.is_alive)
        bell = Bell([exits.fileno()])
        state = StateDirectory(self.root / "state", procfs.boot_id())
        self._closing = [exits.close, bell.close, state.unlock]
        files = VirtualFiles(self.emulator)
        damon = Sysfs(files.under("damon"))
        self.commands = WaitingCommands(self.emulator)
        clock = Clock(self.emulator)
        self.loop = Loop(
            plans=plans or self.plans,
            resolver=Resolver(procfs, Hierarchy(self.cgroup), own_pid=OWN_PID),
            memory=MemoryMeter(procfs),
            exits=exits,
            coldness=Coldness(procfs),
            growing=Growing(procfs.resident_bytes),
            driver=LanesDriver(
                damon,
                Sysfs(files.under("module")),
                commands=self.commands,
                state=state,
                alive=lambda process: exits.is_alive(process) if not self.broken else 1 // 0,
                spent_us=lambda _pid: 0,
            ),
            clock=clock,
            bell=bell,
            release="7.2.0-test",
            reclaiming=self.reclaim_file
            and Reclaiming(
                self.reclaim_file,
                clock,
                procfs.page_bytes,
                procfs.anonymous_bytes,
                self.beside_the_loop,
            ),
        )

    def close(self) -> None:
        for close in self._closing:
            close()
        self._closing = []

    @contextmanager
    def served(self, socket: Path):
        """Instead of the agent here, have a kernel in real time for one in another process."""
        self.close()
        emulator = Emulator("7.2", HostProcesses(self.proc))
        with Ticker(SharedEmulator(emulator)) as ticker:
            files = RealtimeFiles(ticker)
            with Server(socket, lambda question: answer(files, question)):
                yield emulator
            ticker.shared.close()

    def arguments(self, socket: Path, kubeconfig: Path) -> list[str | Path]:
        """Return how that agent is to be started."""
        command = ["agent", "--socket", socket, "--", "--node-name", NODE, "--proc-root", self.proc]
        command += ["--cgroup-root", self.cgroup, "--state-dir", self.root / "state"]
        return [*command, "--kubeconfig", kubeconfig]

    def run(self, seconds: float) -> None:
        """Let the agent live for a while."""
        end_us = self.emulator.now_us + int(seconds * S)
        while (now_us := self.emulator.now_us) < end_us:
            next_us = self.loop.guarded_tick()
            wait_us = max(20_000, min(next_us, end_us) - self.emulator.now_us)
            self.emulator.advance(wait_us)
            self.commands.collect()
            assert self.emulator.now_us > now_us

    # The plan

    def plan(self, *pods, generation: int = 1, **spec) -> None:
        """Let the API hand out a plan now."""
        spec = {"hash": f"h{generation}", "settings": spec.pop("settings", {}), **spec}
        read = DamonNodeSpec.model_validate(planned_node(*pods, **spec)["spec"])
        self.hear(known=True, plan=Plan("uid-1", generation, read), invalid=None)

    def hear(self, **changes) -> None:
        """Let the API be heard of now."""
        fields = {
            "known": self.plans.held.known,
            "plan": self.plans.held.plan,
            "invalid": self.plans.held.invalid,
        }
        self.plans.held = Latest(**{**fields, **changes}, contact_us=self.emulator.now_us)

    def hear_nonsense(self) -> None:
        self.hear(known=True, invalid=Invalid("uid-1", 9, "spec.mode: not a mode"))

    # What came of it

    def targets(self) -> list[int]:
        """Return the pids that the running kdamonds watch, without tombstones."""
        return sorted(
            target.process.pid
            for kdamond in self.emulator.kdamonds
            if kdamond.running and kdamond.context is not None
            for target in kdamond.context.targets
            if target.process.pid != 2
        )

    def running(self) -> int:
        """Return how many kdamonds run."""
        return sum(kdamond.running for kdamond in self.emulator.kdamonds)

    @property
    def status(self):
        return self.plans.reported[-1][1]

    def condition(self, kind: str):
        return next(c for c in self.status.conditions if c.type == kind)


@pytest.fixture(autouse=True, scope="module")
def no_process_of_this_machine():
    """Let no pid of an emulated node be watched: somebody else has it on this machine, or will."""

    def refuse(pid):
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), str(pid))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pidfd_open", refuse)
        yield


@pytest.fixture
def pod():
    return planned_pod


@pytest.fixture
def make_machine(tmp_path):
    machines = []

    def make(name="node", **options):
        machines.append(Machine(tmp_path / name, **options))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()


@pytest.fixture
def machine(make_machine):
    return make_machine()


@pytest.fixture
def kernel(tmp_path):
    return Kernel(tmp_path / "node")


@pytest.fixture
def reclaimer(make_machine, kernel):
    return make_machine(reclaim_file=kernel)
