"""The service against the embedded API: changes in, DamonNodes out."""

import asyncio
from dataclasses import replace

import pytest

from damon_contract.v1alpha1.node import DamonNodeSpec


async def test_a_change_of_one_nodes_pods_writes_only_that_nodes_plan(lab):
    lab.create(lab.prioritised("new", "45", "n1"))
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "new": 45})
    await lab.quiet()
    assert lab.applies() == ["n1"]


async def test_a_change_that_decides_nothing_writes_nothing(lab):
    lab.api.cluster.patch("pods", "n1-low", {"metadata": {"annotations": {"other": "1"}}})
    change = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    lab.api.cluster.patch("pods", "n1-low", change, subresource="status")
    lab.create(lab.prioritised("last", "45", "n2"))
    await lab.planned_as("n2", {"n2-low": 30, "n2-high": 60, "last": 45})
    await lab.quiet()
    assert lab.applies() == ["n2"]


async def test_annotation_changes_and_deletions_reach_the_plan(lab):
    lab.api.cluster.annotate("pods", "n1-low", {"damon-operator.io/priority": "70"})
    await lab.planned_as("n1", {"n1-low": 70, "n1-high": 60})
    lab.api.cluster.annotate("pods", "n1-low", {"damon-operator.io/exempt": "true"})
    await lab.planned_as("n1", {"n1-high": 60})
    lab.api.cluster.delete("pods", "n1-high", grace_seconds=0)
    await lab.planned_as("n1", {})


async def test_many_changes_at_once_are_few_writes(lab):
    lab.create(*(lab.prioritised(f"burst{i}", "20", "n1") for i in range(60)))
    await lab.eventually(lambda: len(lab.planned("n1")) == 62)
    assert len(lab.applies()) < 20


async def test_a_change_after_a_quiet_time_is_planned_at_once_what_follows_in_the_next_round(idle):
    now_s, over = 1000.0, asyncio.Event()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)
        if seconds > 100:
            await over.wait()

    idle.service.tempo = replace(idle.service.tempo, debounce_s=500.0)
    idle.service.clock, idle.service.sleep = lambda: now_s, sleep
    idle.create(idle.node("n1"), idle.tuning(), idle.pod("web"))
    idle.start()
    over.set()
    await idle.planned_as("n1", {"web": 50})
    await idle.quiet()
    over.clear()
    now_s += 500
    idle.api.cluster.annotate("pods", "web", {"damon-operator.io/priority": "40"})
    await idle.planned_as("n1", {"web": 40})
    idle.api.cluster.annotate("pods", "web", {"damon-operator.io/priority": "30"})
    await idle.quiet()
    assert idle.planned("n1") == {"web": 40}
    over.set()
    await idle.planned_as("n1", {"web": 30})


async def test_the_damon_node_belongs_to_its_node(lab):
    node = lab.api.cluster.get("nodes", "n1")
    owned = lab.api.cluster.get("damonnodes", "n1")
    (owner,) = owned["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "v1",
        "kind": "Node",
        "name": "n1",
        "uid": node["metadata"]["uid"],
    }
    managers = {m["manager"] for m in owned["metadata"]["managedFields"]}
    assert managers == {"damon-operator"}
    assert DamonNodeSpec.model_validate(owned["spec"]).reserved_bytes == 2**30


async def test_a_plan_somebody_else_changed_is_restored_once(lab):
    wanted = lab.plan("n1")
    lab.api.cluster.patch("damonnodes", "n1", {"spec": {"pods": []}})
    await lab.eventually(lambda: lab.plan("n1") == wanted)
    await lab.quiet()
    assert lab.applies() == ["n1"]


async def test_a_plan_somebody_deleted_is_written_again(lab):
    wanted = lab.plan("n1")
    lab.api.cluster.delete("damonnodes", "n1")
    await lab.eventually(lambda: lab.plan("n1") == wanted)
    await lab.quiet()
    assert lab.applies() == ["n1"]


async def test_a_new_node_gets_a_plan_and_a_node_that_came_back_owns_its_new_one(lab):
    lab.create(lab.node("n3"), lab.prioritised("p3", "33", "n3"))
    await lab.planned_as("n3", {"p3": 33})
    first = lab.api.cluster.get("damonnodes", "n3")["metadata"]["ownerReferences"]
    lab.api.cluster.delete("nodes", "n3")
    lab.create(lab.node("n3"))
    uid = lab.api.cluster.get("nodes", "n3")["metadata"]["uid"]

    def owner() -> str:
        found = lab.api.cluster.find("damonnodes", "n3")
        return found["metadata"]["ownerReferences"][0]["uid"] if found else ""

    await lab.eventually(lambda: owner() == uid)
    assert first[0]["uid"] != uid


async def test_an_agents_report_writes_no_plan_but_the_tunings_status(lab):
    for name in ("n1", "n2"):
        report = {
            "observedHash": lab.plan(name)["hash"],
            "conditions": [
                {
                    "type": kind,
                    "status": "True",
                    "reason": "Applied",
                    "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
                for kind in ("Ready", "Applied", "DamonAvailable")
            ],
        }
        lab.api.cluster.patch("damonnodes", name, {"status": report}, subresource="status")
    await lab.conditioned("all", "Ready", "Applied")
    status = lab.api.cluster.get("damontunings", "all")["status"]
    assert (status["nodes"]["governed"], status["nodes"]["applied"]) == (2, 2)
    assert status["pods"]["annotation"] == 4
    assert lab.applies() == []


async def test_a_restarted_operator_writes_nothing_that_is_there(lab):
    lab.api.journal.clear()
    service = type(lab.service)(
        port=lab.cluster,
        tempo=lab.service.tempo,
        instance="second",
        clock=lab.service.clock,
        now=lab.service.now,
        random=lab.service.random,
    )
    lab.task.cancel()
    lab.service = service
    lab.start()
    await lab.eventually(lambda: len(service.world.plans) == 2)
    await lab.quiet()
    assert lab.api.journal.writes() == []


async def test_a_failing_write_of_one_node_does_not_hold_up_the_others(lab):
    lab.api.faults.fail_next(5, 500, method="PATCH", path="damonnodes/n1")
    lab.create(lab.prioritised("x1", "11", "n1"), lab.prioritised("x2", "12", "n2"))
    await lab.planned_as("n2", {"n2-low": 30, "n2-high": 60, "x2": 12})
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "x1": 11})
    assert [r.status for r in lab.api.journal.writes("damonnodes") if r.name == "n1"] == [
        *[500] * 5, 200,
    ]  # fmt: skip


@pytest.mark.parametrize("status", [404, 409, 422, 429, 503])
async def test_any_refusal_of_a_write_is_tried_again(lab, status):
    lab.api.faults.fail_next(2, status, method="PATCH", path="damonnodes/n1")
    lab.create(lab.prioritised("x", "11", "n1"))
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "x": 11})


async def test_a_write_that_keeps_failing_is_a_reason_in_the_tunings_status(lab):
    lab.api.faults.fail_next(10_000, 422, method="PATCH", path="damonnodes/n1")
    lab.create(lab.prioritised("x", "11", "n1"))

    def reasons() -> list[str]:
        status = lab.api.cluster.get("damontunings", "all")["status"]
        return [r["reason"] for r in status["reasons"]]

    await lab.eventually(lambda: "WriteFailed" in reasons())
    lab.api.faults.refusals.clear()
    await lab.eventually(lambda: "WriteFailed" not in reasons())


async def test_no_request_ever_modifies_a_pod_a_node_or_a_namespace(lab):
    lab.create(lab.prioritised("bad", "abc"), lab.pod("plain"))
    lab.change_tuning("all", mode="Off")
    await lab.planned_as("n1", {})
    lab.change_tuning("all", mode="Enforce")
    await lab.eventually(lambda: len(lab.planned("n1")) == 4)
    lab.api.gap(("pods", "plain", "default"))
    await lab.eventually(lambda: len(lab.planned("n1")) == 3)
    lab.api.cluster.delete("damontunings", "all")
    await lab.eventually(lambda: lab.plan("n1") is None and lab.plan("n2") is None)
    written = {(r.resource, r.subresource) for r in lab.api.journal.writes()}
    assert written == {("damonnodes", ""), ("damontunings", "status"), ("events", "")}
