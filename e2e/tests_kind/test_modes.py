"""What a tuning's mode and precedence make of a node."""

from collections.abc import Callable

import pytest
from harness.api import Api, Body, eventually
from harness.workloads import Workloads, pod
from tests_kind.nodes import Node
from tests_kind.truth import Truth, pids_of


@pytest.fixture(name="node")
def node_fixture(
    tuning: Body, workloads: Workloads, truth: Truth, workers: tuple[Node, Node]
) -> Node:
    """A node with a pod of each role, enforced."""
    node = workers[0]
    workloads.start(
        pod("kept", node.name, class_name="critical"),
        pod("rung", node.name, priority="40"),
        pod("eager", node.name, priority="10"),
    )
    truth.holds(node.name)
    return node


def _actions(node: Node) -> Callable[[], list[str]]:
    """Return the actions of the schemes that act; protected lanes have none."""
    return lambda: sorted(lane.action for lane in node.observe().lanes if lane.action)


def _mode(api: Api, mode: str) -> None:
    api.patch("damontunings", "default", {"spec": {"mode": mode}})


def test_observe_enforce_and_off_are_what_the_kernel_does(
    node: Node, truth: Truth, api: Api
) -> None:
    actions = _actions(node)
    assert actions() == ["pageout", "pageout"]
    _mode(api, "Observe")
    eventually("schemes only count", lambda: actions() == ["stat", "stat"])
    truth.holds(acts=False)  # observed pods stay in their lanes
    _mode(api, "Enforce")
    eventually("schemes act again", lambda: actions() == ["pageout", "pageout"])
    truth.holds()
    _mode(api, "Off")
    truth.switched_off()
    _mode(api, "Observe")
    eventually("schemes only count", lambda: actions() == ["stat", "stat"])
    _mode(api, "Enforce")
    truth.holds()


def test_without_a_tuning_nothing_is_left_on_any_node(node: Node, truth: Truth, api: Api) -> None:
    api.delete("damontunings", "default")
    truth.switched_off()
    eventually("no plan is left", lambda: not api.get("damonnodes"))


def test_of_two_tunings_for_a_node_the_one_with_precedence_governs_it(
    node: Node,
    truth: Truth,
    workloads: Workloads,
    workers: tuple[Node, Node],
    api: Api,
) -> None:
    (far,) = workloads.start(pod("far", workers[1].name, priority="40"))
    truth.holds()
    spec = {
        "mode": "Observe",
        "precedence": 10,
        "nodeSelector": {"kubernetes.io/hostname": node.name},
        "priorities": {"annotation": {"max": 30}},
    }
    api.create(
        "damontunings",
        {
            "apiVersion": "damon-operator.io/v1alpha1",
            "kind": "DamonTuning",
            "metadata": {"name": "special"},
            "spec": spec,
        },
    )
    eventually("the special one measures", lambda: _actions(node)() == ["stat", "stat"])
    assert api.get("damonnodes", node.name)["spec"]["tuning"] == "special"
    assert api.get("damonnodes", workers[1].name)["spec"]["tuning"] == "default"
    truth.holds(workers[1].name)
    overridden = eventually("the other says so", lambda: _condition(api, "default", "Overridden"))
    assert overridden == ("True", "PartlyOverridden")
    api.patch("damontunings", "special", {"spec": {"precedence": -10}})
    eventually(
        "precedence decides",
        lambda: api.get("damonnodes", node.name)["spec"]["tuning"] == "default",
    )
    truth.holds()
    api.delete("damontunings", "special")
    truth.holds()
    assert pids_of(far, workers[1].processes())


def _condition(api: Api, name: str, kind: str) -> tuple[str, str] | None:
    tuning = api.get("damontunings", name)
    for condition in tuning.get("status", {}).get("conditions", ()):
        if condition["type"] == kind and condition["status"] == "True":
            return condition["status"], condition["reason"]
    return None
