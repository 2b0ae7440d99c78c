"""What `top` shows, and how it is read."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from damon_cli.client import (
    DAMON_NODES,
    Client,
    Raw,
    object_path,
    of_namespace,
)
from damon_cli.damon_node import DamonNode
from damon_cli.errors import CliError
from damon_cli.top.usage import Grouping, Order, PodInfo, Usage, ordered, usages
from damon_contract.quantities import quantity_bytes

_METRICS: Final = "/apis/metrics.k8s.io/v1beta1"
_FEW_NODES: Final = 50
"""Up to so many nodes are asked for one by one; of more all are listed."""
_DAMON_NODE_PAGE: Final = 100
"""A DamonNode is up to 64 KiB and its plan as much again."""


@dataclass(frozen=True)
class TopOptions:
    """What the command line asks for."""

    grouping: Grouping
    order: Order
    namespace: str
    """Empty: all."""
    labels: str
    nodes: tuple[str, ...]
    limit: int
    """Rows that a person is shown; 0: all."""


@dataclass
class Picture:
    """Everything that has been read so far."""

    nodes: dict[str, DamonNode] = field(default_factory=dict)
    version: str = ""
    working_sets: Mapping[str, int] = field(default_factory=dict)
    infos: Mapping[str, PodInfo] | None = None
    """By uid; None: all pods, and nothing is known of them."""
    rates: Mapping[str, int] = field(default_factory=dict)

    def rows(self, asked: TopOptions) -> list[Usage]:
        """Return the rows that are asked for, in order."""
        infos = self.infos

        def selected(namespace: str, uid: str) -> bool:
            here = not asked.namespace or namespace == asked.namespace
            return here and (not asked.labels or infos is None or uid in infos)

        found = usages(
            self.nodes.values(),
            selected=selected,
            working_sets=self.working_sets,
            infos=infos or {},
            rates=self.rates,
            grouping=asked.grouping,
        )
        return ordered(found, asked.order)

    def sums(self) -> dict[str, int]:
        """Return what has come back of each pod since it started, by uid."""
        return {
            uid: each.refaulted_bytes
            for node in self.nodes.values()
            for uid, each in node.figures.items()
            if each.refaulted_bytes is not None
        }


def look(client: Client, asked: TopOptions) -> Picture:
    """Read everything once; only the nodes that matter where that is possible."""
    picture = Picture()
    nodes = asked.nodes
    if asked.namespace or asked.labels or asked.grouping is Grouping.WORKLOAD:
        pods = list(client.items(of_namespace(asked.namespace, "pods"), labels=asked.labels))
        picture.infos = {str(pod["metadata"].get("uid")): PodInfo(workload(pod)) for pod in pods}
        here = {str((pod.get("spec") or {}).get("nodeName") or "") for pod in pods} - {""}
        nodes = nodes or tuple(sorted(here))
        if not nodes:
            return picture
    picture.nodes, picture.version = damon_nodes(client, nodes)
    picture.working_sets = working_sets(client, asked.namespace)
    return picture


def damon_nodes(client: Client, names: tuple[str, ...]) -> tuple[dict[str, DamonNode], str]:
    """Return DamonNodes, all without names, and the version to watch from, if it is known."""
    if names and len(names) <= _FEW_NODES:
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(client.find, (object_path(DAMON_NODES, n) for n in names)))
        raws = [raw for raw in found if raw is not None]
        return {raw["metadata"]["name"]: DamonNode.of(raw) for raw in raws}, ""
    nodes, version = {}, ""
    for page in client.pages(DAMON_NODES, size=_DAMON_NODE_PAGE):
        for raw in page.get("items") or ():
            name = raw["metadata"]["name"]
            if not names or name in names:
                nodes[name] = DamonNode.of(raw)
        version = str((page.get("metadata") or {}).get("resourceVersion") or "")
    return nodes, version


def working_sets(client: Client, namespace: str) -> dict[str, int]:
    """Return what metrics-server knows; nothing where there is none."""
    try:
        found = list(client.items(of_namespace(namespace, "pods", group=_METRICS)))
    except CliError:
        return {}
    sizes = {}
    for pod in found:
        metadata = pod["metadata"]
        try:
            used = sum(quantity_bytes(c["usage"]["memory"]) for c in pod.get("containers") or ())
        except (KeyError, TypeError, ValueError):
            continue
        sizes[f"{metadata.get('namespace')}/{metadata.get('name')}"] = used
    return sizes


def workload(pod: Raw) -> str:
    """Return what a pod belongs to: the Deployment behind a ReplicaSet, as its name tells."""
    metadata = pod["metadata"]
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
    if owner is None:
        return f"pod/{metadata['name']}"
    kind, name = str(owner.get("kind")), str(owner.get("name"))
    template = (metadata.get("labels") or {}).get("pod-template-hash")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return f"deployment/{name.removesuffix(f'-{template}')}"
    return f"{kind.lower()}/{name}"
