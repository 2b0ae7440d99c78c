"""What must be in each node's kernel, from the cluster's objects and the nodes' own /proc.

Nothing here reads a DamonNode: plan and status are what is under test.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from harness.api import Api, until_nothing
from harness.workloads import container_ids
from tests_kind.nodes import Node

from damon_mock.demo import expectation, observation
from damon_mock.demo.expectation import ExpectedPod
from damon_mock.demo.observation import Observation

Pod = Mapping[str, Any]

_OWN: Final = ("app.kubernetes.io/part-of", "damon-operator")
_NODE_TOOL: Final = ("app.kubernetes.io/component", "node-tool")
FLOOR_PERMILLE: Final = 960
CEILING_PERMILLE: Final = 1000
"""Of the tuning under test: above what is ever free here, so that every lane is awake."""
ATTEMPTS_S: Final = 120.0


class Truth:
    """Works out what must hold with the tuning under test (metric FreeMemory), and compares."""

    def __init__(self, api: Api, nodes: Mapping[str, Node]) -> None:
        self._api = api
        self._nodes = nodes

    def expected(self, name: str) -> tuple[ExpectedPod, ...]:
        """Return how each pod of a node must be treated now."""
        pods = [p for p in self._api.get("pods") if p["spec"].get("nodeName") == name]
        planned = [p for p in pods if not _labelled(p, _OWN) and not _labelled(p, _NODE_TOOL)]
        decided = expectation.cluster_wide(
            planned, self._api.get("priorityclasses"), self._api.get("namespaces")
        )
        node = self._nodes[name]
        processes = node.processes()
        here = {
            p["metadata"]["uid"]: (p["metadata"]["name"], pids_of(p, processes))
            for p in planned
            if _running(p)
        }
        meter = node.meter(self._api.get("nodes", name))
        return expectation.on_node(
            here, decided, meter, floor=FLOOR_PERMILLE, ceiling=CEILING_PERMILLE
        )

    def differences(self, name: str, *, acts: bool = True) -> list[str]:
        """Return what a node's kernel copy holds otherwise than it must."""
        expected = self.expected(name)
        if not acts:
            expected = tuple(replace(pod, action=pod.action and "stat") for pod in expected)
        return observation.differences(expected, self._nodes[name].observe())

    def holds(self, *names: str, within_s: float = ATTEMPTS_S, acts: bool = True) -> None:
        """Wait until the kernel copy is as it must be on these nodes, by default on all.

        `acts`: whether the tuning enforces; else every scheme only counts.
        """

        def look() -> list[str]:
            return [
                f"{n}: {d}" for n in names or self._nodes for d in self.differences(n, acts=acts)
            ]

        until_nothing("every mock holds exactly what it must", look, within_s)

    def switched_off(self, *names: str, within_s: float = ATTEMPTS_S) -> None:
        """Wait until nothing of ours is left in the kernel of these nodes, by default of all."""

        def look() -> list[str]:
            return [f"{n}: {d}" for n in names or self._nodes for d in remains(self._nodes[n])]

        until_nothing("every mock is as it was found", look, within_s)

    def of(self, pod: Pod) -> ExpectedPod:
        """Return how one pod must be treated."""
        found = self.expected(pod["spec"]["nodeName"])
        return next(p for p in found if p.name == pod["metadata"]["name"])


def remains(node: Node) -> list[str]:
    """Return what is left of a plan on a node: lanes, targets, directories."""
    seen = node.observe()
    left = [f"kdamond {lane.index} runs" for lane in seen.lanes]
    if seen.nr_kdamonds != "0":
        left.append(f"nr_kdamonds is {seen.nr_kdamonds}")
    return left + [f"{path} is there" for path in seen.sysfs if "/kdamonds/0" in path][:1]


def pids_of(pod: Pod, processes: Mapping[str, frozenset[int]]) -> frozenset[int]:
    """Return the processes of a pod's containers, by the node's own /proc."""
    return frozenset(
        pid for identity in container_ids(pod) for pid in processes.get(identity, frozenset())
    )


def lanes_by_pod(seen: Observation, expected: Iterable[ExpectedPod]) -> dict[str, ExpectedPod]:
    """Return the expected pods that some lane carries, by name."""
    carried = {pid for lane in seen.lanes for pid in lane.pids}
    return {pod.name: replace(pod) for pod in expected if pod.pids & carried}


def _running(pod: Pod) -> bool:
    return pod["status"].get("phase") == "Running" and any(container_ids(pod))


def _labelled(pod: Pod, label: tuple[str, str]) -> bool:
    return (pod["metadata"].get("labels") or {}).get(label[0]) == label[1]
