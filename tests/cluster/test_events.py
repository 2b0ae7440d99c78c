"""Events on DamonTunings and DamonNodes, and what stands beside a plan, on the embedded API."""

import asyncio
from datetime import UTC, datetime, timedelta

from damon_operator.facts import Part

WELL = [
    {"type": "Ready", "status": "True", "reason": "Applied", "message": "all is well"},
    {"type": "Applied", "status": "True", "reason": "Applied", "message": ""},
    {"type": "Degraded", "status": "False", "reason": "AsExpected", "message": ""},
]
BUSY = [
    {"type": "Ready", "status": "False", "reason": "DamonBusy", "message": "damo has it"},
    {"type": "Applied", "status": "False", "reason": "DamonBusy", "message": "damo has it"},
    {"type": "Degraded", "status": "True", "reason": "DamonBusy", "message": "damo has it"},
]


def report(lab, node, conditions, **status):
    """Say this as the agent of a node would."""
    spec = lab.plan(node)
    dated = [{**c, "lastTransitionTime": "2026-01-01T00:00:00Z"} for c in conditions]
    body = {"status": {"observedHash": spec["hash"], "conditions": dated, **status}}
    lab.api.cluster.patch("damonnodes", node, body, subresource="status")


def events(lab, kind):
    found = lab.api.cluster.list("events.events.k8s.io")
    return sorted(
        (e["involvedObject"]["name"], e["type"], e["reason"], e["message"])
        for e in found
        if e["involvedObject"]["kind"] == kind
    )


async def test_a_node_that_turns_bad_and_well_again_has_an_event_of_each(lab):
    report(lab, "n1", WELL)
    report(lab, "n2", WELL)
    await lab.conditioned("all", "Ready", "Applied")
    report(lab, "n1", BUSY)
    busy = ("n1", "Warning", "DamonBusy", "damo has it")
    await lab.eventually(lambda: events(lab, "DamonNode") == [busy])
    await lab.conditioned("all", "Ready", "DamonBusy")
    report(lab, "n1", WELL)
    well = ("n1", "Normal", "Applied", "it is well again, after DamonBusy")
    await lab.eventually(lambda: events(lab, "DamonNode") == [well, busy])
    await lab.eventually(lambda: len(events(lab, "DamonTuning")) == 2)
    (applied, held) = events(lab, "DamonTuning")
    assert (applied[:3], held[:3]) == (
        ("all", "Normal", "Applied"), ("all", "Warning", "DamonBusy"),
    )  # fmt: skip
    assert "DamonBusy on 1 (such as n1)" in held[3]


async def test_a_cause_that_comes_and_goes_is_told_once_an_hour(lab):
    hour = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    lab.service._announcer.now = lambda: hour
    for _ in range(3):
        report(lab, "n1", BUSY)
        await lab.quiet()
        report(lab, "n1", WELL)
        await lab.quiet()
    assert [e[2] for e in events(lab, "DamonNode")] == ["Applied", "DamonBusy"]
    lab.service._announcer.now = lambda: hour + timedelta(hours=1)
    report(lab, "n1", BUSY)
    await lab.eventually(lambda: len(events(lab, "DamonNode")) == 3)


async def test_exempt_pods_stand_beside_the_plan_and_are_no_part_of_it(lab):
    before = lab.plan("n1")
    generation = lab.api.cluster.get("damonnodes", "n1")["metadata"]["generation"]
    for number in range(10):
        away = lab.pod(f"away-{number}", annotations={"damon-operator.io/exempt": "true"})
        lab.create(away)

    def said():
        metadata = lab.api.cluster.get("damonnodes", "n1")["metadata"]
        return (metadata.get("annotations") or {}).get("damon-operator.io/exempt-pods", "")

    named = ", ".join(f"default/away-{number}" for number in range(8))
    await lab.eventually(lambda: said() == f"annotation: {named} and 2 more")
    assert lab.plan("n1") == before
    assert lab.api.cluster.get("damonnodes", "n1")["metadata"]["generation"] == generation
    for number in range(10):
        lab.api.cluster.delete("pods", f"away-{number}", "default")
    await lab.eventually(lambda: said() == "none")
    await lab.quiet()
    lab.api.cluster.patch(
        "damonnodes", "n1", {"metadata": {"annotations": {"damon-operator.io/exempt-pods": "x"}}}
    )
    await lab.eventually(lambda: said() != "x")


async def test_a_namespace_gives_its_pods_a_default_within_the_bounds_for_owners(lab):
    key = "damon-operator.io/priority"
    lab.create(lab.pod("plain"))
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "plain": 50})

    def annotate(value):
        body = {"metadata": {"annotations": {key: value}}}
        lab.api.cluster.patch("namespaces", "default", body)

    annotate("15")
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "plain": 15})
    (planned,) = [p for p in lab.plan("n1")["pods"] if p["name"] == "plain"]
    assert planned["source"] == "namespace/default"
    lab.change_tuning("all", priorities={"annotation": {"min": 20}})
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "plain": 20})
    await lab.eventually(lambda: [e[:3] for e in events(lab, "Namespace")] == [
        ("default", "Warning", "PriorityClamped")
    ])  # fmt: skip
    annotate("much")
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "plain": 50})
    await lab.eventually(lambda: len(events(lab, "Namespace")) == 2)

    def counted():
        status = lab.api.cluster.get("damontunings", "all")["status"]
        return status["pods"]["rejected"], status["pods"]["namespace"]

    await lab.eventually(lambda: counted() == (1, 0))


async def test_what_pods_gave_up_is_added_up_and_written_once_a_minute_alone(lab):
    report(lab, "n1", WELL, totals={"pods": 2, "running": 2, "cold": "5Mi", "givenUp": "0"})
    report(lab, "n2", WELL, totals={"pods": 2, "running": 1, "cold": "7Mi", "spared": 1})
    await lab.conditioned("all", "Ready", "Applied")

    def totals():
        return lab.api.cluster.get("damontunings", "all")["status"]["totals"]

    assert {k: v for k, v in totals().items() if v is not None} == {
        "pods": 4, "running": 3, "spared": 1, "cold": "12Mi", "givenUp": "0"
    }  # fmt: skip
    await lab.quiet()
    lab.api.journal.clear()
    report(lab, "n2", WELL, totals={"pods": 2, "running": 1, "cold": "8Mi"})
    await lab.quiet()
    assert totals()["cold"] == "12Mi", "it waits for its minute"
    report(lab, "n2", BUSY, totals={"pods": 2, "running": 1, "cold": "9Mi"})
    await lab.conditioned("all", "Ready", "DamonBusy")
    assert totals()["cold"] == "14Mi", "and goes along with what is news"


async def test_figures_alone_are_written_when_their_time_has_come(lab):
    minutes = asyncio.Queue()
    sleep = lab.service.sleep

    async def patient(seconds):
        await (minutes.get() if seconds == lab.service.tempo.figures_s else sleep(seconds))

    lab.service.sleep = patient
    await lab.restart()
    report(lab, "n1", WELL, totals={"pods": 2, "running": 2, "cold": "5Mi"})
    report(lab, "n2", WELL)
    await lab.conditioned("all", "Ready", "Applied")

    def cold():
        return lab.api.cluster.get("damontunings", "all")["status"]["totals"]["cold"]

    for figure in ("7Mi", "8Mi", "6Mi"):
        report(lab, "n1", WELL, totals={"pods": 2, "running": 2, "cold": figure})
        await lab.quiet()
        assert cold() == "5Mi", "however often they change"
    minutes.put_nowait(None)
    await lab.eventually(lambda: cold() == "6Mi")


async def test_another_operator_is_told_of_once_and_only_by_who_knows_its_own(idle, caplog):
    labels = {
        "app.kubernetes.io/part-of": "damon-operator",
        "app.kubernetes.io/component": "operator",
    }
    idle.service.accounts["damon", "damon-operator"] = Part.OTHER
    idle.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "damon"}},
        idle.node("n1"),
        idle.pod("own", labels=labels, serviceAccountName="damon-operator", namespace="damon"),
        idle.pod("one", labels=labels),
        idle.pod("two", labels=labels),
    )
    idle.start()
    await idle.eventually(lambda: len(idle.service.world.pods.get("n1", {})) == 3)
    (told,) = [r.getMessage() for r in caplog.records if "another operator" in r.getMessage()]
    assert "namespace=default" in told
