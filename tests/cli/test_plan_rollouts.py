"""What `plan` says of how a changed tuning would reach its nodes: what the operator would do."""

import cluster_objects as made
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from damon_cli.plan.forecast import ClusterFacts, plans
from damon_cli.plan.rollouts import Course, rollouts
from damon_contract.v1alpha1.tuning import DamonTuningSpec
from damon_operator.facts import read_node, read_tuning
from damon_operator.planner.rollout import progress
from damon_operator.planner.tally import Row


def stood(**spec):
    policy = DamonTuningSpec.model_validate({"mode": "Observe", **spec}).policy()
    return {"standing": policy.model_dump(mode="json", by_alias=True)}


def changed(status=None, *, mode="Enforce", **rollout):
    """Return a tuning that observed on all nodes, and is to enforce."""
    raw = made.stored(made.tuning(mode=mode, rollout=rollout))
    return read_tuning({**raw, "status": stood() if status is None else status})


def world(number):
    nodes = tuple(read_node(made.node(f"n{i}")) for i in range(number))
    return ClusterFacts(nodes, {node.name: () for node in nodes}, {})


def foreseen(tuning, number=20, *, whole=True):
    (only,) = rollouts([tuning], plans(world(number), [tuning]).values(), whole=whole)
    return only


def test_a_change_goes_to_a_few_nodes_at_a_time():
    told = foreseen(changed(maxNodes="10%", minReady="5m"))
    assert (told.course, told.nodes, told.nodes_at_a_time) == (Course.IN_TURN, 20, 2)
    assert told.says == (
        "at most 2 of its 20 nodes are taking it at a time; "
        "a node is done after 5m of Ready with it"
    )


@given(st.integers(1, 60), st.integers(1, 100), st.booleans())
def test_as_many_as_the_operator_would_let(number, asked, share):
    tuning = changed(maxNodes=f"{asked}%" if share else asked)
    old = tuning.status.standing.revision()
    rows = [
        Row(f"n{i}", ("default",), True, False, False, False, (), {}, revision=old)
        for i in range(number)
    ]
    let = len(progress(tuning, rows).next)
    assert foreseen(tuning, number).nodes_at_a_time == let


def test_paused_no_node_takes_it():
    told = foreseen(changed(maxNodes=3, paused=True))
    assert (told.course, told.nodes_at_a_time) == (Course.PAUSED, 0)
    assert "paused (rollout.paused)" in told.says


@pytest.mark.parametrize(
    ("tuning", "why"),
    [
        (changed(mode="Off", paused=True), "mode Off never waits"),
        (changed({}, paused=True), "nothing stood before it"),
        (changed(stood(mode="Enforce"), paused=True), "it is what stands already"),
    ],
    ids=["off", "new", "back"],
)
def test_what_does_not_wait_is_told_with_the_reason(tuning, why):
    told = foreseen(tuning)
    assert (told.course, told.nodes_at_a_time) == (Course.AT_ONCE, 20)
    assert told.says == f"{why}: all of its 20 nodes have it at once"


def test_of_some_nodes_no_share_can_be_told():
    told = foreseen(changed(maxNodes="10%"), whole=False)
    assert (told.nodes, told.nodes_at_a_time) == (None, None)
    assert told.says.startswith("at most 10% of its nodes are")
    assert foreseen(changed(maxNodes=3), whole=False).nodes_at_a_time == 3


def test_a_tuning_without_a_rollout_has_none():
    tuning = read_tuning(made.stored(made.tuning()))
    assert not list(rollouts([tuning], plans(world(2), [tuning]).values(), whole=True))


def asked(shop, *more, given=None, **rollout):
    file = given or made.tuning(mode="Enforce", protectFrom=70, rollout=rollout)
    return shop.ask("plan", "-f", "-", *more, given=yaml.safe_dump(file))


def test_the_command_says_how_the_change_would_go(shop):
    shop.create(made.node("n2"))
    shop.set_status("dt", "default", stood(mode="Enforce"))
    told = asked(shop, maxNodes="50%")
    assert told.code == 0, told.err
    assert "rollout of dt/default: at most 1 of its 2 nodes are taking it at a time" in told.out
    assert "rollout of dt/default: paused" in asked(shop, paused=True).out
    (document,) = asked(shop, "-o", "json", maxNodes=9).data["rollouts"]
    says = document.pop("says")
    assert says.startswith("at most 2 of its 2 nodes")
    assert document == {"tuning": "default", "course": "InTurn", "nodes": 2, "nodesAtATime": 2}
    (document,) = asked(shop, "-o", "json", "--node", "n1", maxNodes="50%").data["rollouts"]
    assert document.keys() == {"tuning", "course", "says"}


def test_a_tuning_that_would_be_refused_is_not_rolled_out(shop):
    shop.api.call(shop.cluster.patch, "dt", "default", {"spec": {"rollout": {"maxNodes": 3}}})
    told = asked(shop, "-o", "json", maxNodes=0)
    assert told.code == 1
    assert told.data["rollouts"] == []


def test_a_new_tuning_reaches_its_nodes_at_once(shop):
    new = made.tuning("new", mode="Observe", precedence=9, rollout={})
    (told,) = asked(shop, "-o", "json", given=new).data["rollouts"]
    assert (told["tuning"], told["course"]) == ("new", "AtOnce")
