"""What is explained of pods that memory.reclaim serves, alone or beside a lane. Pure."""

import cluster_objects as made
import pytest
from explained_pod import WEB, explained
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.facts import MemoryReading
from damon_agent.intents import intent
from damon_agent.kernel import ladder
from damon_cli.damon_node import DamonNode
from damon_cli.explain.explanation import ReclaimView, Standing
from damon_cli.explain.rung import mark_permille
from damon_contract.v1alpha1.node import (
    SERVED_OTHERWISE,
    UNAVAILABLE,
    DamonNodeSpec,
    NodeReason,
)

MIB = 2**20
PODS = (("ci", 10), ("report", 40), ("web", 60), ("database", 90))
LATER = "2026-01-01T00:05:00Z"


def without_damon(name="web", priority=60, *, node=None, **more):
    pod = made.prioritised(name, priority)
    return explained(pod, damon_node=node or made.without_damon(*PODS, **more))


def beside(*pods, figures=None, takes="FilePages", message=None, **more):
    said = {"message": message} if message else {}
    pods = pods or PODS
    return made.reclaimed(made.damon_node("n1", *pods, figures=figures, **more), takes, **said)


def asked(file=26 * MIB, working_set=20 * MIB, cause=None):
    spared = {"spared": {"until": LATER, "cause": cause}} if cause else {}
    return {"reclaim": {"fileBytes": file, "workingSetBytes": working_set, **spared}}


def test_without_damon_an_eager_pod_gives_up_page_cache_always():
    told = without_damon("ci", 10)
    assert told.standing is Standing.EAGER
    assert told.placement.lane is None
    assert told.placement.memory_reclaim == ReclaimView("FilePages", "Eager")
    assert told.sentence == (
        "shop/ci has priority 10 by its annotation: DAMON cannot be used on n1, so its page cache "
        "goes by memory.reclaim, a little at a time, however much memory is available; its "
        "anonymous memory stays, because the swap of its node is used up."
    )


def test_without_damon_a_pod_of_the_ladder_gives_up_page_cache_in_turn():
    told = without_damon(swap_bytes=0, figures={"web": {"swappable": False}})
    assert told.standing is Standing.WAITING
    assert told.placement.memory_reclaim.mark_permille == 221
    assert told.sentence == (
        "shop/web has priority 60 by its annotation: DAMON cannot be used on n1, so its page cache "
        "goes by memory.reclaim, a little at a time and in turn: once less than 22.1 % of n1's "
        "memory is available; 50.0 % is available now, so nothing is taken; shop/report (40) goes "
        "before it; its anonymous memory stays, because its node has no swap."
    )


def test_below_its_mark_it_gives_up_page_cache_now():
    told = without_damon(available_bytes=made.GIB)
    assert told.standing is Standing.RECLAIMED
    assert "because less than 22.1 % of n1's memory is available; 6.2 % is" in told.sentence


def test_where_the_mark_is_not_known_no_number_is_told():
    node = made.without_damon(*PODS)
    del node["status"]["memory"]
    told = without_damon(node=node)
    assert told.standing is Standing.WAITING
    assert "in turn: once less memory is available than its mark; shop/report" in told.sentence
    assert "%" not in told.sentence


def test_without_damon_a_protected_pod_gives_up_nothing():
    told = without_damon("database", 90)
    assert told.standing is Standing.PROTECTED
    assert told.placement.memory_reclaim is None
    assert "without DAMON on n1 nothing watches it" in told.placement.unserved
    assert told.sentence.endswith(
        "from 80 on a pod is protected, so nothing is taken from it; DAMON cannot be used on n1, "
        "so it is not watched either."
    )


def test_anonymous_memory_goes_too_where_there_is_swap_and_the_pod_may_use_it():
    goes = "its page cache and anonymous memory go by memory.reclaim"
    told = without_damon(takes="AllMemory")
    assert goes in told.sentence
    assert "stays" not in told.sentence
    assert told.placement.out_of_reach == ()
    told = without_damon(takes="AllMemory", figures={"web": {"swappable": False}})
    assert goes not in told.sentence
    assert "its anonymous memory stays, because memory.swap.max" in told.sentence


@pytest.mark.parametrize("reason", sorted(SERVED_OTHERWISE))
def test_whatever_keeps_damon_away_is_noted_with_what_to_do(reason):
    told = without_damon(reason=reason)
    (hint,) = told.hints
    assert (hint.reason, hint.message) == (reason, "n1: so it is")
    assert hint.action


def test_without_both_the_pod_is_not_tuned_and_both_reasons_are_told():
    node = made.reclaimed(
        made.without_damon(*PODS, takes="Nothing"), "Nothing", message="mounted read-only"
    )
    told = without_damon(node=node)
    assert told.standing is Standing.NO_DAMON
    assert "cannot be used on n1 (so it is), and nothing goes by memory.reclaim (mounted" in (
        told.sentence
    )
    assert told.placement.unserved == (
        "DAMON cannot be used on n1, and nothing goes by memory.reclaim (mounted read-only)"
    )
    del node["status"]["memoryReclaim"]
    told = without_damon(node=node)
    assert told.standing is Standing.NO_DAMON
    assert "memory.reclaim is not switched on" in told.placement.unserved


def test_a_kernel_that_has_crashed_in_damon_is_asked_for_nothing():
    told = without_damon(reason="NeedsReboot", ready=("False", "NeedsReboot"))
    assert told.standing is Standing.NO_DAMON
    assert told.placement.memory_reclaim is None
    assert told.placement.unserved.endswith("and nothing goes by memory.reclaim")
    assert "goes by" not in told.sentence


def test_a_silent_agent_asks_nobody():
    told = without_damon(ready=("Unknown", "AgentSilent"))
    assert told.standing is Standing.AGENT_SILENT
    assert told.placement.memory_reclaim is None


def test_lanes_that_an_agent_without_damon_still_reports_carry_nobody():
    node = beside(ready=("True", "PermissionDenied"), available="PermissionDenied")
    told = without_damon(node=node)
    assert told.placement.lane is None
    assert "DAMON cannot be used on n1" in told.sentence


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        ("Refaults", "page cache came back because it was used"),
        ("Pressure", "its processes waited for memory"),
        ("Novelty", "Novelty"),
    ],
)
def test_without_damon_a_pod_whose_cache_came_back_is_spared(cause, why):
    told = without_damon(figures={"web": asked(cause=cause)})
    assert told.standing is Standing.SPARED
    assert told.sentence.endswith(f"it is spared until {LATER} at least: {why}.")


def test_beside_a_lane_page_cache_goes_at_the_mark_of_the_pod():
    told = explained(WEB, damon_node=beside(lanes={60: {"markPermille": 221}}))
    assert told.standing is Standing.WAITING
    assert "once less than 22.1 %" in told.sentence
    assert told.sentence.endswith("; its page cache goes by memory.reclaim, at the same mark.")
    assert told.placement.out_of_reach == ()


def test_in_a_lane_that_is_shared_page_cache_goes_at_another_mark():
    told = explained(WEB, damon_node=beside())
    assert "once less than 40.0 %" in told.sentence
    assert "so its lane takes nothing" in told.sentence
    assert told.sentence.endswith(
        "; its page cache goes by memory.reclaim, once less than 22.1 % is available."
    )


def test_beside_an_eager_lane_page_cache_goes_at_once_too():
    told = explained(made.prioritised("ci", 10), damon_node=beside())
    assert told.standing is Standing.EAGER
    assert told.sentence.endswith("; its page cache goes by memory.reclaim, at once too.")


def test_a_lane_goes_on_while_page_cache_is_spared():
    told = explained(WEB, damon_node=beside(figures={"web": asked(cause="Refaults")}))
    assert told.standing is Standing.WAITING
    assert told.sentence.endswith(
        f"; its page cache is left alone until {LATER} at least: page cache came back because it "
        "was used."
    )


def test_a_node_over_a_limit_takes_nothing_without_damon_either():
    told = without_damon("ci", 10, ready=("True", "SafetyLimit"))
    assert told.standing is Standing.SAFETY_LIMIT
    assert "nothing is taken on n1 for now" in told.sentence
    assert "goes" not in told.sentence


def test_full_swap_stops_lanes_and_leaves_page_cache():
    told = explained(WEB, damon_node=beside(ready=("True", "SwapFull")))
    assert told.standing is Standing.SWAP_FULL
    assert told.sentence.endswith("is used up; page cache still goes by memory.reclaim.")


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (made.damon_node("n1", *PODS), "memory.reclaim is not switched on"),
        (beside(takes="Nothing", message="no file"), "nothing goes by memory.reclaim (no file)"),
    ],
    ids=["off", "in the way"],
)
def test_a_lane_alone_does_not_reach_page_cache_that_is_not_mapped(node, why):
    told = explained(WEB, damon_node=node)
    (what,) = told.placement.out_of_reach
    assert what.startswith(f"page cache that no process maps: {why}")
    assert "page cache" not in told.sentence


def test_in_observe_nothing_is_said_to_go():
    node = beside(mode="Observe")  # what it says of memory.reclaim is older than its mode
    told = explained(WEB, damon_node=node, tunings=[made.tuning()])
    assert told.standing is Standing.OBSERVED
    assert told.placement.memory_reclaim is None
    assert told.placement.out_of_reach == ()


def test_what_a_newer_agent_says_costs_no_answer():
    node = made.without_damon(*PODS)
    node["status"]["memoryReclaim"] = {"takes": "Novelty", "message": 7}
    node["status"]["pods"][2]["reclaim"] = "x"
    told = without_damon(node=node)
    assert told.memory.cache_gone_bytes is None
    assert "None" not in told.sentence
    node["status"]["memoryReclaim"] = "x"
    assert without_damon(node=node).standing is Standing.NO_DAMON


@given(
    st.sets(st.integers(1, 100), min_size=1, max_size=9),
    st.integers(0, 500),
    st.integers(501, 1000),
    st.sampled_from(["Relative", "Absolute"]),
)
def test_the_mark_is_the_agents(priorities, floor, ceiling, scaling):
    marks = {"floorPermille": floor, "ceilingPermille": ceiling, "scaling": scaling}
    settings = {"watermarks": marks}
    raw = made.damon_node("n1", *((f"p{p}", p) for p in priorities), settings=settings)
    raw["status"]["memory"] |= {"floorPermille": floor, "ceilingPermille": ceiling}
    memory = MemoryReading(2**30, 0, 0, 0, 4096, 0)
    rungs = ladder.build(intent(DamonNodeSpec.model_validate(raw["spec"]), (), memory), priorities)
    seen = DamonNode.of(raw)
    for priority in priorities:
        role = rungs.role(priority)
        assert seen.role(priority) == role
        known = rungs.mark(priority) if role == "Ladder" else None
        assert mark_permille(seen, priority) == known


def test_every_reason_without_damon_is_told_apart_from_every_other():
    for reason in NodeReason:
        seen = DamonNode.of(made.damon_node("n1", available=reason))
        assert seen.without_damon == (reason in UNAVAILABLE)
