"""The node as it is seen from outside the agent: by its own kernel, through the machine's line."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.api import Api, Body
from harness.workloads import container_ids
from vmnode.node import NAME, VmNode

MIB: Final = 1 << 20
_LOOK: Final = Path(__file__).with_name("look.py").read_text("utf-8")
_ADMIN: Final = "/sys/kernel/mm/damon/admin"  # NEVER of this machine: it is read in the virtual one
_LOOK_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Area:
    """One kind of a victim's memory."""

    resident_bytes: int
    swap_bytes: int


@dataclass(frozen=True, slots=True)
class Container:
    """A container by its cgroup."""

    pids: frozenset[int]
    swap_max_bytes: int | None
    """None: as much as there is."""
    swap_bytes: int
    major_faults: int
    """Pages that its processes have waited for, so far."""
    areas: Mapping[str, Area]
    """hot and cold memory, of a victim."""
    file_bytes: int
    """Page cache charged to it."""


@dataclass(frozen=True, slots=True)
class Kdamond:
    """One kdamond, as sysfs shows it."""

    state: str
    pid: int
    targets: tuple[int, ...]
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything at one moment."""

    boot: str
    memory: Mapping[str, int]
    """/proc/meminfo, in bytes."""
    containers: Mapping[str, Container]
    nr_kdamonds: int
    kdamonds: tuple[Kdamond, ...]
    threads: frozenset[int]
    """The kernel's own threads of that name."""

    @property
    def available_permille(self) -> int:
        """Return the available memory as a share of the capacity."""
        return self.memory["MemAvailable"] * 1000 // self.memory["MemTotal"]

    def of(self, pod: Body) -> Container:
        """Return the one container of a pod."""
        (identity,) = container_ids(pod)
        return self.containers[identity]

    def carriers(self, pids: frozenset[int]) -> list[Kdamond]:
        """Return the running kdamonds that have any of these processes as a target."""
        return [k for k in self.kdamonds if k.state == "on" and pids & set(k.targets)]


class Scene:
    """Looks at the node, and at the objects of the cluster that speak of it."""

    def __init__(self, api: Api, node: VmNode) -> None:
        self._api = api
        self._node = node

    def look(self) -> Seen:
        """Read everything in the machine, by the kernel's own files."""
        done = self._node.on.run("python3", "-c", _LOOK, _ADMIN, timeout_s=_LOOK_S)
        body: dict[str, Any] = json.loads(done.stdout)
        containers = {
            identity: Container(
                pids=frozenset(found["pids"]),
                swap_max_bytes=found["swap_max_bytes"],
                swap_bytes=found["swap_bytes"],
                major_faults=found["major_faults"],
                areas={kind: Area(**area) for kind, area in found["areas"].items()},
                file_bytes=found["file_bytes"],
            )
            for identity, found in body["containers"].items()
        }
        kdamonds = tuple(
            Kdamond(k["state"], k["pid"], tuple(k["targets"]), tuple(k["actions"]))
            for k in body["kdamonds"]
        )
        return Seen(
            boot=body["boot"],
            memory=body["memory"],
            containers=containers,
            nr_kdamonds=body["nr_kdamonds"],
            kdamonds=kdamonds,
            threads=frozenset(body["threads"]),
        )

    def signal(self, pids: frozenset[int], number: int) -> None:
        """Send a signal to processes of the node."""
        for pid in pids:
            self._node.on.kill(pid, number)

    def report(self) -> Body:
        """Return what the agent says of its node."""
        found: Body = self._api.get("damonnodes", NAME)
        return found

    def verdicts(self) -> Iterator[tuple[str, str, str]]:
        """Yield type, status and reason of each condition the agent reports on the present plan."""
        node = self.report()
        status = node.get("status", {})
        if status.get("observedGeneration") == node["metadata"]["generation"]:
            for condition in status.get("conditions", ()):
                yield condition["type"], condition["status"], condition["reason"]

    def applied(self) -> bool:
        """Tell whether the agent reports the present plan as applied, and nothing wrong."""
        wanted = {("Ready", "True", "Applied"), ("Degraded", "False", "AsExpected")}
        return wanted <= set(self.verdicts())
