"""The machine, the agent in it, and the pods of one run, by the harness of e2e/tests_kernel."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests_kernel.agent import Agent
from tests_kernel.containers import Container, Containers, Pod
from tests_kernel.node import DAMON, Node
from tests_kernel.node import PROGRAMS as TESTS
from tests_kernel.plans import Plans
from tests_kernel.waiting import until
from vm import archive
from vm.machine import Disk, Machine, Running, Throttle
from vm.overlay import Overlay

from efficacy.record import Swap
from efficacy.scenario import PodPlan

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
PROGRAMS: Final = "/opt/efficacy"
STATE: Final = "/run/efficacy"
DATA: Final = "/data"
SHARED: Final = "/shm"
_BURSTABLE: Final = "/sys/fs/cgroup/kubepods/burstable"
_HARNESS: Final = "/sys/fs/cgroup/init"
_NO_DAMON: Final = "/run/no-damon"
"""An empty directory: what the agent sees instead of DAMON's files on a kernel without it."""
_SPARE_BYTES: Final = 64 << 20
_SWAP_MIB: Final[Mapping[Swap, int]] = {"zram": 768, "disk": 2048}
"""What is in zram is in memory, too, if smaller: there is room for that much. A disk has plenty."""
_SWAP_DISK: Final = Throttle(requests_per_s=3000, bytes_per_s=125_000_000)
"""What AWS's gp3, the usual disk of its nodes, has where nothing more is paid for.

QEMU throttles the rate alone. How long a request takes that need not wait is up to the machine:
some 0.4 ms under emulation, which is about what it takes on such a disk.
"""
_AGENT_STARTS_S: Final = 5
"""Until it has read all that it needs, in the machine's time."""


class CompilerError(Exception):
    """The programs of the pods can't be made; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """The machine: all runs that are compared have the same."""

    kernel: str
    swap: Swap
    accelerator: str
    cpus: int
    memory_mib: int = 1280
    swap_mib: int
    available_mib: int = 800
    """What is available before there is any pod: the rest is taken and locked at boot."""
    reserved_mib: int = 100
    """What the plan says that the kubelet keeps for the system."""

    @classmethod
    def of(cls, kernel: str, swap: Swap) -> Self:
        """Return the machine for a kernel and a kind of swap.

        QEMU throttles a disk by the clock of this machine, and so a machine with a clock of its
        own would not be throttled. Under icount one processor is all that instructions of a
        nanosecond add up to, however many there were.
        """
        default = "tcg" if swap == "disk" else "icount"
        accelerator = os.environ.get("VM_ACCELERATOR", default)
        cpus = 1 if accelerator == "icount" else 2
        return cls(
            kernel=kernel, swap=swap, accelerator=accelerator, cpus=cpus, swap_mib=_SWAP_MIB[swap]
        )


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod of a scenario: a process in the cgroup of a container, as a kubelet's."""

    plan: PodPlan
    pod: Pod
    container: Container
    directory: str


@dataclass(frozen=True, slots=True)
class AgentAs:
    """How the agent of a run is started."""

    memory_reclaim: bool = False
    has_damon: bool = True


class Stage:
    """One machine that is on, for one run after the other."""

    def __init__(self, setup: Setup, node: Node, plans: Plans, agent: Agent, swap: str) -> None:
        self.setup = setup
        self.swap = swap
        """The block device."""
        self.node = node
        self.guest = node.guest
        self.plans = plans
        self.agent = agent
        self.pods: dict[str, RunningPod] = {}
        self._agents = AgentAs()
        self._has_worked = False

    def prepare_agent(self, agents: AgentAs, *, works: bool) -> None:
        """Have an agent that is started as a run needs it, and has not had a plan yet.

        `works`: it is to get one. That it has had one makes it larger, and its age does not.
        """
        if self._has_worked or agents != self._agents:
            self._agents = agents
            self.agent.stop()
            self.start_agent()
            self.guest.sleep(_AGENT_STARTS_S)
        self._has_worked = works

    def start_agent(self) -> None:
        """Start the agent as it was started for this run."""
        self.guest.run("mkdir", "-p", _NO_DAMON)
        self.agent.start(
            *(["--memory-reclaim"] if self._agents.memory_reclaim else []),
            cgroup="rw" if self._agents.memory_reclaim else "ro",
            damon=DAMON if self._agents.has_damon else _NO_DAMON,
        )

    def reverse_priorities(self) -> None:
        """Make what was important unimportant, and the other way round."""
        for running in self.pods.values():
            running.pod.priority = 100 - running.pod.priority

    def start(self, plans: Sequence[PodPlan]) -> None:
        """Start pods side by side, and wait until each has used all its memory once."""
        self.guest.shell(
            f"mkdir -p {DATA} {SHARED}; "
            f"grep -q ' {SHARED} ' /proc/mounts || mount -t tmpfs none {SHARED}"
        )
        with ThreadPoolExecutor() as pool:
            for is_last in (False, True):
                started = list(pool.map(self._start, (p for p in plans if p.is_last == is_last)))
                self.pods |= {each.plan.name: each for each in started}
                list(pool.map(self._until_ready, started))

    def _start(self, plan: PodPlan) -> RunningPod:
        directory = f"{STATE}/pods/{plan.name}"
        self.guest.shell(f"rm -rf {directory}; mkdir -p {directory}")
        pod = Pod(plan.name, plan.priority)
        identity = secrets.token_hex(32)
        cgroup = f"{_BURSTABLE}/pod{pod.uid}/{identity}"
        command = [f"{PROGRAMS}/{plan.workload.program}", directory, *plan.workload.words]
        # As the kubelet has it for Guaranteed and BestEffort pods (pkg/kubelet/qos/policy.go).
        script = pod_script(cgroup, command, oom_score_adj=-997 if plan.is_protected else 1000)
        pid = self.guest.spawn("sh", "-ec", script, output=f"/run/log/{plan.name}")
        container = Container(identity, pid, cgroup)
        pod.containers.append(container)
        return RunningPod(plan, pod, container, directory)

    def _until_ready(self, running: RunningPod) -> None:
        path = f"{running.directory}/ready"
        until(f"{running.plan.name} has its memory", lambda: self.guest.exists(path))

    def end(self) -> None:
        """End all pods and forget their cgroups and files."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._end, self.pods.values()))
        self.pods.clear()
        self.guest.shell(f"rm -rf {STATE}/pods {DATA} {SHARED}/*")

    def _end(self, running: RunningPod) -> None:
        cgroup = running.container.cgroup
        self.guest.shell(f"echo 1 >{cgroup}/cgroup.kill")
        self.guest.wait(running.container.pid)
        # Whoever is about to end is not in cgroup.procs any more, and keeps the cgroup.
        events = f"{cgroup}/cgroup.events"
        until(f"{cgroup} is empty", lambda: "populated 0" in self.guest.read(events))
        self.guest.run("rmdir", cgroup, cgroup.rpartition("/")[0])

    def cgroups(self) -> Mapping[str, str]:
        """Return the cgroups of the pods' containers, and of the agent's pod.

        That of its container would be another one after a restart.
        """
        pods = {name: running.container.cgroup for name, running in self.pods.items()}
        (agent,) = self.guest.shell(f"sed 's/^0:://' /proc/{self.agent.pid}/cgroup").splitlines()
        return {**pods, "damon-agent": f"/sys/fs/cgroup{agent}".rpartition("/")[0]}


def pod_script(cgroup: str, command: Sequence[str], *, oom_score_adj: int) -> str:
    """Return what makes a pod's cgroup with a container's in it, and becomes a process there."""
    of_pod = cgroup.rpartition("/")[0]
    return (
        f"mkdir {of_pod}; echo +memory >{of_pod}/cgroup.subtree_control; mkdir {cgroup}; "
        f"echo $$ >{cgroup}/cgroup.procs; echo {oom_score_adj} >/proc/self/oom_score_adj; "
        f"exec {' '.join(command)}"
    )


@contextmanager
def booted(setup: Setup) -> Iterator[Stage]:
    """Boot a machine with the agent of this checkout, without a plan."""
    image = archive.agent_image()
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        make_programs(directory / "programs", redis=_redis())
        has_disk = setup.swap == "disk"
        machine = Machine(
            kernel=archive.kernel(setup.kernel),
            memory_mib=setup.memory_mib,
            zram_mib=0 if has_disk else setup.swap_mib,
            cpus=setup.cpus,
            accelerator=setup.accelerator,
            disks=[
                Disk("agent", image.disk),
                *([_swap_disk(directory, setup.swap_mib)] if has_disk else []),
            ],
            overlay=Overlay(
                directories={
                    PROGRAMS: directory / "programs",
                    TESTS: ROOT / "e2e" / "tests_kernel" / "guest",
                }
            ),
        )
        with machine.boot() as guest, Plans(directory) as plans:
            node = Node(guest)
            swap = _swap_on(guest) if has_disk else "/dev/zram0"
            # DAMON is free for everybody, and no other disk than the swap is written meanwhile.
            guest.shell(
                f"f=/sys/module/damon_stat/parameters/enabled; [ ! -e $f ] || echo N >$f; "
                f"mkdir -p /run/log {STATE}"
            )
            agent = Agent(node, Containers(node), plans, image.configuration)
            agent.start()
            guest.shell(f"sleep {_AGENT_STARTS_S}; echo 3 >/proc/sys/vm/drop_caches")
            surplus_mib = (node.meminfo()["MemAvailable"] >> 20) - setup.available_mib
            with node.squeeze(max(1, surplus_mib)):
                _protect_harness(node)
                yield Stage(setup, node, plans, agent, swap)


def _swap_disk(directory: Path, mib: int) -> Disk:
    image = directory / "swap.img"
    with image.open("wb") as made:
        made.truncate(mib << 20)
    return Disk("swap", image, _SWAP_DISK)


def _swap_on(guest: Running) -> str:
    """Have the disk as swap; return its block device.

    The kernel takes it for one that turns, which those of clouds do not say of themselves.
    """
    name = guest.block("swap")
    guest.shell(
        f"echo 0 >/sys/block/{name}/queue/rotational && mkswap /dev/{name} && swapon /dev/{name}"
    )
    return f"/dev/{name}"


def _protect_harness(node: Node) -> None:
    """Keep who measures out of what is measured: the memory of our own programs stays."""
    used_bytes = int(node.guest.read(f"{_HARNESS}/memory.current"))
    node.guest.shell(f"echo {used_bytes + _SPARE_BYTES} >{_HARNESS}/memory.min")
    # What is taken and locked is the largest process; whoever is out of memory is to be a pod.
    node.guest.shell(
        f"for pid in $(cat {_HARNESS}/cgroup.procs); do "
        "! grep -q hog.py /proc/$pid/cmdline || echo -1000 >/proc/$pid/oom_score_adj; done"
    )


def _redis() -> Path:
    """Return the directory with Debian's redis-server; makes it where needed."""
    done = subprocess.run([HERE / "redis.sh"], check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip())


def make_programs(directory: Path, *, redis: Path | None = None) -> None:
    """Compile what the pods run, and put what measures beside it; CompilerError if it can't be.

    `redis`: the directory that the program redis_pod starts its server from.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CompilerError("no gcc, and no cc: the pods' program is C (Debian: apt install gcc)")
    directory.mkdir()
    for source in (HERE / "guest").glob("*.c"):
        words = ("-O2", "-static", "-Wall", "-o", directory / source.stem, source)
        command = [compiler, *map(str, words)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise CompilerError(f"{source}: {done.stderr}")
    for path in (HERE / "guest").glob("*.py"):
        shutil.copy(path, directory)
    if redis is not None:
        shutil.copytree(redis, directory / "redis")
