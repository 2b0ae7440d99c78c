"""Things end, hang and vanish; what is in the kernel stays right."""

import time
from collections.abc import Iterator
from functools import partial

import pytest
from harness.api import Api, Body, eventually, ready
from harness.release import NAMESPACE, Release
from harness.workloads import Workloads, pod
from tests_kind.nodes import Node
from tests_kind.truth import Truth, pids_of

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
PARKED = "/etc/kubernetes/kube-apiserver.yaml"


@pytest.fixture(name="running")
def running_fixture(
    tuning: Body, workloads: Workloads, truth: Truth, workers: tuple[Node, Node]
) -> list[Body]:
    """A few pods on both workers, in the kernel."""
    one, two = workers
    pods = workloads.start(
        pod("high", one.name, class_name="critical"),
        pod("low", one.name, priority="30"),
        pod("here", two.name, priority="40"),
        pod("there", two.name, priority="60"),
    )
    truth.holds()
    return pods


def _threads(node: Node) -> dict[int, int]:
    return {lane.index: lane.thread for lane in node.observe().lanes}


def test_a_killed_agent_comes_back_to_the_same_kdamonds(
    running: list[Body],
    release: Release,
    truth: Truth,
    workloads: Workloads,
    workers: tuple[Node, Node],
    api: Api,
) -> None:
    node = workers[0]
    threads = _threads(node)
    agent = release.agents()[node.name]
    (pid,) = pids_of(agent, node.processes())
    node.run(f"kill -KILL {pid}")
    workloads.start(pod("meanwhile", node.name, priority="30"))
    truth.holds(node.name)
    assert threads.items() <= _threads(node).items()
    # And once more with the pod itself taken away.
    api.delete("pods", agent["metadata"]["name"], NAMESPACE)
    workloads.delete("meanwhile")
    truth.holds(node.name)
    release.ready()
    truth.holds(node.name)
    assert threads.items() <= _threads(node).items()


def test_a_killed_leader_is_followed_by_the_other_and_no_plan_changes(
    running: list[Body],
    release: Release,
    truth: Truth,
    workloads: Workloads,
    nodes: dict[str, Node],
    workers: tuple[Node, Node],
    api: Api,
) -> None:
    leader = eventually("there is a leader", release.leader)
    plans = {n["metadata"]["name"]: n["metadata"]["generation"] for n in api.get("damonnodes")}
    writes = {name: node.writes() for name, node in nodes.items()}
    victim = api.get("pods", leader, NAMESPACE)
    node = nodes[victim["spec"]["nodeName"]]
    api.ask("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/{leader}?gracePeriodSeconds=0")
    for pid in pids_of(victim, node.processes()):
        node.run(f"kill -KILL {pid}", check=False)
    eventually(
        "another replica leads", lambda: release.leader() not in {"", leader} and release.leader()
    )
    release.ready()
    after = {n["metadata"]["name"]: n["metadata"]["generation"] for n in api.get("damonnodes")}
    assert after == plans
    assert {name: node.writes() for name, node in nodes.items()} == writes
    # It really works: a new pod gets into the kernel.
    workloads.start(pod("later", workers[0].name, priority="30"))
    truth.holds()


@pytest.fixture(name="outage")
def outage_fixture(control_plane: Node, api: Api) -> Iterator[None]:
    """The API server stopped for 30 seconds, and running again in any case afterwards."""
    control_plane.run(f"mv {MANIFEST} {PARKED}")
    try:
        eventually("the API server is gone", lambda: not api.answers(), 120)
        yield
    finally:
        control_plane.run(f"test -e {MANIFEST} || mv {PARKED} {MANIFEST}")
        eventually("the API server answers", api.answers, 240)
        _controllers_work(api)


def _controllers_work(api: Api) -> None:
    """Wait until Kubernetes' own controllers work, which end and start anew with an outage.

    A node that comes or goes while they start may escape them for hours.
    """
    name = "controllers"
    eventually("a namespace is made", partial(_made, api, name))
    eventually("it has got its account", lambda: api.find("serviceaccounts", "default", name), 120)
    api.delete("namespaces", name)
    eventually("the namespace is gone", lambda: api.find("namespaces", name) is None, 120)


def _made(api: Api, namespace: str) -> Body:
    return api.find("namespaces", namespace) or api.create(
        "namespaces", {"metadata": {"name": namespace}}
    )


def test_thirty_seconds_without_an_api_server_change_nothing_in_the_kernel(
    running: list[Body],
    outage: None,
    truth: Truth,
    workloads: Workloads,
    workers: tuple[Node, Node],
    control_plane: Node,
    release: Release,
    api: Api,
) -> None:
    threads = {node.name: _threads(node) for node in workers}
    carried = {n.name: sorted(p for lane in n.observe().lanes for p in lane.pids) for n in workers}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert not api.answers()
        for node in workers:
            assert _threads(node) == threads[node.name]
            pids = sorted(p for lane in node.observe().lanes for p in lane.pids)
            assert pids == carried[node.name]
        time.sleep(2)
    control_plane.run(f"mv {PARKED} {MANIFEST}")
    eventually("the API server answers", api.answers, 240)
    workloads.start(pod("afterwards", workers[0].name, priority="30"))
    truth.holds()
    assert all(threads[n.name].items() <= _threads(n).items() for n in workers)
    release.ready()


def test_a_deleted_node_takes_its_plan_along_and_gets_a_new_one_when_it_returns(
    tuning: Body,
    workloads: Workloads,
    truth: Truth,
    release: Release,
    workers: tuple[Node, Node],
    api: Api,
) -> None:
    node = workers[1]
    workloads.start(pod("lost", node.name, priority="40"))
    truth.holds()
    old = api.get("damonnodes", node.name)["metadata"]["uid"]
    api.delete("nodes", node.name)
    eventually("its DamonNode goes", lambda: (api.find("damonnodes", node.name) or {}) == {}, 120)
    node.run("systemctl restart kubelet")
    eventually("the node is back", lambda: ready(api.find("nodes", node.name))[0] == "True", 180)
    release.ready(300)
    # Whether the pod is collected before its node is back is a race; either is right.
    truth.holds(node.name)
    workloads.start(pod("found", node.name, priority="40"))
    truth.holds()
    new = api.get("damonnodes", node.name)["metadata"]
    assert new["uid"] != old
    owner = api.get("nodes", node.name)["metadata"]["uid"]
    assert [o["uid"] for o in new["ownerReferences"]] == [owner]
