"""An operator that was rolled back in the middle of a rollout, and what the newer one left."""

import pytest

from damon_contract import names
from damon_contract.v1alpha1.tuning import DamonTuningSpec

NODES = ("n1", "n2", "n3", "n4")
STOOD = DamonTuningSpec.model_validate({"mode": "Observe", "protectFrom": 70}).policy()
ROLLOUT = {"maxNodes": 1, "minReady": "1h"}


def standing(**changes):
    return {**STOOD.model_dump(mode="json", by_alias=True, exclude_none=True), **changes}


@pytest.fixture(name="left")
def left_fixture(idle):
    """Return a function that creates what the newer operator has left: half a rollout."""

    async def leave(stood):
        idle.create(*(idle.node(name) for name in NODES), idle.tuning(mode="Observe"))
        idle.start()
        for name in NODES:
            await idle.planned_as(name, {})
            carry_out(idle, name)
        await idle.replace()
        idle.change_tuning("all", mode="Enforce", rollout=ROLLOUT)
        status = {"standing": stood, "conditions": None}
        idle.api.cluster.patch("damontunings", "all", {"status": status}, subresource="status")
        return modes(idle)

    return leave


def carry_out(lab, name):
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": "Applied",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in ("Ready", "Applied")
    ]
    hashed = lab.api.cluster.get("damonnodes", name)["spec"]["hash"]
    status = {"observedHash": hashed, "conditions": conditions}
    lab.api.cluster.patch("damonnodes", name, {"status": status}, subresource="status")


def modes(lab):
    return {name: lab.api.cluster.get("damonnodes", name)["spec"]["mode"] for name in NODES}


async def test_fields_that_only_the_newer_one_knows_let_it_go_on_node_by_node(idle, left):
    brake = {**standing()["brake"], "fromTheFuture": True}
    await left(standing(brake=brake, alsoNew={"a": 1}))
    idle.start()
    await idle.conditioned("all", "RolledOut", "RollingOut")
    await idle.eventually(lambda: "Enforce" in modes(idle).values())
    await idle.quiet()
    assert sorted(modes(idle).values()) == ["Enforce", "Observe", "Observe", "Observe"]
    plans = [idle.api.cluster.get("damonnodes", name) for name in NODES]
    waiting = [each for each in plans if each["spec"]["mode"] == "Observe"]
    assert {p["spec"]["settings"]["protectFrom"] for p in waiting} == {70}, "by what stood"
    revisions = {p["metadata"]["labels"][names.REVISION_LABEL] for p in waiting}
    assert revisions == {STOOD.revision()}
    stored = idle.api.cluster.get("damontunings", "all")["status"]["standing"]
    assert stored == standing(), "it is replaced as a whole, and holds what is carried out"


async def test_what_stood_and_cannot_be_read_leaves_every_node_as_it_is(idle, left):
    unread = standing(mode="Predict")
    before = await left(unread)
    idle.start()
    told = await idle.conditioned("all", "RolledOut", "RolloutHalted")
    assert "status.standing.mode" in told["message"]
    assert idle.condition("all", "Ready")["reason"] == "RolloutHalted"
    idle.create(idle.prioritised("late", "30", "n1"))
    idle.create(idle.node("n5"))
    await idle.quiet()
    assert modes(idle) == before
    assert idle.api.cluster.find("damonnodes", "n5") is None
    assert idle.api.cluster.get("damontunings", "all")["status"]["standing"] == unread
    idle.change_tuning("all", mode="Off")
    await idle.eventually(lambda: set(modes(idle).values()) == {"Off"})
    await idle.conditioned("all", "RolledOut", "RolledOut")
    stored = idle.api.cluster.get("damontunings", "all")["status"]["standing"]
    assert stored["mode"] == "Off"


async def test_without_rollout_an_unreadable_standing_is_replaced(idle, left):
    await left(standing(mode="Predict", alsoNew=1))
    idle.change_tuning("all", rollout=None)
    idle.start()
    await idle.eventually(lambda: set(modes(idle).values()) == {"Enforce"})
    where = idle.api.cluster
    await idle.eventually(
        lambda: "alsoNew" not in where.get("damontunings", "all")["status"]["standing"]
    )
