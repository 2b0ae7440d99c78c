"""A plan is what the operator says it is, and what cannot be is told. Against the embedded API."""

import pytest
import yaml

from damon_operator.facts import Part, spec_digest

STRAY = {"reclaim": {"quota": {"bytes": "4Ki"}}, "watermarks": {"floorPermille": 597}}


def strayed(plan) -> bool:
    settings = plan["settings"]
    return "quota" in settings["reclaim"] or "floorPermille" in settings["watermarks"]


async def test_fields_of_another_manager_do_not_stay_in_a_plan(lab):
    """A backup tool restores a DamonNode with what the tuning said at that time."""
    lab.change_tuning("all", **STRAY)
    await lab.eventually(lambda: strayed(lab.plan("n1")))
    old = lab.api.cluster.get("damonnodes", "n1")
    lab.change_tuning(
        "all", reclaim={"quota": None}, watermarks={"floorPermille": None}, protectFrom=70
    )
    await lab.eventually(lambda: not strayed(lab.plan("n1")))
    lab.api.cluster.delete("damonnodes", "n1")
    kept = {"name": "n1", "ownerReferences": old["metadata"]["ownerReferences"]}
    restored = {**old, "metadata": kept}
    restored.pop("status", None)
    await lab.eventually(lambda: lab.plan("n1") is not None)
    lab.api.cluster.delete("damonnodes", "n1")
    lab.api.cluster.create(restored)
    await lab.eventually(lambda: not strayed(lab.plan("n1")))
    plan = lab.plan("n1")
    assert plan["settings"]["protectFrom"] == 70
    assert plan["hash"] == spec_digest(plan)
    await lab.quiet()


@pytest.mark.parametrize(
    "change",
    [
        {"settings": STRAY},
        {"settings": {"reclaim": {"quota": {"bytes": "1Mi", "window": "1m"}}}},
        {"podsLeftOut": 7},
        {"pods": [], "mode": "Off"},
    ],
    ids=str,
)
async def test_whatever_somebody_writes_into_a_plan_is_gone_with_the_next_apply(lab, change):
    wanted = lab.plan("n1")
    lab.api.cluster.patch("damonnodes", "n1", {"spec": change})
    await lab.eventually(lambda: lab.plan("n1") == wanted)
    await lab.quiet()
    assert lab.applies() == ["n1"]


async def test_a_plan_that_is_stored_otherwise_than_it_was_written_is_a_reason(lab):
    """Here by the default of a CRD that is newer than the operator; a webhook can do the same."""
    crd = lab.api.cluster.get("crds", "damonnodes.damon-operator.io")
    (version,) = crd["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["added"] = {"type": "string", "default": "later"}
    lab.api.cluster.patch("crds", "damonnodes.damon-operator.io", {"spec": crd["spec"]})
    lab.create(lab.prioritised("new", "45", "n1"))

    def reasons() -> list[str]:
        status = lab.api.cluster.get("damontunings", "all")["status"]
        return [r["reason"] for r in status["reasons"]]

    await lab.eventually(lambda: "PlanAltered" in reasons())
    known = yaml.safe_load(lab.crds.joinpath("damonnodes.yaml").read_text())
    lab.api.cluster.patch("crds", "damonnodes.damon-operator.io", {"spec": known["spec"]})
    await lab.eventually(lambda: "PlanAltered" not in reasons())


def without_owner(stored):
    return {**stored, "metadata": {**stored["metadata"], "ownerReferences": []}}


async def test_an_owner_that_is_taken_away_from_a_plan_is_a_reason_and_no_circle(lab):
    """Somebody in between takes it from what is stored and from the answer."""

    def altered(request, stored):
        if request.resource != "damonnodes":
            return stored
        lab.api.cluster.patch("damonnodes", "n1", {"metadata": {"ownerReferences": None}})
        return without_owner(stored)

    lab.api.faults.on_write = altered
    lab.create(lab.prioritised("new", "45", "n1"))
    await lab.eventually(lambda: "PlanAltered" in lab.condition("all", "Ready")["message"])
    await lab.eventually(lambda: len(lab.applies()) > 5)
    asked = len(lab.applies())
    assert lab.service.writer.queue.failed >= asked - 1, "each is followed by a pause"
    lab.api.faults.on_write = None
    await lab.eventually(lambda: "PlanAltered" not in lab.condition("all", "Ready")["message"])


async def test_a_plan_that_is_as_it_should_be_when_it_is_tried_again_is_altered_no_more(lab):
    def told_otherwise(request, stored):
        return without_owner(stored) if request.resource == "damonnodes" else stored

    lab.api.faults.on_write = told_otherwise
    lab.create(lab.prioritised("new", "45", "n1"))
    await lab.eventually(lambda: lab.service.writer.queue.failed)
    await lab.eventually(lambda: not lab.service.world._failed)


async def test_a_plan_that_was_stored_although_its_write_failed_is_no_failure(lab):
    def unanswered(request, stored):
        if request.resource == "damonnodes":
            raise ConnectionError("the answer got lost")
        return stored

    lab.api.faults.on_write = unanswered
    lab.create(lab.prioritised("new", "45", "n1"))
    await lab.eventually(lambda: lab.service.writer.queue.failed)
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "new": 45})
    await lab.eventually(lambda: not lab.service.world._failed)
    await lab.eventually(lambda: "WriteFailed" not in lab.condition("all", "Ready")["message"])


async def test_a_plan_that_cannot_be_computed_is_a_reason_and_the_others_go_on(lab):
    good = lab.service.world.pods["n1"].copy()
    (one, *_) = good.values()
    lab.service.world.pod_changed(one, one._replace(name="x" * 300))  # what no schema foresaw
    await lab.eventually(lambda: "PlanFailed" in lab.condition("all", "Ready")["message"])
    assert lab.condition("all", "Ready")["status"] == "False"
    assert lab.planned("n1") == {"n1-low": 30, "n1-high": 60}, "it keeps the plan before"
    lab.create(lab.prioritised("new", "45", "n2"))
    await lab.planned_as("n2", {"n2-low": 30, "n2-high": 60, "new": 45})
    lab.service.world.pod_changed(one, one)
    await lab.eventually(lambda: "PlanFailed" not in lab.condition("all", "Ready")["message"])


async def test_a_node_whose_very_first_plan_cannot_be_computed_is_a_reason(lab):
    (one, *_) = lab.service.world.pods["n1"].values()
    lab.service.world.pod_changed(None, one._replace(node="n3", uid="u3", name="x" * 300))
    lab.create(lab.node("n3"))
    await lab.eventually(lambda: "such as n3" in lab.condition("all", "Ready")["message"])
    assert lab.plan("n3") is None


async def test_nodes_that_can_have_no_agent_get_no_plan_and_a_count(lab):
    lab.create(
        lab.node("win", **{"kubernetes.io/os": "windows"}),
        lab.node("aci", type="virtual-kubelet"),
        lab.node("fargate", **{"eks.amazonaws.com/compute-type": "fargate"}),
        lab.pod("w", "win"),
    )

    def nodes():
        return lab.api.cluster.get("damontunings", "all")["status"]["nodes"]

    await lab.eventually(lambda: nodes()["agentless"] == 3)
    assert (nodes()["matched"], nodes()["governed"]) == (5, 2)
    assert [lab.plan(name) for name in ("win", "aci", "fargate")] == [None] * 3
    reasons = lab.api.cluster.get("damontunings", "all")["status"]["reasons"]
    assert {"VirtualNode": 2, "NotLinux": 1}.items() <= {
        r["reason"]: r["nodes"] for r in reasons
    }.items()


async def test_a_plan_for_a_node_that_can_have_no_agent_is_taken_back(lab):
    lab.api.cluster.patch("nodes", "n2", {"metadata": {"labels": {"type": "virtual-kubelet"}}})
    await lab.eventually(lambda: lab.plan("n2") is None)


async def test_a_node_gets_its_first_plan_when_its_agent_has_started(idle):
    idle.service.accounts = {("default", "agent"): Part.AGENT}
    idle.service.__post_init__()
    agent = idle.pod("agent-n1", phase="Pending", serviceAccountName="agent")
    agent["status"]["containerStatuses"] = []
    idle.create(idle.node("n1"), idle.tuning(), idle.pod("web"), agent)
    idle.start()
    waiting = await idle.conditioned("all", "Ready", "NoNodes")
    assert "AgentNotStarted" in waiting["message"]
    assert idle.plan("n1") is None
    idle.api.cluster.patch(
        "pods", "agent-n1", {"status": {"phase": "Running"}}, subresource="status"
    )
    await idle.planned_as("n1", {"web": 50})


async def test_a_reason_with_control_characters_does_not_reach_a_tuning(lab):
    crd = lab.api.cluster.get("crds", "damonnodes.damon-operator.io")
    (version,) = crd["spec"]["versions"]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version["schema"]["openAPIV3Schema"]["properties"]["status"] = anything
    lab.api.cluster.patch("crds", "damonnodes.damon-operator.io", {"spec": crd["spec"]})
    condition = {"type": "Applied", "status": "False", "reason": "No\n\x1b[2JSwap" * 100}
    status = {"observedHash": lab.plan("n1")["hash"], "conditions": [condition]}
    lab.api.cluster.patch("damonnodes", "n1", {"status": status}, subresource="status")

    def reasons() -> list[str]:
        return [
            r["reason"] for r in lab.api.cluster.get("damontunings", "all")["status"]["reasons"]
        ]

    await lab.eventually(lambda: "Unreadable" in reasons())
    assert lab.condition("all", "Ready")["message"].isprintable()
