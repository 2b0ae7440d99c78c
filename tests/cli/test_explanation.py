"""What an explanation says of pods in every state. Pure: raw objects in, an answer out."""

import cluster_objects as made
import pytest

from damon_cli.explain.answer import explain
from damon_cli.explain.explanation import Explanation, Standing
from damon_cli.explain.facts import gather
from damon_operator.facts import read_tuning
from damon_operator.planner.priorities import resolve


def explained(
    pod, *, damon_node=None, tunings=None, node="there", labels=None, **spec
) -> Explanation:
    asked = [made.tuning(mode="Enforce", **spec)] if tunings is None else tunings
    place = None
    if node == "there":
        place = made.node()
    elif node is not None:
        place = node
    facts = gather(
        pod,
        made.namespace(**(labels or {})),
        place,
        [made.stored(each) for each in asked],
        damon_node,
    )
    return explain(facts)


WEB = made.prioritised("web", 60)
PLANNED = made.damon_node("n1", ("report", 40), ("web", 60), ("database", 90))
WINDOWS = {**made.node(), "metadata": {**made.node()["metadata"]}}
WINDOWS["metadata"]["labels"] = {"kubernetes.io/os": "windows"}

CASES = {
    Standing.NOT_SCHEDULED: ({"pod": made.prioritised("web", 60, node="")}, "has no node yet"),
    Standing.ENDED: ({"pod": made.pod("web", phase="Succeeded", runs=False)}, "has ended"),
    Standing.NOT_RUNNING: (
        {"pod": made.pod("web", phase="Pending", runs=False)},
        "none of its containers runs",
    ),
    Standing.NOT_GOVERNED: (
        {"pod": WEB, "tunings": [made.tuning(nodeSelector={"pool": "x"})]},
        "no DamonTuning selects its node n1",
    ),
    Standing.OFF: ({"pod": WEB, "tunings": [made.tuning(mode="Off")]}, "is Off"),
    Standing.NO_AGENT: ({"pod": WEB, "node": WINDOWS}, "without Linux"),
    Standing.EXEMPT: (
        {"pod": made.pod("web", namespace="kube-system")},
        "its namespace kube-system is exempt",
    ),
    Standing.NOT_FINDABLE: (
        {"pod": made.pod("web", id_text="odd://1234"), "damon_node": PLANNED},
        "are not 64 hex digits",
    ),
    Standing.NOT_PLANNED: ({"pod": WEB}, "has no plan yet"),
    Standing.LEFT_OUT: (
        {"pod": WEB, "damon_node": made.damon_node("n1", podsLeftOut=3)},
        "more pods than fit into a plan",
    ),
    Standing.AGENT_SILENT: (
        {"pod": WEB, "damon_node": made.damon_node("n1", ("web", 60), reported=False)},
        "is silent",
    ),
    Standing.NO_DAMON: (
        {
            "pod": WEB,
            "damon_node": made.damon_node(
                "n1", ("web", 60), ready=("False", "DamonBusy"), available="DamonBusy"
            ),
        },
        "DAMON cannot be used on n1 (so it is)",
    ),
    Standing.NOT_TAKEN: (
        {
            "pod": WEB,
            "damon_node": made.damon_node("n1", ("web", 60), figures={"web": {"kdamond": None}}),
        },
        "not in the kernel of n1 yet",
    ),
    Standing.NO_PROCESS: (
        {
            "pod": WEB,
            "damon_node": made.damon_node("n1", ("web", 60), figures={"web": {"processes": 0}}),
        },
        "finds no process of it",
    ),
    Standing.OBSERVED: (
        {
            "pod": WEB,
            "tunings": [made.tuning()],
            "damon_node": made.damon_node("n1", ("web", 60), mode="Observe"),
        },
        (
            "in mode Observe nothing is reclaimed; in mode Enforce its cold memory would be "
            "paged out once less than 40.0 %"
        ),
    ),
    Standing.SPARED: (
        {
            "pod": WEB,
            "damon_node": made.damon_node(
                "n1",
                ("web", 60),
                figures={"web": {"spared": {"until": made.TIME, "cause": "Refaults"}}},
            ),
        },
        "spared until 2026-01-01T00:00:00Z at least, because too much of what was swapped out",
    ),
    Standing.PROTECTED: (
        {"pod": made.prioritised("database", 90), "damon_node": PLANNED},
        "from 80 on a pod is protected, so it is watched and never reclaimed",
    ),
    Standing.EAGER: (
        {
            "pod": made.prioritised("ci", 10),
            "damon_node": made.damon_node("n1", ("ci", 10), lanes={10: {"active": True}}),
        },
        "is paged out at once, however much memory is available",
    ),
    Standing.WAITING: (
        {"pod": WEB, "damon_node": PLANNED},
        (
            "once less than 40.0 % of n1's memory is available; 50.0 % is available now, so "
            "nothing is taken; shop/report (40) goes before it."
        ),
    ),
    Standing.RECLAIMED: (
        {
            "pod": WEB,
            "damon_node": made.damon_node(
                "n1", ("web", 60), available_bytes=made.GIB, lanes={60: {"active": True}}
            ),
        },
        "is being paged out, because less than 40.0 % of n1's memory is available; 6.2 % is",
    ),
}


@pytest.mark.parametrize("standing", list(Standing))
def test_every_standing_has_its_plain_sentence(standing):
    case, words = CASES[standing]
    told = explained(**case)
    assert told.standing is standing, told.sentence
    assert words in told.sentence
    assert told.sentence.endswith(".")
    assert "None" not in told.sentence


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


def test_a_pod_of_a_node_that_waits_for_a_changed_tuning_is_explained_by_what_stood_before():
    """Its plan is made by that, and so is the answer."""
    asked = made.tuning(mode="Enforce", priorities={"default": 70}, rollout={})
    before = read_tuning(made.stored(made.tuning(mode="Enforce"))).spec.policy()
    asked["status"] = {"standing": before.model_dump(mode="json", by_alias=True)}
    held = made.damon_node("n1", ("web", 50))
    held["metadata"]["labels"] = {"damon-operator.io/revision": before.revision()}
    told = explained(made.pod("web"), damon_node=held, tunings=[asked])
    assert told.priority == 50
    assert "RollingOut" in {hint.reason for hint in told.hints}
    newest = read_tuning(made.stored(asked)).revision
    held["metadata"]["labels"] = {"damon-operator.io/revision": newest}
    told = explained(made.pod("web"), damon_node=held, tunings=[asked])
    assert told.priority == 70
    assert "RollingOut" not in {hint.reason for hint in told.hints}


def test_a_node_over_a_limit_of_safety_is_named():
    held = made.damon_node("n1", ("web", 60), ready=("True", "SafetyLimit"))
    told = explained(WEB, damon_node=held)
    (hint,) = [hint for hint in told.hints if hint.reason == "SafetyLimit"]
    assert hint.message.startswith("n1: ")
