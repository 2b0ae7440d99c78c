"""CPU of one tick when containers fork by the thousand: what the agent's one loop takes for it.

The node's /proc and cgroup tree are plain files, DAMON is the emulator in this process; what the
emulator takes is not counted. Every tick from the burst until the plan is at rest counts, and some
idle ones after that. A benchmark, no test: it always ends with status 0 and says whether the goal
is met.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from damon_agent.bell import Bell
from damon_agent.cold.coldness import Coldness
from damon_agent.growth import Growing
from damon_agent.kernel.lanes.driver import LanesDriver
from damon_agent.kernel.ownership.record import StateDirectory
from damon_agent.kernel.tree.commands import Command, Keyword
from damon_agent.kernel.tree.errors import KernelError
from damon_agent.kernel.tree.sysfs import Sysfs, state_path
from damon_agent.loop import Loop
from damon_agent.node.exits import Exits
from damon_agent.node.hierarchy import Hierarchy
from damon_agent.node.meminfo import MemoryMeter
from damon_agent.node.procfs import Procfs
from damon_agent.node.resolver import Resolver
from damon_agent.plans.plan import Latest, Plan
from damon_contract.v1alpha1.node import DamonNodeSpec, DamonNodeStatus
from damon_mock.damon import Emulator, HostProcesses, VirtualFiles

GOAL_CPU_S = 1.0
QUIET_PODS = 100
"""Pods beside the one that forks, of one process each."""
BURST_S = 60
"""How long ticks are measured after the burst."""
MEMORY_STAT = "anon 67108864\nfile 16777216\nworkingset_refault_anon 0\n"
MEMORY_PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


class Node:
    """Files that say what a node's /proc and /sys/fs/cgroup would say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proc, self.cgroup = root / "proc", root / "cgroup"
        (self.proc / "sys/kernel/random").mkdir(parents=True)
        (self.proc / "sys/kernel/random/boot_id").write_text("bench\n")
        (self.proc / "zoneinfo").write_text("        high     100\n")
        (self.proc / "meminfo").write_text(
            "MemTotal: 16777216 kB\nMemFree: 1677721 kB\nMemAvailable: 8388608 kB\n"
            "SwapTotal: 8388608 kB\nSwapFree: 8388608 kB\n"
        )
        self.cgroup.mkdir()
        (self.cgroup / "cgroup.procs").touch()
        self.appear(2, "/", "kthreadd")

    def appear(self, pid: int, cgroup: str, comm: str = "app") -> None:
        """Let a process appear."""
        entry = self.proc / str(pid)
        entry.mkdir()
        (entry / "stat").write_text(f"{pid} ({comm}) S {' '.join('0' * 18)} {pid} 0\n")
        (entry / "cgroup").write_text(f"0::{cgroup}\n")
        (entry / "comm").write_text(f"{comm}\n")
        (entry / "statm").write_text("99999 20480 0 0 0 0 0\n")

    def fill(self, pod: int, pids: Iterable[int]) -> None:
        """Let processes run in a pod's one container."""
        uid = f"6ba7b810_9dad_11d1_80b4_{pod:012d}"
        path = f"/kubepods.slice/kubepods-pod{uid}.slice/cri-containerd-{container(pod)}.scope"
        home = self.cgroup / path.lstrip("/")
        home.mkdir(parents=True, exist_ok=True)
        (home / "memory.swap.max").write_text("max\n")
        (home.parent / "memory.stat").write_text(MEMORY_STAT)
        (home.parent / "memory.pressure").write_text(MEMORY_PRESSURE)
        with (home / "cgroup.procs").open("a") as procs:
            for pid in pids:
                self.appear(pid, path)
                procs.write(f"{pid}\n")


class MeteredFiles:
    """DAMON's files in the emulator; notes what the emulator itself takes."""

    def __init__(self, files: VirtualFiles) -> None:
        self._files = files
        self.spent_s = 0.0

    def read(self, path: str) -> bytes:
        """See `Files`."""
        with self._noting():
            return self._files.read(path)

    def write(self, path: str, data: bytes) -> None:
        """See `Files`."""
        with self._noting():
            self._files.write(path, data)

    def list(self, path: str) -> list[str]:
        """See `Files`."""
        with self._noting():
            return self._files.list(path)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        began = time.thread_time()
        try:
            yield
        finally:
            self.spent_s += time.thread_time() - began


class ImmediateCommands:
    """Commands that are answered at once: virtual time passes while the kernel does them."""

    def __init__(self, damon: Sysfs) -> None:
        self._damon = damon

    def start(
        self, kdamond: int, keyword: Keyword, then: Callable[[], None] | None = None
    ) -> Command:
        """See `Commands`."""
        command = Command(kdamond, keyword, done=True)
        try:
            self._damon.write(state_path(kdamond), keyword.value)
            if then is not None:
                then()
        except KernelError as error:
            command.error = error
        return command


class Clock:
    """The emulator's time."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def now_us(self) -> int:
        """See damon_agent.clock.Clock."""
        return self._emulator.now_us

    def wall_s(self) -> float:
        """See damon_agent.clock.Clock."""
        return 1_800_000_000 + self._emulator.now_us / 1_000_000


class HeldPlans:
    """One plan, and the last status."""

    def __init__(self, plan: Plan) -> None:
        self._latest = Latest(known=True, plan=plan)
        self.status = DamonNodeStatus()

    def latest(self) -> Latest:
        """See damon_agent.loop.Plans."""
        return self._latest

    def report(self, uid: str, status: DamonNodeStatus) -> None:
        """See damon_agent.loop.Plans."""
        del uid
        self.status = status


def container(pod: int) -> str:
    """Return a container id."""
    return f"{pod + 1:064x}"


def plan(pods: int) -> Plan:
    """Return a plan with pods of three roles."""
    spec = {
        "tuning": "bench",
        "mode": "Enforce",
        "settings": {},
        "hash": "bench",
        "pods": [
            {
                "namespace": "bench",
                "name": f"pod-{pod}",
                "uid": f"6ba7b810-9dad-11d1-80b4-{pod:012d}",
                "priority": (50, 30, 90)[pod % 3],
                "source": "default",
                "containers": [{"name": "app", "id": container(pod)}],
            }
            for pod in range(pods)
        ],
    }
    return Plan("uid", 1, DamonNodeSpec.model_validate(spec))


def measure(root: Path, processes: int, forking: int) -> tuple[list[float], DamonNodeStatus]:
    """Let pods fork; return the CPU seconds of each tick since, and the last status."""
    node = Node(root)
    for pod in range(forking + QUIET_PODS):
        node.fill(pod, [1000 + pod])
    emulator = Emulator("7.2", HostProcesses(node.proc))
    files = MeteredFiles(VirtualFiles(emulator, "damon"))
    procfs, plans = Procfs(node.proc), HeldPlans(plan(forking + QUIET_PODS))
    exits = Exits(procfs.is_alive)
    loop = Loop(
        plans=plans,
        resolver=Resolver(procfs, Hierarchy(node.cgroup), own_pid=4242),
        memory=MemoryMeter(procfs),
        exits=exits,
        coldness=Coldness(procfs),
        growing=Growing(procfs.resident_bytes),
        driver=LanesDriver(
            Sysfs(files),
            Sysfs(VirtualFiles(emulator, "module")),
            commands=ImmediateCommands(Sysfs(files)),
            state=StateDirectory(root / "state", "bench"),
            alive=exits.is_alive,
            spent_us=lambda _pid: 0,
        ),
        clock=Clock(emulator),
        bell=Bell([exits.fileno()]),
        release="bench",
    )

    def run(seconds: int) -> list[float]:
        taken = []
        end_us = emulator.now_us + seconds * 1_000_000
        while emulator.now_us < end_us:
            began, emulated = time.thread_time(), files.spent_s
            next_us = loop.guarded_tick()
            taken.append(time.thread_time() - began - (files.spent_s - emulated))
            emulator.advance(max(20_000, min(next_us, end_us) - emulator.now_us))
        return taken

    run(30)
    by_pod = [range(100_000 + pod, 100_000 + processes, forking) for pod in range(forking)]
    for pod, pids in enumerate(by_pod):
        node.fill(pod, pids)
    taken = run(BURST_S)
    if loop.ticks.failed:
        print("  some ticks failed:", plans.status.conditions[0].message)
    return taken, plans.status


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="*", default=[1000, 4000, 8000])
    parser.add_argument("--pods", type=int, default=1, help="how many pods they are forked in")
    options = parser.parse_args()
    print(f"forks in {options.pods} of {options.pods + QUIET_PODS} pods; CPU of the agent alone")
    print("  processes  targets  worst tick  all ticks  the last ten, each")
    for processes in options.processes:
        with tempfile.TemporaryDirectory(prefix="damon-bench-") as directory:
            taken, status = measure(Path(directory), processes, options.pods)
        verdict = "" if max(taken) < GOAL_CPU_S else f"  goal {GOAL_CPU_S:g} s: MISSED"
        print(
            f"  {processes:9}  {status.targets:7}  {max(taken):8.2f} s  {sum(taken):7.2f} s"
            f"  {1000 * sum(taken[-10:]) / 10:14.1f} ms{verdict}"
        )


if __name__ == "__main__":
    main()
