"""What is looked at again after which change, and when a plan counts as written. No server."""

from typing import Any

import pytest

from damon_operator.facts import (
    Namespace,
    Pool,
    Written,
    digest,
    read_node,
    read_pod,
    read_tuning,
    spec_digest,
)
from damon_operator.planner.plan import wire
from damon_operator.reconcile.world import Apply, Delete, World


def raw(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    return {"kind": kind, "metadata": {**metadata, **fields.pop("metadata", {})}, **fields}


def a_pod(name: str, node: str, priority: str = "30"):
    running = {
        "name": "c",
        "containerID": "containerd://" + spec_digest({"name": name}) * 2,
        "state": {"running": {}},
    }
    annotations = {"damon-operator.io/priority": priority}
    status = {"phase": "Running", "containerStatuses": [running]}
    body = raw(
        "Pod", name, metadata={"annotations": annotations}, spec={"nodeName": node}, status=status
    )
    return read_pod(body, Pool())


def a_node(name: str, **labels: str):
    return read_node(raw("Node", name, metadata={"labels": labels}))


def a_tuning(name: str = "all", **spec: Any):
    return read_tuning(raw("DamonTuning", name, spec=spec))


@pytest.fixture(name="world")
def world_fixture() -> World:
    """Three nodes with a pod each, planned, nothing written."""
    world = World(lambda: None)
    for name in ("n1", "n2", "n3"):
        world.node_changed(None, a_node(name, pool=name))
        world.pod_changed(None, a_pod(f"p-{name}", name))
    world.tuning_changed(None, a_tuning())
    for name in world.take_dirty():
        world.replan(name)
    return world


def written(world: World, name: str, **fields: Any) -> Written:
    action = world.action(name)
    assert isinstance(action, Apply)
    values = {
        "hash": action.spec.hash,
        "digest": spec_digest(wire(action.spec)),
        "owner_uid": f"uid-{name}",
        "uid": f"dn-{name}",
        "exempt": digest(action.exempt),
        **fields,
    }
    return Written(name=name, observed_hash="", conditions=(), **values)


def test_a_pods_change_touches_its_node_and_no_other(world):
    world.pod_changed(a_pod("p-n1", "n1"), a_pod("p-n1", "n1", "40"))
    assert world.take_dirty() == ["n1"]
    world.pod_changed(a_pod("p-n1", "n1", "40"), None)
    assert world.take_dirty() == ["n1"]
    assert world.take_dirty() == []


def test_a_tunings_change_touches_the_nodes_it_matched_or_matches(world):
    one, other = (a_tuning("one", nodeSelector={"pool": pool}) for pool in ("n1", "n2"))
    world.tuning_changed(None, one)
    assert world.take_dirty() == ["n1"]
    world.tuning_changed(one, other)
    assert world.take_dirty() == ["n1", "n2"]
    world.tuning_changed(other, other._replace(status=None, generation=5))
    assert world.take_dirty() == []
    world.tuning_changed(a_tuning(), None)
    assert world.take_dirty() == ["n1", "n2", "n3"]


def test_a_namespaces_labels_touch_nodes_only_when_a_rule_asks_for_them(world):
    new = Namespace("default", (("team", "a"),))
    world.namespace_changed(None, new)
    assert world.take_dirty() == []
    rule = {"namespaceSelector": {}, "priority": 3}
    world.tuning_changed(a_tuning(), a_tuning(priorities={"rules": [rule]}))
    world.take_dirty()
    world.pod_changed(a_pod("p-n3", "n3"), None)
    world.take_dirty()
    world.namespace_changed(new, Namespace("default", ()))
    assert world.take_dirty() == ["n1", "n2"]


def test_a_namespaces_annotation_touches_the_nodes_of_its_pods_only(world):
    plain, asking = Namespace("default", ()), Namespace("default", (), asked=30)
    world.namespace_changed(None, Namespace("other", (), asked=30))
    assert world.take_dirty() == []
    world.namespace_changed(plain, asking)
    assert world.take_dirty() == ["n1", "n2", "n3"]
    world.namespace_changed(asking, asking._replace(labels=(("a", "b"),)))
    assert world.take_dirty() == []


def test_an_agents_report_makes_nobody_plan(world):
    report = written(world, "n1")
    world.written_changed(None, report)
    world.written_changed(report, report._replace(observed_hash="x"))
    assert world.take_dirty() == []
    assert world.take_unchecked() == ["n1"]


def test_a_plan_that_was_there_before_us_is_not_due(world):
    world.written_changed(None, written(world, "n1"))
    assert not world.is_due("n1")


@pytest.mark.parametrize("field", ["hash", "digest", "owner_uid", "exempt"])
def test_a_plan_that_differs_in_anything_is_due(world, field):
    world.written_changed(None, written(world, "n1", **{field: "other"}))
    assert isinstance(world.action("n1"), Apply)


def test_what_no_tuning_governs_is_deleted(world):
    world.written_changed(None, written(world, "n1"))
    world.tuning_changed(a_tuning(), None)
    world.replan("n1")
    assert world.action("n1") == Delete("n1", "dn-n1")


def test_a_damon_node_whose_node_is_gone_is_deleted(world):
    there = written(world, "n1")
    world.written_changed(None, there)
    world.node_changed(a_node("n1", pool="n1"), None)
    world.replan("n1")
    assert world.action("n1") == Delete("n1", "dn-n1")


def test_a_write_carries_the_newest_facts(world):
    world.pod_changed(a_pod("p-n1", "n1"), a_pod("p-n1", "n1", "99"))
    action = world.action("n1")
    assert isinstance(action, Apply)
    assert [p.priority for p in action.spec.pods] == [99]
