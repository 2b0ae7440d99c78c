"""memory.reclaim switched on by the chart: each node says what goes that way, or why not."""

from collections.abc import Iterator

import pytest
from harness.api import Api, Body, eventually
from harness.release import VALUES, Release
from harness.workloads import Workloads, pod
from tests_kind.nodes import Node
from tests_kind.truth import Truth


@pytest.fixture(name="writing")
def writing_fixture(tuning: Body, release: Release) -> Iterator[Release]:
    """The release whose agents may write memory.reclaim."""
    release.install(agent={**VALUES["agent"], "memoryReclaim": True})
    yield release
    release.install()


def test_each_node_says_by_which_mechanism_its_pods_are_served(
    writing: Release, api: Api, truth: Truth, workloads: Workloads, workers: tuple[Node, Node]
) -> None:
    """What a machine below kind can do differs (cgroup v1, swap, its kernel): it has to be told."""
    node = workers[0]
    workloads.start(pod("eager", node.name, priority="10"))
    truth.holds()

    def said() -> Body | None:
        status: Body = api.get("damonnodes", node.name).get("status", {})
        told: Body = status.get("memoryReclaim", {})
        return status if told and "no pod" not in told.get("message", "") else None

    status = eventually("the agent says what goes by memory.reclaim", said)
    if status["memoryReclaim"]["takes"] == "Nothing":
        # Of a node without swap that is told first.
        (degraded,) = [c for c in status["conditions"] if c["type"] == "Degraded"]
        assert status["memoryReclaim"]["message"] in degraded["message"]
    mounts = writing.agents()[node.name]["spec"]["containers"][0]["volumeMounts"]
    (cgroup,) = [mount for mount in mounts if mount["name"] == "cgroup"]
    assert not cgroup.get("readOnly")

    api.patch("damontunings", "default", {"spec": {"mode": "Observe"}})

    def observes() -> bool:
        told = api.get("damonnodes", node.name)["status"].get("memoryReclaim", {})
        return "mode Observe" in told.get("message", "")

    eventually("nothing goes in mode Observe", observes)
    truth.holds(acts=False)
