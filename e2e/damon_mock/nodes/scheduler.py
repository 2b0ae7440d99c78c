"""The simplest scheduler: a pod without a node goes to the simulated node with the fewest pods."""

import contextlib
from collections import Counter

from damon_mock.kube.cluster import Cluster

_UNASSIGNED = "spec.nodeName="


class Scheduler:
    """Assigns pods that name no node, so that `kubectl run` does what people expect."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster.acting_as("kube-scheduler")

    async def run(self) -> None:
        """Follow the pods until cancelled."""
        while True:
            changes = self._cluster.changes("pods", fields=_UNASSIGNED)
            async with contextlib.aclosing(changes):
                self.assign()
                async for change in changes:
                    if change.type != "DELETED":
                        self.assign()

    def assign(self) -> None:
        """Give every pod without a node one, unless the cluster has none."""
        nodes = [node["metadata"]["name"] for node in self._cluster.list("nodes")]
        waiting = self._cluster.list("pods", fields=_UNASSIGNED)
        if not nodes or not waiting:
            return
        assigned = self._cluster.list("pods", fields="spec.nodeName!=")
        load = Counter(pod["spec"]["nodeName"] for pod in assigned)
        for pod in waiting:
            node = min(nodes, key=lambda name: load[name])
            load[node] += 1
            metadata = pod["metadata"]
            self._cluster.bind(metadata["name"], metadata["namespace"], node)
