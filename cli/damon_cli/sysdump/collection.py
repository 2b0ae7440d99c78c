"""Asks for everything a dump has. What cannot be had costs itself, and is named."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from damon_cli.client import DAMON_NODES, TUNINGS, Client, Raw, object_path, of_namespace
from damon_cli.errors import CliError
from damon_cli.sysdump.contents import Missing, OurPod, Part, file_name
from damon_contract import names

_OURS: Final = f"{names.PART_OF_LABEL}={names.PART_OF}"
_APPS: Final = "/apis/apps/v1"
_LEASES: Final = "/apis/coordination.k8s.io/v1"
_LOG_LINES: Final = 10_000
"""Of each log, its last."""
_LOG_BYTES: Final = 8 * 2**20
"""Of these lines. The API server leaves out the newest beyond it, so it is more than they take."""
_METRICS_BYTES: Final = 8 * 2**20
_MOST_LOGS: Final = 100
"""Pods whose logs and metrics are asked for, those first that are not ready."""
_DAMON_NODE_PAGE: Final = 100
_THREADS: Final = 4

Entry = Part | Missing


@dataclass
class Collection:
    """One dump of one cluster."""

    client: Client
    namespace: str = ""
    """Of the installation; empty: it is looked for."""
    nodes: tuple[str, ...] = ()
    """Only DamonNodes and agents of these; empty: of all."""
    pods: list[OurPod] = field(default_factory=list)

    def entries(self) -> Iterator[Entry]:
        """Yield everything, one after the other."""
        yield from _tried("apiserver", self._api_server())
        yield from _tried("damontunings", self._objects(TUNINGS, "damontunings"))
        yield from _tried("damonnodes", self._damon_nodes())
        yield from _tried("events", self._our_events())
        yield from _tried("the pods of the installation", self._pods())
        for namespace in sorted({pod.namespace for pod in self.pods} | {self.namespace} - {""}):
            yield from self._installation(namespace)
        yield from self._of_pods()

    def _api_server(self) -> Iterator[Part]:
        yield Part.of("apiserver", self.client.get("/version"))

    def _objects(
        self, path: str, directory: str, *, labels: str = "", size: int = 500
    ) -> Iterator[Part]:
        for page in self.client.pages(path, labels=labels, size=size):
            kind = str(page.get("kind") or "").removesuffix("List")
            head = {"apiVersion": page.get("apiVersion"), "kind": kind}
            for raw in page.get("items") or ():
                name = file_name(str((raw.get("metadata") or {}).get("name")))
                yield Part.of(f"{directory}/{name}", {**head, **raw})

    def _damon_nodes(self) -> Iterator[Part]:
        if not self.nodes:
            yield from self._objects(DAMON_NODES, "damonnodes", size=_DAMON_NODE_PAGE)
        for name in self.nodes:
            raw = self.client.get(object_path(DAMON_NODES, name))
            yield Part.of(f"damonnodes/{file_name(name)}", raw)

    def _pods(self) -> Iterator[Entry]:
        for raw in self.client.items(of_namespace(self.namespace, "pods"), labels=_OURS):
            pod = OurPod.of(raw)
            if self.nodes and pod.is_agent and pod.node not in self.nodes:
                continue
            self.pods.append(pod)
            head = {"apiVersion": "v1", "kind": "Pod"}
            yield Part.of(f"{file_name(pod.namespace)}/pods/{file_name(pod.name)}", {**head, **raw})
        if not self.pods:
            where = f"in namespace {self.namespace}" if self.namespace else "in any namespace"
            yield Missing("the installation", f"no pod is labelled {_OURS} {where}")

    def _installation(self, namespace: str) -> Iterator[Entry]:
        directory = file_name(namespace)
        for plural in ("deployments", "daemonsets"):
            path = of_namespace(namespace, plural, group=_APPS)
            found = self._objects(path, f"{directory}/{plural}", labels=_OURS)
            yield from _tried(f"{plural} of {namespace}", found)
        yield from _tried(f"leases of {namespace}", self._leases(namespace))
        yield from _tried(f"events of {namespace}", self._events(namespace))

    def _leases(self, namespace: str) -> Iterator[Part]:
        path, directory = of_namespace(namespace, "leases", group=_LEASES), file_name(namespace)
        labels = ",".join(f"{name}={value}" for name, value in names.AGENT_LEASE_LABELS.items())
        yield from self._objects(path, f"{directory}/leases", labels=labels)
        for name in sorted({pod.argument("lease-name") for pod in self.pods} - {""}):
            raw = self.client.find(object_path(path, name))
            if raw is not None:
                yield Part.of(f"{directory}/leases/{file_name(name)}", raw)

    def _events(self, namespace: str) -> Iterator[Part]:
        """Yield the Events about what is ours; a namespace may have pods of others as well."""
        names_of_leases = {pod.argument("lease-name") for pod in self.pods} - {""}
        found = []
        for event in self.client.items(of_namespace(namespace, "events")):
            name = str((event.get("involvedObject") or {}).get("name") or "")
            if name in names_of_leases or any(pod.is_meant_by(name) for pod in self.pods):
                found.append(event)
        yield Part.of(f"{file_name(namespace)}/events", {"items": found})

    def _our_events(self) -> Iterator[Part]:
        found: list[Raw] = []
        for kind in (names.TUNING_KIND, names.NODE_KIND):
            found += self.client.items(
                of_namespace("", "events"), fields=f"involvedObject.kind={kind}"
            )
        yield Part.of("events", {"items": found})

    def _of_pods(self) -> Iterator[Entry]:
        asked = sorted(self.pods, key=lambda pod: pod.ready)
        with ThreadPoolExecutor(_THREADS) as threads:
            for first in range(0, min(len(asked), _MOST_LOGS), _THREADS):  # what is had takes room
                for entries in threads.map(self._of_pod, asked[first : first + _THREADS]):
                    yield from entries
        if asked and not any(pod.metrics_port for pod in asked):
            yield Missing("metrics", "no pod serves any (metrics.enabled of the chart)")
        if len(asked) > _MOST_LOGS:
            why = f"only those of {_MOST_LOGS} pods are asked for; --node names the nodes"
            yield Missing(f"logs and metrics of {len(asked) - _MOST_LOGS} pods", why)

    def _of_pod(self, pod: OurPod) -> list[Entry]:
        path = object_path(of_namespace(pod.namespace, "pods"), pod.name)
        start = f"{file_name(pod.namespace)}/logs/{file_name(pod.name)}"
        entries: list[Entry] = []
        for container in pod.containers:
            query = f"container={container}&tailLines={_LOG_LINES}&limitBytes={_LOG_BYTES}"
            to = f"{start}.{file_name(container)}"
            entries += self._text(f"{to}.log", f"{path}/log?{query}")
            if container in pod.restarted:
                entries += self._text(f"{to}.previous.log", f"{path}/log?{query}&previous=true")
        if pod.metrics_port is not None:
            to = f"{file_name(pod.namespace)}/metrics/{file_name(pod.name)}.txt"
            entries += self._text(to, f"{path}:{pod.metrics_port}/proxy/metrics")
        return entries

    def _text(self, to: str, path: str) -> list[Entry]:
        def parts() -> Iterator[Part]:
            yield Part.of_text(to, self.client.text(path, most_bytes=_METRICS_BYTES))

        return list(_tried(to, parts()))


def _tried(what: str, parts: Iterable[Entry]) -> Iterator[Entry]:
    """Yield parts; what ends them costs the rest of them and nothing else."""
    try:
        yield from parts
    except CliError as error:
        yield Missing(what, error.message)
