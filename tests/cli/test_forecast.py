"""What `plan` foresees. Pure: facts in, differences out."""

import cluster_objects as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from damon_agent.kernel.ladder import FULL
from damon_agent.kernel.lanes.bands import KDAMONDS
from damon_cli.damon_node import DamonNode
from damon_cli.explain.rung import mark_permille
from damon_cli.plan import screen
from damon_cli.plan.forecast import ClusterFacts, forecast, plans
from damon_cli.plan.ladders import node_ladder
from damon_contract.v1alpha1.node import DamonNodeSpec
from damon_operator import facts

PODS = (
    made.prioritised("report", 40),
    made.pod("web"),
    made.prioritised("database", 90),
    made.pod("tool", annotations={"damon-operator.io/exempt": "true"}),
    made.pod("dns", namespace="kube-system"),
    made.pod("pending", phase="Pending", runs=False),
)


def world(*pods, nodes=("n1",)) -> ClusterFacts:
    read = [facts.read_pod(pod, facts.Pool()) for pod in pods or PODS]
    return ClusterFacts(
        nodes=tuple(facts.read_node(made.node(name, pool=name)) for name in nodes),
        pods={name: tuple(p for p in read if p.node == name) for name in nodes},
        namespaces={"shop": facts.Namespace("shop", ())},
    )


def tuning(name="default", **spec):
    return facts.read_tuning(made.stored(made.tuning(name, **spec)))


def test_what_stands_has_every_pod_in_its_group():
    told = forecast(world(), [tuning()], [tuning()])
    assert [(g.priority, g.role, g.pods) for g in told.groups] == [
        (90, "Protected", ("shop/database",)),
        (50, "Ladder", ("shop/web",)),
        (40, "Ladder", ("shop/report",)),
    ]
    assert {e.reason: e.pods for e in told.exempt} == {
        "annotation": ("shop/tool",),
        "namespace/kube-system": ("kube-system/dns",),
    }


def test_no_change_is_no_difference():
    told = forecast(world(), [tuning()], [tuning()])
    assert (told.pod_changes, told.node_changes, told.settings_changed) == ((), (), ())


def test_another_default_changes_the_pods_it_decides():
    told = forecast(world(), [tuning()], [tuning(priorities={"default": 30})])
    (change,) = told.pod_changes
    assert (change.pod, change.before, change.after) == (
        "shop/web",
        "50 by default",
        "30 by default",
    )


def test_narrower_bounds_clamp_and_forbid_exemption():
    told = forecast(world(), [tuning()], [tuning(priorities={"annotation": {"max": 75}})])
    assert {note.reason for note in told.notes} == {"PriorityClamped", "ExemptDenied"}
    changed = {change.pod: change.after for change in told.pod_changes}
    assert changed == {"shop/database": "75 by annotation", "shop/tool": "50 by default"}


def test_a_tuning_that_wins_nodes_says_from_whom():
    then = [tuning(), tuning("new", precedence=1, nodeSelector={"pool": "n2"}, mode="Enforce")]
    told = forecast(world(nodes=("n1", "n2")), [tuning()], then)
    (change,) = told.node_changes
    assert change.before == "dt/default in mode Observe"
    assert change.after == "dt/new in mode Enforce"
    assert change.examples == ("n2",)


def test_a_setting_of_the_agents_is_a_difference_too():
    told = forecast(world(), [tuning()], [tuning(protectFrom=70)])
    assert told.settings_changed == ("default",)


def ladder(*pods, seen=None, **spec):
    here = world(*pods)
    made_plans = plans(here, [tuning(mode="Enforce", **spec)])
    return node_ladder("n1", made_plans["n1"].spec, 16 * made.GIB, seen)


def test_the_ladder_is_that_of_the_agent():
    told = ladder(seen=DamonNode.of(made.damon_node("n1", ("web", 50))))
    assert [(r.priorities, r.role, r.mark_permille) for r in told.rungs] == [
        ((40,), "Ladder", 600),
        ((50,), "Ladder", 467),
        ((90,), "Protected", None),
    ]
    assert told.floor_permille == 70
    assert told.floor_known
    assert told.available_permille == 500


def test_without_an_agents_word_the_floor_is_known_to_be_too_low():
    assert not ladder().floor_known
    assert ladder(watermarks={"floorPermille": 100}).floor_known


@given(st.integers(0, FULL), st.integers(1, 2**44), st.integers(0, 2**40))
def test_the_floor_an_agent_reports_comes_out_again(floor, capacity, reserved):
    seen = made.damon_node("n1", ("web", 50))
    seen["status"]["memory"] |= {"floorPermille": floor, "capacityBytes": capacity}
    spec = plans(world(), [tuning(watermarks={"ceilingPermille": FULL})])["n1"].spec
    reserved = min(reserved, floor * capacity // FULL)
    told = node_ladder(
        "n1", spec.model_copy(update={"reserved_bytes": reserved}), capacity, DamonNode.of(seen)
    )
    # In a node of a few bytes a share is no whole number of them.
    assert told.floor_permille == floor or capacity < 10**4


MANY = tuple((f"p{priority}", priority) for priority in range(25, 78, 4))


def ladder_of(raw):
    seen = DamonNode.of(raw)
    return node_ladder("n1", DamonNodeSpec.model_validate(raw["spec"]), 0, seen)


def heading(told):
    console = Console(width=200)
    with console.capture() as captured:
        screen.show_ladder(console, told)
    return captured.get().splitlines()[1]


def test_without_damon_each_priority_has_a_rung_of_its_own():
    assert len(ladder_of(made.damon_node("n1", *MANY)).rungs) == KDAMONDS
    told = ladder_of(made.without_damon(*MANY))
    assert len(told.rungs) == len(MANY)
    assert (told.without_damon, told.memory_reclaim) == (True, "FilePages")
    seen = DamonNode.of(made.without_damon(*MANY))
    assert [r.mark_permille for r in told.rungs] == [mark_permille(seen, p) for _, p in MANY]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (made.damon_node("n1", ("web", 60)), "now; its lanes reclaim below"),
        (made.without_damon(("web", 60)), "and page cache goes by memory.reclaim below"),
        (
            made.without_damon(("web", 60), takes="AllMemory"),
            "and page cache and anonymous memory go by memory.reclaim below",
        ),
        (made.without_damon(("web", 60), takes="Nothing"), "else its lanes would reclaim below"),
    ],
)
def test_what_works_at_the_rungs_is_told(raw, said):
    told = heading(ladder_of(raw))
    assert told.endswith(said)
    assert ("DAMON cannot be used there" in told) == ("memory.reclaim" in told or "else" in told)
