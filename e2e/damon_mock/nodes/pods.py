"""Pods as a kubelet keeps them: what runs, and what it says about that in pod status."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from damon_mock.nodes.layout import RuntimeName

Body = dict[str, Any]


@dataclass
class Container:
    """One running container, or the pod's sandbox, or a monitor: a session in a cgroup."""

    name: str
    id: str
    session: int
    cgroup: str
    started_at: str = ""
    restarts: int = 0


@dataclass
class Pod:
    """One pod that runs on the node."""

    uid: str
    namespace: str
    name: str
    qos_class: str
    cgroup: str
    restarts_containers: bool
    sandbox: Container
    containers: dict[str, Container] = field(default_factory=dict)
    monitors: dict[str, Container] = field(default_factory=dict)
    """CRI-O's conmon of each container."""
    failed: bool = False

    def sessions(self) -> Iterator[Container]:
        """Iterate over everything that has processes."""
        yield self.sandbox
        yield from self.containers.values()
        yield from self.monitors.values()


def wanted_containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the containers that keep running: ordinary ones and sidecars."""
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return [*sidecars, *spec["containers"]]


def running_ids(said: Body) -> frozenset[str]:
    """Return the ids of the containers that a pod's status names."""
    kinds = ("containerStatuses", "initContainerStatuses")
    containers = (each for kind in kinds for each in said.get(kind) or ())
    return frozenset(str(each["containerID"]) for each in containers if each.get("containerID"))


def status(pod: Pod, spec: Mapping[str, Any], runtime: RuntimeName, now: str) -> Body:
    """Return the pod status a kubelet reports; the sandbox and monitors are never in it."""

    def described(container: Mapping[str, Any]) -> Body:
        about = {
            "name": container["name"],
            "image": container.get("image", ""),
            "imageID": "",
            "lastState": {},
        }
        running = pod.containers.get(container["name"])
        if running is None:
            failed = {"exitCode": 137, "reason": "Error"}
            done = {"exitCode": 0, "reason": "Completed"}
            state = {"terminated": failed if pod.failed else done}
            return {**about, "ready": False, "restartCount": 0, "state": state}
        return {
            **about,
            "containerID": f"{runtime}://{running.id}",
            "ready": True,
            "started": True,
            "restartCount": running.restarts,
            "state": {"running": {"startedAt": running.started_at}},
        }

    ready = "False" if pod.failed else "True"
    conditions = [
        {"type": kind, "status": ready, "lastTransitionTime": now}
        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    said: Body = {
        "phase": "Failed" if pod.failed else "Running",
        "conditions": conditions,
        "startTime": pod.sandbox.started_at,
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "containerStatuses": [described(container) for container in spec["containers"]],
    }
    if spec.get("initContainers"):
        said["initContainerStatuses"] = [described(c) for c in spec["initContainers"]]
    return said


def requested_bytes(container: Mapping[str, Any]) -> int:
    """Return the memory a container requests; binary and decimal suffixes as Kubernetes has."""
    text = str((container.get("resources") or {}).get("requests", {}).get("memory", "0"))
    for suffix, factor in _FACTORS.items():
        if text.endswith(suffix):
            return int(text.removesuffix(suffix)) * factor
    return int(text)


_FACTORS: Final = {
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
    "Ti": 1024**4,
    "k": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "T": 1000**4,
}
