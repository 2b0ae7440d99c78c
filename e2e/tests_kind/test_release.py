"""The life of a release: upgrade, rollback, uninstall, and a fresh start."""

from typing import Any

from harness.api import Api, Body, eventually
from harness.command import run
from harness.release import NAME, NAMESPACE, VALUES, Release
from harness.workloads import Workloads, pod
from tests_kind.nodes import Node
from tests_kind.truth import Truth, pids_of, remains


def _threads(node: Node) -> dict[int, int]:
    return {lane.index: lane.thread for lane in node.observe().lanes}


def test_an_upgrade_and_a_rollback_reach_every_pod_and_leave_the_kernel_alone(
    tuning: Body,
    workloads: Workloads,
    truth: Truth,
    release: Release,
    workers: tuple[Node, Node],
) -> None:
    node = workers[0]
    workloads.start(pod("steady", node.name, priority="40"))
    truth.holds()
    threads = _threads(node)
    changed: dict[str, Any] = {
        "agent": {**VALUES["agent"], "logLevel": "debug"},
        "operator": {**VALUES["operator"], "debounceMilliseconds": 200, "logLevel": "debug"},
    }
    release.install(**changed)
    assert _arguments(release, "agent", "--log-level=debug")
    assert _arguments(release, "operator", "--debounce-ms=200")
    truth.holds()
    assert threads.items() <= _threads(node).items()
    release.rollback()
    assert _arguments(release, "agent", "--log-level=info")
    assert _arguments(release, "operator", "--debounce-ms=100")
    truth.holds()
    assert threads.items() <= _threads(node).items()


def test_an_uninstall_leaves_nothing_and_a_new_installation_adopts_nothing_stale(
    tuning: Body,
    workloads: Workloads,
    truth: Truth,
    release: Release,
    nodes: dict[str, Node],
    workers: tuple[Node, Node],
    api: Api,
) -> None:
    node = workers[0]
    before, stays = workloads.start(
        pod("before", node.name, priority="40"), pod("stays", node.name, priority="60")
    )
    truth.holds()
    stale = pids_of(before, node.processes())
    release.uninstall()
    try:
        for machine in nodes.values():
            assert remains(machine) == []
        assert _left(api) == {
            "customresourcedefinition.apiextensions.k8s.io/damonnodes.damon-operator.io",
            "customresourcedefinition.apiextensions.k8s.io/damontunings.damon-operator.io",
        }
        assert api.get("damonnodes") == []
        assert [t["metadata"]["name"] for t in api.get("damontunings")] == ["default"]
        workloads.delete("before")
    finally:
        release.install()
    truth.holds()
    carried = {
        pid for machine in nodes.values() for lane in machine.observe().lanes for pid in lane.pids
    }
    assert not stale & carried
    assert pids_of(stays, node.processes()) <= carried


def _left(api: Api) -> set[str]:
    """Return everything in the cluster that carries the release's labels, or its namespace."""
    labelled = f"app.kubernetes.io/instance={NAME}"

    def gone() -> bool:
        pods = api.get("pods", namespace=NAMESPACE)
        return not pods

    eventually("the pods have ended", gone)
    everywhere = _names(_kinds("true") + _kinds("false"), "--all-namespaces", f"-l={labelled}")
    inside = _names(_kinds("true"), "--namespace", NAMESPACE)
    own = {"serviceaccount/default", "configmap/kube-root-ca.crt"}
    crds = {
        name
        for name in run(["kubectl", "get", "crds", "--output", "name"]).split()
        if "damon-operator.io" in name
    }
    return everywhere | (inside - own) | crds


def _kinds(namespaced: str) -> list[str]:
    """Return everything that can be listed; Events are history, not objects of the release."""
    said = run(
        ["kubectl", "api-resources", "--verbs=list", "--output=name", f"--namespaced={namespaced}"]
    )
    skipped = ("events", "events.events.k8s.io", "componentstatuses")
    return [kind for kind in said.split() if kind not in skipped]


def _names(kinds: list[str], *chosen: str) -> set[str]:
    return set(run(["kubectl", "get", ",".join(kinds), *chosen, "--output=name"]).split())


def _arguments(release: Release, component: str, wanted: str) -> bool:
    pods = release.pods(component)
    return bool(pods) and all(wanted in p["spec"]["containers"][0]["args"] for p in pods)
