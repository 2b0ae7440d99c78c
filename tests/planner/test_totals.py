"""What the agents of many nodes add up, and that one of them cannot spoil it for the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_contract.v1alpha1.node import MAX_BYTES, MAX_PODS, DamonNodeStatus
from damon_contract.v1alpha1.totals import NOTHING, Sums, Totals
from damon_operator.facts import read_written
from damon_operator.planner.status import tuning_status
from damon_operator.planner.tally import Tallies, row

APPLIED = [{"type": kind, "status": "True", "reason": "Applied"} for kind in ("Ready", "Applied")]


def written(name, totals):
    status = {"observedHash": "h", "totals": totals, "conditions": APPLIED}
    return read_written(
        {"metadata": {"name": name, "uid": name}, "spec": {"hash": "h"}, "status": status}
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"cold": "999999999999Ti"},
        {"givenUp": "999999999999Gi", "pods": 1},
        {"refaulted": "2000000Ti"},
        {"running": 2**63 - 1},
        {"spared": MAX_PODS + 1},
    ],
)
def test_figures_that_no_node_can_have_cost_their_own_node_alone(tuning, odd):
    DamonNodeStatus.model_validate({"totals": odd})  # as the CRD does, it takes them
    tallies = Tallies()
    for name, totals in (("bad", odd), ("good", {"running": 3, "cold": "10Mi"})):
        tallies.put(name, row(name, ("all",), {"default": 3}, "h", written(name, totals)))
    status = tuning_status(tuning(), tallies.of("all"), now="2026-01-01T00:00:00Z")
    assert status.totals == Totals(pods=6, running=3, cold="10Mi")
    assert status.nodes.applied == 2


def test_a_figure_that_only_a_newer_agent_knows_is_ignored():
    told = written("n", {"running": 3, "cold": "10Mi", "fromTheFuture": "1Gi"})
    assert told.figures == Totals(running=3, cold="10Mi").figures() != NOTHING


@given(st.integers(1, 10**9), st.sampled_from(["cold", "given_up", "refaulted"]))
def test_whatever_nodes_add_up_to_can_be_written(nodes, figure):
    sums = Sums(
        running=nodes * MAX_PODS, **{f"{figure}_bytes": nodes * MAX_BYTES, f"{figure}_known": nodes}
    )
    said = Totals.of(nodes, sums)
    assert Totals.model_validate_json(said.model_dump_json(by_alias=True)) == said
