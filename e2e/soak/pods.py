"""Pods that come, change and go: most of them in the API alone, some with real processes."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from damon_mock.kube.failures import ApiFailure
from damon_mock.nodes.pods import Pod
from soak.stage import NAMESPACES, PAPER_NODES, Node, Stage

_EVENTS: Final = logging.getLogger("soak.events")
REAL_PER_NODE: Final = 9
PAPER_PER_NODE: Final = 40
_REAL_PERMILLE: Final = 200
"""Of all pods that come."""
_GONE: Final = (ApiFailure, KeyError, ProcessLookupError, StopIteration)
"""What a pod may answer that somebody else has just deleted, or a restore has."""

_ASKED: Final = (
    *("5", "25", "40", "60", "75", "99", "100"),
    *("very high", "0", "-1", "050", " 50", "5e1", "\u0665\u0660", "\x1b[31m", "", "9" * 5000),
)
"""Values of the priority annotation, sane and not."""
_CLASSES: Final = ("critical", "standard", "batch", "")
_NAMESPACES: Final = ("shop", "shop", "team-a", "builds")


class Churn:
    """Keeps pods coming and going; what comes follows from the random numbers alone."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._number = 0
        self.created = 0
        self.real = 0
        self.born: dict[str, tuple[bool, bool]] = {}
        """name -> (may it be a target, is it protected): for all of its life."""

    async def settle(self, random: Random) -> None:
        """Fill nodes and paper nodes for the first time."""
        for node in self._stage.nodes:
            for _ in range(REAL_PER_NODE):
                await self.come(random, node)
        for name in PAPER_NODES:
            for _ in range(PAPER_PER_NODE):
                self.come_on_paper(random, name)

    async def run(self, random: Random, number: int, seconds: float) -> None:
        """Let so many pods come within so many seconds, others go, and others change."""
        for _ in range(number):
            with contextlib.suppress(*_GONE):
                if random.randrange(1000) < _REAL_PERMILLE:
                    await self._turn(random)
                else:
                    self._turn_on_paper(random)
            await asyncio.sleep(seconds / number)

    async def _turn(self, random: Random) -> None:
        node = random.choice(self._stage.nodes)
        await self.come(random, node)
        keys = sorted(node.simulated.kubelet.pods)
        if len(keys) > REAL_PER_NODE:
            namespace, name = random.choice(keys)
            await node.simulated.delete_pod(name, namespace)
            _EVENTS.info("%s/%s leaves %s", namespace, name, node.name)
        if keys:
            namespace, name = random.choice(keys)
            self._ask_anew(random, name, namespace)

    def _turn_on_paper(self, random: Random) -> None:
        node = random.choice(PAPER_NODES)
        self.come_on_paper(random, node)
        cluster = self._stage.api.cluster
        here = cluster.list("pods", fields=f"spec.nodeName={node}")
        if len(here) > PAPER_PER_NODE:
            metadata = random.choice(here)["metadata"]
            cluster.delete("pods", metadata["name"], metadata["namespace"], grace_seconds=0)
            _EVENTS.info("%s/%s leaves %s", metadata["namespace"], metadata["name"], node)
        metadata = random.choice(here)["metadata"]
        self._ask_anew(random, metadata["name"], metadata["namespace"])

    def _ask_anew(self, random: Random, name: str, namespace: str) -> None:
        """Let the owner change the priority; critical and exempt pods stay what they are."""
        cluster = self._stage.api.cluster
        pod = cluster.get("pods", name, namespace)
        if pod["spec"].get("priorityClassName") == "critical" or is_exempt(pod):
            return
        asked = random.choice(_ASKED)
        _EVENTS.info("%s/%s asks for %.20r", namespace, name, asked)
        cluster.annotate("pods", name, {"damon-operator.io/priority": asked}, namespace)

    async def come(self, random: Random, node: Node, **spec: Any) -> dict[str, Any]:
        """Run a pod with real processes on a node."""
        self.created += 1
        self.real += 1
        manifest = self.manifest(random, **spec)
        _EVENTS.info("%s comes to %s", manifest["metadata"]["name"], node.name)
        self.born[manifest["metadata"]["name"]] = (not is_exempt(manifest), is_protected(manifest))
        return await node.simulated.start_pod(manifest)

    def come_on_paper(self, random: Random, node: str, **spec: Any) -> None:
        """Create a pod that is said to run."""
        self.created += 1
        manifest = self.manifest(random, nodeName=node, **spec)
        _EVENTS.info("%s comes to %s", manifest["metadata"]["name"], node)
        identifier = f"{random.getrandbits(256):064x}"
        manifest["status"] = {
            "phase": "Running",
            "containerStatuses": [
                {
                    "name": "main", "image": "i", "imageID": "", "ready": True, "restartCount": 0,
                    "containerID": f"containerd://{identifier}",
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                }
            ],
        }  # fmt: skip
        self._stage.api.cluster.create(manifest)

    def manifest(self, random: Random, **spec: Any) -> dict[str, Any]:
        """Return a pod; some ask for a priority, some have a class, some may be in no plan."""
        self._number += 1
        annotations = {}
        chosen = random.choice(_CLASSES)
        if chosen != "critical" and random.randrange(3) == 0:
            annotations["damon-operator.io/priority"] = random.choice(_ASKED)
        if random.randrange(12) == 0:
            annotations["damon-operator.io/exempt"] = random.choice(("true", "True", "yes"))
        if chosen:
            spec["priorityClassName"] = chosen
        if random.randrange(20) == 0:
            spec["runtimeClassName"] = "kata-qemu"
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"pod-{self._number:05d}",
                "namespace": random.choice(_NAMESPACES),
                "annotations": annotations,
            },
            "spec": {"containers": [{"name": "main", "image": "busybox:1.37"}], **spec},
        }


def is_exempt(pod: dict[str, Any]) -> bool:
    """Return whether a pod is born to be in no plan; nobody changes that during its life."""
    annotations = pod["metadata"].get("annotations") or {}
    runtime = pod["spec"].get("runtimeClassName", "")
    return annotations.get("damon-operator.io/exempt") == "true" or "kata" in runtime


def is_protected(pod: dict[str, Any]) -> bool:
    """Return whether a pod is born to be protected: by its class, where no rule comes first."""
    is_critical = pod["spec"].get("priorityClassName") == "critical"
    return is_critical and not NAMESPACES[pod["metadata"]["namespace"]]


def real_pods(node: Node) -> Iterator[Pod]:
    """Iterate over the pods that run on a node now."""
    yield from list(node.simulated.kubelet.pods.values())
