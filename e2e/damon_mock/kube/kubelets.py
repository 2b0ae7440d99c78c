"""What an API server asks kubelets and pods for: logs, and pages through the pods' proxy.

No kubelet is asked: a test says what one would answer. What the API server itself checks is as in
k8s.io/kubernetes pkg/registry/core/pod/strategy.go (LogLocation, ResourceLocation).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from damon_mock.kube import failures
from damon_mock.kube.failures import Body
from damon_mock.kube.listing import number

_SERVED: Final = frozenset({"container", "previous", "limitBytes", "tailLines"})


@dataclass
class Kubelets:
    """What the kubelets have; change it at will."""

    logs: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By namespace, pod and container."""
    previous: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Logs of the containers' instances before."""
    pages: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """What pods serve over HTTP: by namespace, NAME:PORT and path without a leading slash."""

    def log(self, pod: Body, query: Mapping[str, str]) -> str | None:
        """Return a log; None: the pod is on no node yet, so there is nothing to answer."""
        if unserved := sorted(query.keys() - _SERVED):
            causes = [
                failures.forbidden_field(n, "not served by the embedded API") for n in unserved
            ]
            raise failures.invalid("PodLogOptions", "", "", causes)
        metadata = pod["metadata"]
        container = _container(pod, query.get("container", ""))
        if not pod["spec"].get("nodeName"):
            return None
        key = (metadata["namespace"], metadata["name"], container)
        if query.get("previous") in {"1", "true"}:
            if key not in self.previous:
                what = f'previous terminated container "{container}" in pod "{metadata["name"]}"'
                raise failures.bad_request(f"{what} not found")
            return _part(self.previous[key], query)
        if key not in self.logs and (reason := _waits(pod, container)):
            what = f'container "{container}" in pod "{metadata["name"]}"'
            raise failures.bad_request(f"{what} is waiting to start: {reason}")
        return _part(self.logs.get(key, ""), query)

    def page(self, namespace: str, name_and_port: str, path: str) -> str:
        """Return what a pod serves; 503 where nobody answers."""
        found = self.pages.get((namespace, name_and_port, path))
        if found is None:
            raise failures.unreachable_service("dial tcp: connect: connection refused")
        return found


def _container(pod: Body, asked: str) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [each["name"] for each in spec["containers"]]
    initial = [each["name"] for each in spec.get("initContainers") or ()]
    if not asked and len(names) == 1:
        return str(names[0])
    if not asked:
        more = f" or one of the init containers: [{' '.join(initial)}]" if initial else ""
        raise failures.bad_request(
            f"a container name must be specified for pod {name}, choose one of: "
            f"[{' '.join(names)}]{more}"
        )
    if asked not in {*names, *initial}:
        raise failures.bad_request(f"container {asked} is not valid for pod {name}")
    return asked


def _waits(pod: Body, container: str) -> str:
    """Return why a container has no log yet; empty: it has run."""
    status = pod.get("status") or {}
    states: dict[str, Any] = {
        each["name"]: each.get("state") or {}
        for kind in ("containerStatuses", "initContainerStatuses")
        for each in status.get(kind) or ()
    }
    state = states.get(container, {"waiting": {}})
    waiting = state.get("waiting")
    return "" if waiting is None else str(waiting.get("reason") or "ContainerCreating")


def _part(log: str, query: Mapping[str, str]) -> str:
    if "tailLines" in query:
        lines = log.splitlines(keepends=True)
        log = "".join(lines[max(0, len(lines) - number(query["tailLines"])) :])
    if "limitBytes" in query:
        log = log.encode()[: number(query["limitBytes"])].decode(errors="ignore")
    return log
