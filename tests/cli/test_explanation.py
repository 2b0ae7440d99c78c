"""What an explanation says of pods in every state. Pure: raw objects in, an answer out."""

import cluster_objects as made
import pytest
from explained_pod import PLANNED, WEB, explained

from damon_cli.explain.explanation import Explanation, Standing
from damon_cli.explain.facts import gather
from damon_operator.planner.priorities import resolve


def decided(told: Explanation) -> tuple[str | None, str | None]:
    by = [step.name for step in told.chain if step.decides]
    after = [step.name for step in told.chain if step.next]
    return (by or [None])[0], (after or [None])[0]


RULE = {"name": "ci", "namespaceSelector": {"matchLabels": {"purpose": "ci"}}, "priority": 10}


def test_the_chain_names_what_decides_and_what_would_be_next():
    how = {"priorities": {"rules": [RULE]}}
    pod = made.prioritised("web", 60, priorityClassName="standard", priority=1000)
    assert decided(explained(pod, **how)) == ("annotation", "priorityClass")
    assert decided(explained(pod, labels={"purpose": "ci"}, **how)) == ("annotation", "rule/ci")
    assert decided(explained(made.pod("web"), **how)) == ("default", None)


def test_a_rule_that_does_not_match_says_which_criterion():
    told = explained(made.pod("web"), priorities={"rules": [RULE]})
    rule = next(step for step in told.chain if step.name == "rule/ci")
    assert rule.says == "namespaceSelector does not match"


@pytest.mark.parametrize(
    ("pod", "step"),
    [
        (made.pod("web", priority=2_000_000_000), "system-critical"),
        (made.pod("web", annotations={"damon-operator.io/exempt": "true"}), "exempt annotation"),
        (made.pod("web", namespace="kube-system"), "namespace"),
        (made.pod("web", runtimeClassName="kata-qemu"), "runtimeClass"),
        (
            made.pod("agent", labels={"app.kubernetes.io/part-of": "damon-operator"}),
            "part of damon-operator",
        ),
    ],
)
def test_an_exempt_pod_says_by_which_rule_and_what_its_priority_would_be(pod, step):
    told = explained(pod)
    assert told.standing is Standing.EXEMPT
    assert decided(told)[0] == step
    assert told.priority is None
    assert decided(told)[1] is not None


def test_a_label_makes_no_pod_ours_that_the_operator_has_planned():
    pod = made.prioritised("web", 60, labels={"app.kubernetes.io/part-of": "damon-operator"})
    assert explained(pod, damon_node=PLANNED).standing is Standing.WAITING


def test_neighbours_are_the_pods_before_and_after_it():
    told = explained(WEB, damon_node=PLANNED)
    assert told.placement.reclaimed_after.pods == ("shop/report",)
    assert not told.placement.reclaimed_after.protected
    assert told.placement.reclaimed_before.pods == ("shop/database",)
    assert told.placement.reclaimed_before.protected


@pytest.mark.parametrize(
    ("swap_bytes", "qos", "why"),
    [
        (0, "Burstable", "its node has no swap"),
        (made.GIB, "Guaranteed", "LimitedSwap"),
        (made.GIB, "Burstable", "memory.swap.max of one of its containers is 0"),
    ],
)
def test_a_pod_that_may_not_swap_says_why(swap_bytes, qos, why):
    seen = made.damon_node(
        "n1", ("web", 60), swap_bytes=swap_bytes, figures={"web": {"swappable": False}}
    )
    told = explained(made.prioritised("web", 60, qos=qos), damon_node=seen)
    assert why in told.memory.why_not_swappable
    assert "only clean file pages can go" in told.sentence


def test_an_age_that_auto_has_chosen_is_told_as_its_own_and_with_the_reason():
    for age, why in (("3m12s", True), ("24s", False)):
        seen = made.damon_node("n1", ("web", 60), lanes={60: {"minAge": age}})
        told = explained(WEB, damon_node=seen)
        assert f"memory that it has not touched for {age} (Auto) is paged out" in told.sentence
        assert ("because memory of its lane was needed again" in told.sentence) is why
        assert told.placement.lane.min_age == age
    assert "(Auto)" not in explained(WEB, damon_node=PLANNED).sentence


def test_of_an_agent_that_fell_silent_nothing_is_believed():
    seen = made.damon_node("n1", ("web", 60), ready=("Unknown", "AgentSilent"))
    told = explained(WEB, damon_node=seen)
    assert told.standing is Standing.AGENT_SILENT
    assert "AgentSilent" in {hint.reason for hint in told.hints}


def test_a_priority_outside_the_bounds_is_told():
    pod = made.prioritised("web", 99)
    told = explained(pod, priorities={"annotation": {"max": 75}})
    assert told.priority == 75
    assert [hint.reason for hint in told.hints] == ["PriorityClamped"]


def test_a_plan_that_says_something_else_is_told():
    told = explained(made.prioritised("web", 61), damon_node=PLANNED)
    assert "the plan that stands says 60 by annotation" in told.hints[0].message


def test_a_tuning_that_cannot_be_read_is_told_and_what_stands_is_shown():
    told = explained(WEB, tunings=[made.tuning(bogus=1)], damon_node=PLANNED)
    assert told.priority == 60
    assert any("spec.bogus" in hint.message for hint in told.hints)


def test_an_older_or_newer_agent_costs_no_answer():
    seen = made.damon_node("n1", ("web", 60))
    seen["status"]["pods"][0]["novelty"] = {"x": 1}
    del seen["status"]["memory"]
    assert "None" not in explained(WEB, damon_node=seen).sentence


def test_it_is_the_planner_that_decides():
    pod = made.prioritised("web", 60)
    facts = gather(pod, made.namespace(), made.node(), [made.stored(made.tuning())], None)
    spec = facts.tunings[0].spec
    assert facts.verdict == resolve(facts.pod, facts.namespace, spec.priorities)
