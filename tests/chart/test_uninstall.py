"""The command behind the pre-delete hook, against the embedded API server."""

import asyncio
from pathlib import Path

import pytest

from damon_mock.kube.server import ApiServer
from damon_operator import uninstall
from damon_operator.cluster import connect
from damon_operator.facts import spec_digest

ROOT = Path(__file__).parents[2]
AGENT = {"app.kubernetes.io/component": "agent"}
RELEASE = uninstall.Release("damon", "damon-operator", "damon-operator", AGENT)

ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

# The embedded server has no Deployments of its own; a resource of that name is all this needs.
DEPLOYMENTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "deployments.apps"},
    "spec": {
        "group": "apps",
        "scope": "Namespaced",
        "names": {"kind": "Deployment", "plural": "deployments", "singular": "deployment"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": ANYTHING},
            }
        ],
    },
}


def deployment(*finalizers: str):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "damon-operator",
            "namespace": "damon",
            "finalizers": list(finalizers),
        },
        "spec": {},
    }


def node(name: str, ready: str = "True"):
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def agent(where: str, phase: str = "Running"):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"agent-{where}", "namespace": "damon", "labels": AGENT},
        "spec": {"nodeName": where, "containers": [{"name": "agent", "image": "agent"}]},
        "status": {"phase": phase},
    }


def plan(name: str, owner_uid: str):
    spec = {
        "tuning": "default",
        "mode": "Enforce",
        "settings": {"monitoring": {}, "reclaim": {}, "watermarks": {}, "safety": {}},
        "pods": [
            {
                "namespace": "default",
                "name": "pod",
                "uid": "uid",
                "priority": 30,
                "source": "default",
                "containers": [{"name": "main", "id": "a" * 64}],
            }
        ],
    }
    return {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonNode",
        "metadata": {
            "name": name,
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": name, "uid": owner_uid}
            ],
        },
        "spec": {**spec, "hash": spec_digest(spec)},
    }


class Cluster:
    """A cluster with an installation, and its agents, which answer when told to."""

    def __init__(self, api: ApiServer) -> None:
        self.objects = api.cluster
        self.journal = api.journal
        self.seconds = 0.0
        self.answers: dict[str, dict[str, str]] = {}
        self.each_second = lambda: None

    def add(self, node) -> None:
        """Create a node and the plan for it."""
        uid = self.objects.create(node)["metadata"]["uid"]
        self.objects.create(plan(node["metadata"]["name"], uid))

    def clock(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.each_second()
        for name, said in self.answers.items():
            self.report(name, **said)
        await asyncio.sleep(0)

    def report(self, name: str, *, lane: str = "off", applied: str = "Off", available="True"):
        condition = {
            "message": "",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        status = {
            "observedHash": self.objects.get("damonnodes", name)["spec"]["hash"],
            "lanes": [
                {
                    "kdamond": 0,
                    "priorities": [30],
                    "role": "Ladder",
                    "pods": 1,
                    "targets": 1,
                    "state": lane,
                    "active": False,
                }
            ],
            "conditions": [
                {"type": "Applied", "status": "True", "reason": applied, **condition},
                {"type": "DamonAvailable", "status": available, "reason": "Any", **condition},
            ],
        }
        self.objects.patch("damonnodes", name, {"status": status}, subresource="status")

    def plans(self) -> dict[str, str]:
        return {n["metadata"]["name"]: n["spec"]["mode"] for n in self.objects.list("damonnodes")}


@pytest.fixture(name="cluster")
async def cluster_fixture():
    async with ApiServer() as api:
        api.cluster.install(ROOT / "crds")
        for manifest in (
            DEPLOYMENTS,
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "damon"}},
            deployment(),
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": "damon-operator", "namespace": "damon"},
                "spec": {},
            },
            {
                "apiVersion": "damon-operator.io/v1alpha1",
                "kind": "DamonTuning",
                "metadata": {"name": "default"},
                "spec": {"mode": "Enforce"},
            },
        ):
            api.cluster.create(manifest)
        cluster = Cluster(api)
        for name in ("a", "b"):
            cluster.add(node(name))
            api.cluster.create(agent(name))
        cluster.answers = {"a": {}, "b": {}}
        cluster.api = api
        yield cluster


async def run(cluster, tmp_path, release=RELEASE, timeout_s=20.0) -> int:
    async with connect(str(cluster.api.write_kubeconfig(tmp_path / "kubeconfig"))) as client:
        return await uninstall.uninstall(
            client, release, timeout_s=timeout_s, clock=cluster.clock, sleep=cluster.sleep
        )


async def test_everything_of_ours_is_gone_and_the_tunings_are_as_they_were(cluster, tmp_path):
    before = cluster.objects.get("damontunings", "default")["spec"]
    assert await run(cluster, tmp_path) == 0
    assert cluster.plans() == {}
    assert cluster.objects.find("deployments", "damon-operator", "damon") is None
    assert cluster.objects.find("leases", "damon-operator", "damon") is None
    assert cluster.objects.get("damontunings", "default")["spec"] == before


async def test_a_tuning_that_stays_does_not_go_on_saying_true(cluster, tmp_path):
    condition = {"message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {
        "observedGeneration": 1,
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Applied", **condition},
            {"type": "Degraded", "status": "False", "reason": "AsExpected", **condition},
        ],
        "nodes": {"matched": 2, "governed": 2, "applied": 2},
    }
    cluster.objects.patch("damontunings", "default", {"status": status}, subresource="status")
    assert await run(cluster, tmp_path) == 0
    said = cluster.objects.get("damontunings", "default")["status"]
    assert {c["type"]: (c["status"], c["reason"]) for c in said["conditions"]} == {
        "Ready": ("False", "Uninstalled"),
        "Valid": ("True", "Valid"),
    }
    assert (said["nodes"]["governed"], said["nodes"]["applied"]) == (0, 0)


async def test_a_tuning_says_nothing_of_it_while_an_agent_has_not_answered(cluster, tmp_path):
    cluster.answers = {"a": {}}
    assert await run(cluster, tmp_path) == 1
    assert "status" not in cluster.objects.get("damontunings", "default")


async def test_where_another_installation_has_the_nodes_they_are_left_to_it(
    cluster, tmp_path, caplog
):
    cluster.api.faults.fail_next(
        1000, 403, method="PATCH", path="/damonnodes/",
        message="damonnodes.damon-operator.io a is forbidden: ValidatingAdmissionPolicy "
        "'damonnodes-plan.damon-operator.io' with binding 'damonnodes-plan.damon-operator.io' "
        "denied request: someone may not write the plan of a node: only the operator may",
    )  # fmt: skip
    assert await run(cluster, tmp_path) == 0
    assert cluster.plans() == {"a": "Enforce", "b": "Enforce"}
    assert "another installation" in caplog.text


async def test_a_refusal_for_any_other_reason_is_waited_out(cluster, tmp_path):
    cluster.api.faults.fail_next(1000, 403, method="PATCH", path="/damonnodes/")
    assert await run(cluster, tmp_path) == 1


async def test_without_crds_there_is_nothing_to_wait_for(cluster, tmp_path):
    for name in ("damontunings", "damonnodes"):
        cluster.objects.delete("crds", f"{name}.damon-operator.io")
    for name in ("a", "b"):
        cluster.objects.delete("pods", f"agent-{name}", "damon")
    cluster.answers = {}
    assert await run(cluster, tmp_path) == 0


async def test_no_plan_is_touched_before_the_last_operator_pod_has_gone(cluster, tmp_path):
    cluster.objects.delete("deployments", "damon-operator", "damon")
    cluster.objects.create(deployment("foregroundDeletion"))
    seen = []

    def each_second():
        seen.append(cluster.plans())
        if cluster.seconds == 3:
            cluster.objects.patch(
                "deployments", "damon-operator", {"metadata": {"finalizers": []}}, namespace="damon"
            )

    cluster.answers = {}
    cluster.each_second = each_second
    await run(cluster, tmp_path, timeout_s=5)
    assert seen[:3] == [{"a": "Enforce", "b": "Enforce"}] * 3
    assert seen[-1] == {"a": "Off", "b": "Off"}


async def test_a_plan_switched_off_has_no_pods_its_own_digest_and_its_owner(cluster, tmp_path):
    cluster.answers = {}
    await run(cluster, tmp_path, timeout_s=2)
    off = cluster.objects.get("damonnodes", "a")
    assert off["spec"]["mode"] == "Off"
    assert off["spec"]["pods"] == []
    assert off["spec"]["hash"] == spec_digest(off["spec"])
    assert off["spec"]["tuning"] == "default"
    assert [owner["name"] for owner in off["metadata"]["ownerReferences"]] == ["a"]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(None, id="nothing"),
        pytest.param({"applied": "Applying"}, id="not yet"),
        pytest.param({"applied": "CommitHung"}, id="a failure"),
        pytest.param({"lane": "on"}, id="a kdamond still on"),
        pytest.param({"lane": "on", "available": "False"}, id="out of reach with a kdamond on"),
    ],
)
async def test_an_agent_that_does_not_say_off_is_named_and_the_uninstall_fails(
    cluster, tmp_path, caplog, said
):
    cluster.answers = {"a": {}} | ({"b": said} if said else {})
    with caplog.at_level("INFO", "damon_operator.uninstall"):
        assert await run(cluster, tmp_path) == 1
    assert "waiting for the agent of b" in caplog.records[-1].getMessage()
    assert "the agent of a" not in caplog.records[-1].getMessage()
    assert cluster.plans() == {"a": "Off", "b": "Off"}, "what is unknown is not deleted"


async def test_an_old_report_does_not_count(cluster, tmp_path):
    cluster.report("a")
    cluster.report("b")
    cluster.answers = {}
    assert await run(cluster, tmp_path) == 1


async def test_a_node_without_damon_is_off(cluster, tmp_path):
    cluster.answers["b"] = {"applied": "NoDamon", "available": "False"}
    assert await run(cluster, tmp_path) == 0


async def test_an_agent_that_has_never_started_is_not_waited_for(cluster, tmp_path, caplog):
    for name in ("windows", "narrow", "virtual"):
        cluster.add(node(name))
    cluster.objects.create(agent("narrow", "Pending"))  # no DAMON sysfs to mount
    cluster.objects.create(agent("virtual", "Failed"))  # refused by its node
    with caplog.at_level("INFO", "damon_operator.uninstall"):
        assert await run(cluster, tmp_path) == 0
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "not waited for, no agent has ever run there node=windows" in said
    assert "no agent has ever run there node=narrow" in said
    assert cluster.plans() == {}
    assert cluster.seconds < 10


@pytest.mark.parametrize("phase", ["Pending", None])
async def test_an_agent_that_ran_once_is_asked_even_if_its_pod_is_gone(
    cluster, tmp_path, caplog, phase
):
    cluster.add(node("once"))
    cluster.report("once", lane="on", applied="Applied")
    if phase:
        cluster.objects.create(agent("once", phase))
    with caplog.at_level("INFO", "damon_operator.uninstall"):
        assert await run(cluster, tmp_path) == 1
    assert "the agent of once (it has no pod that runs)" in caplog.records[-1].getMessage()
    assert "once" in cluster.plans()


async def test_an_agent_without_a_plan_is_asked(cluster, tmp_path, caplog):
    """The tuning was deleted while one agent did not hear the API: what runs there is unknown."""
    cluster.objects.create(node("deaf"))
    cluster.objects.create(agent("deaf"))
    with caplog.at_level("INFO", "damon_operator.uninstall"):
        assert await run(cluster, tmp_path) == 1
    assert "waiting for the agent of deaf." in caplog.records[-1].getMessage()
    asked = cluster.objects.get("damonnodes", "deaf")
    assert (asked["spec"]["mode"], asked["spec"]["pods"]) == ("Off", [])
    assert asked["spec"]["hash"] == spec_digest(asked["spec"])
    assert [owner["name"] for owner in asked["metadata"]["ownerReferences"]] == ["deaf"]
    cluster.answers["deaf"] = {}
    assert await run(cluster, tmp_path) == 0
    assert cluster.plans() == {}


async def test_a_node_that_is_not_ready_is_waited_for_and_named(cluster, tmp_path, caplog):
    cluster.add(node("down", "Unknown"))
    cluster.objects.create(agent("down"))
    with caplog.at_level("INFO", "damon_operator.uninstall"):
        assert await run(cluster, tmp_path) == 1
    assert "the agent of down (the node is not ready)" in caplog.records[-1].getMessage()
    assert "the agent of a" not in caplog.records[-1].getMessage()


async def test_a_second_attempt_goes_on_where_the_first_one_stopped(cluster, tmp_path):
    cluster.answers = {}
    assert await run(cluster, tmp_path, timeout_s=3) == 1
    cluster.answers = {"a": {}, "b": {}}
    assert await run(cluster, tmp_path) == 0
    assert cluster.plans() == {}


async def test_tunings_are_deleted_when_asked_for(cluster, tmp_path):
    release = uninstall.Release("damon", "damon-operator", "damon-operator", AGENT, True)
    assert await run(cluster, tmp_path, release) == 0
    assert cluster.objects.list("damontunings") == []


async def test_an_api_server_that_is_away_for_a_while_is_waited_for(cluster, tmp_path):
    async with connect(str(cluster.api.write_kubeconfig(tmp_path / "kubeconfig"))) as client:
        await cluster.api.down()

        async def sleep(seconds: float) -> None:
            if cluster.seconds >= 2:
                await cluster.api.up()
            await cluster.sleep(seconds)

        done = await uninstall.uninstall(
            client, RELEASE, timeout_s=30, clock=cluster.clock, sleep=sleep
        )
    assert done == 0
    assert cluster.plans() == {}
