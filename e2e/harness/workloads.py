"""Pods of the suites: each sleeps until it is deleted, and goes at once then."""

from collections.abc import Iterable
from typing import Any, Final

from harness.api import Api, Body, eventually, ready
from harness.release import AGENT_IMAGE

PRIORITY: Final = "damon-operator.io/priority"
EXEMPT: Final = "damon-operator.io/exempt"


def container(name: str, command: str = "exec sleep infinity", **more: Any) -> Body:
    """Return a container that runs a shell command."""
    return {
        "name": name,
        "image": AGENT_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", command],
        **more,
    }


def pod(
    name: str,
    node: str,
    *,
    namespace: str = "shop",
    priority: str = "",
    exempt: str = "",
    class_name: str = "",
    labels: dict[str, str] | None = None,
    containers: list[Body] | None = None,
    init: list[Body] | None = None,
) -> Body:
    """Return a pod bound to a node; the scheduler is not what is tested."""
    annotations = {key: v for key, v in ((PRIORITY, priority), (EXEMPT, exempt)) if v}
    spec: Body = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [{"operator": "Exists"}],
        "containers": containers or [container("main")],
    }
    if init:
        spec["initContainers"] = init
    if class_name:
        spec["priorityClassName"] = class_name
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": annotations,
            "labels": labels or {},
        },
        "spec": spec,
    }


def container_ids(pod: Body) -> Iterable[str]:
    """Yield the runtime's ids of the pod's running containers, of every kind."""
    status = pod["status"]
    for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(kind, ()):
            if "running" in container.get("state", {}):
                yield container["containerID"].partition("://")[2]


class Workloads:
    """Creates pods, waits for them, and takes them away again."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._started: list[tuple[str, str]] = []

    def start(self, *pods: Body) -> list[Body]:
        """Create pods and wait until all their containers run; return them as they are then."""
        for body in pods:
            self.create(body)
        return [
            self.running(body["metadata"]["name"], body["metadata"]["namespace"]) for body in pods
        ]

    def create(self, body: Body) -> None:
        """Create a pod and remember to delete it."""
        metadata = body["metadata"]
        self._api.create("pods", body)
        self._started.append((metadata["name"], metadata["namespace"]))

    def running(self, name: str, namespace: str = "shop", within_s: float = 180) -> Body:
        """Wait until a pod is Ready."""
        return eventually(
            f"pod {namespace}/{name} is ready", lambda: self._ready(name, namespace), within_s
        )

    def annotate(self, name: str, value: str | None, namespace: str = "shop") -> None:
        """Set or remove the priority annotation."""
        change = {"metadata": {"annotations": {PRIORITY: value}}}
        self._api.patch("pods", name, change, namespace)

    def delete(self, name: str, namespace: str = "shop") -> None:
        """Delete a pod and wait until the kubelet says that its containers are gone."""
        self._api.delete("pods", name, namespace)
        self.gone(name, namespace)

    def gone(self, name: str, namespace: str = "shop") -> None:
        """Wait until a pod is no more."""
        eventually(
            f"pod {namespace}/{name} is gone",
            lambda: self._api.find("pods", name, namespace) is None,
            180,
        )

    def clear(self) -> None:
        """Delete everything that was started."""
        for name, namespace in self._started:
            self._api.delete("pods", name, namespace)
        for name, namespace in self._started:
            self.gone(name, namespace)
        self._started.clear()

    def _ready(self, name: str, namespace: str) -> Body | None:
        found = self._api.get("pods", name, namespace)
        return found if ready(found)[0] == "True" else None
