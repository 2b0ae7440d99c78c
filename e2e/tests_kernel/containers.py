"""Containers in the cgroups of pods, by containerd, as a kubelet has them run."""

import itertools
import json
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests_kernel.node import PROGRAMS, ROOTFS, Node, Part
from tests_kernel.waiting import until

CTR: Final = ("ctr", "--namespace", "k8s.io")
_BIND: Final = "type=bind,src={src},dst={dst},options=rbind:{mode}"


@dataclass(frozen=True, slots=True)
class Container:
    """One that runs, or has run."""

    id: str
    pid: int
    """Of its first process, in the machine's own pid namespace."""
    cgroup: str


@dataclass(slots=True)
class Pod:
    """A pod of the plan."""

    name: str
    priority: int
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    containers: list[Container] = field(default_factory=list)


@dataclass(slots=True)
class Victim:
    """A pod with one container that runs guest/victim.py."""

    pod: Pod
    container: Container
    node: Node
    directory: str
    addresses: dict[str, tuple[int, int]]
    _touches: int = 0

    def parts(self) -> dict[str, Part]:
        """Return where its memory is."""
        return self.node.parts(self.container.pid, self.addresses)

    def swapped(self, part: str) -> float:
        """Return the share of a part that is in swap."""
        found = self.parts()[part]
        return found.swapped / found.size

    def resident(self, part: str) -> float:
        """Return the share of a part that is in memory."""
        found = self.parts()[part]
        return found.resident / found.size

    def given_up(self) -> int:
        """Return how much of its memory is in swap, in bytes, by its cgroup."""
        return int(self.node.guest.read(f"{self.container.cgroup}/memory.swap.current"))

    def major_faults(self) -> int:
        """Return how often it waited for a page."""
        return self.node.major_faults(self.container.pid)

    def touch(self) -> None:
        """Have it use all its memory once, and wait until it has."""
        self._touches += 1
        self.node.guest.kill(self.container.pid, 10)
        path = f"{self.directory}/touched"
        until(
            f"{self.pod.name} has used all its memory",
            lambda: self.node.exists(path) and self.node.guest.read(path) == str(self._touches),
        )


class Containers:
    """Starts and ends them; `clear` ends all that are left."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._running: list[Container] = []
        self._numbers = itertools.count()

    def run(
        self,
        argv: Sequence[str],
        *,
        pod: Pod,
        mounts: Sequence[tuple[str, str, str]] = (),
        options: Sequence[str] = (),
    ) -> Container:
        """Start a container of a pod; `mounts` are (source, destination, ro or rw)."""
        identity = secrets.token_hex(32)
        cgroup = f"/kubepods/burstable/pod{pod.uid}/{identity}"
        pid_file = f"/run/{identity}.pid"
        bound = [_BIND.format(src=src, dst=dst, mode=mode) for src, dst, mode in mounts]
        self._node.guest.run(
            *CTR, "run", "--detach", "--rootfs", "--read-only", "--seccomp",
            *("--cgroup", cgroup, "--pid-file", pid_file),
            *("--log-uri", f"file:///run/log/{pod.name}"),
            *itertools.chain.from_iterable(("--mount", mount) for mount in bound),
            *options, ROOTFS, identity, *argv,
        )  # fmt: skip
        pid = int(self._node.guest.read(pid_file))
        made = Container(identity, pid, f"/sys/fs/cgroup{cgroup}")
        self._running.append(made)
        pod.containers.append(made)
        return made

    def victim(self, name: str, priority: int, *parts: str) -> Victim:
        """Start a pod with parts of memory (NAME:MIB[:SECONDS]); wait until all of it is used."""
        pod = Pod(name, priority)
        directory = f"/run/victims/{next(self._numbers)}"
        # What another test left there is not of this one.
        self._node.guest.shell(f"rm -rf {directory}; mkdir -p {directory}")
        container = self.run(
            ["/usr/bin/python3", f"{PROGRAMS}/victim.py", "/victim", *parts],
            pod=pod,
            mounts=[(directory, "/victim", "rw"), (PROGRAMS, PROGRAMS, "ro")],
        )
        until(f"{name} has its memory", lambda: self._node.exists(f"{directory}/ready"))
        addresses = {
            part: (start, size)
            for part, (start, size) in json.loads(
                self._node.guest.read(f"{directory}/ready")
            ).items()
        }
        return Victim(pod, container, self._node, directory, addresses)

    def end(self, container: Container) -> None:
        """Kill it and take its traces away."""
        self._running.remove(container)
        self._node.guest.shell(
            f"{' '.join(CTR)} task kill -s KILL {container.id} || true; "
            f"{' '.join(CTR)} task delete {container.id}; "
            f"{' '.join(CTR)} container delete {container.id}"
        )

    def forget(self, container: Container) -> None:
        """Leave it to somebody else to end it."""
        self._running.remove(container)

    def clear(self) -> None:
        """End all that are left."""
        for container in list(self._running):
            self.end(container)

    def log(self, pod: Pod) -> str:
        """Return what the containers of a pod have said."""
        path = f"/run/log/{pod.name}"
        return self._node.guest.read(path) if self._node.exists(path) else ""
