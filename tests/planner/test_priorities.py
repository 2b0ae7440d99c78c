import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_contract.priorities import Rejected, from_annotation
from damon_contract.v1alpha1.selectors import LabelSelector
from damon_contract.v1alpha1.tuning import Priorities
from damon_operator.facts import Namespace, Part
from damon_operator.planner import priorities as planner
from damon_operator.planner.priorities import NoteReason, ResolvedPriority, Source, selects

from_class = {"priority": 1000, "priority_class": "web"}
a_rule = {"rules": [{"name": "r", "priority": 33}]}


def how(**fields) -> Priorities:
    return Priorities.model_validate(fields)


def resolve(pod, labels, config, asked=None) -> ResolvedPriority:
    return planner.resolve(pod, Namespace("default", labels, asked), config)


@pytest.mark.parametrize(
    ("facts", "config", "priority", "source"),
    [
        ({"asked": 12, **from_class}, a_rule, 12, "annotation"),
        (from_class, a_rule, 33, "rule/r"),
        (from_class, {}, 66, "priorityClass/web"),
        ({"priority": 0, "priority_class": "nought"}, {}, 50, "priorityClass/nought"),
        ({"priority": 0}, {"default": 42}, 42, "default"),
        ({"priority": None}, {"default": 42}, 42, "default"),
        ({"priority": 1000}, {}, 66, "priorityClass"),
        ({"priority": -1000, "priority_class": "low"}, {}, 34, "priorityClass/low"),
    ],
)
def test_the_first_step_that_knows_decides(pod, facts, config, priority, source):
    verdict = resolve(pod(**facts), (), how(**config))
    assert (verdict.priority, verdict.source) == (priority, source)


@pytest.mark.parametrize(
    ("facts", "config", "priority", "source"),
    [
        ({"asked": 12, **from_class}, {}, 12, "annotation"),
        (from_class, a_rule, 33, "rule/r"),
        (from_class, {}, 25, "namespace/default"),
        ({}, {}, 25, "namespace/default"),
        ({}, {"annotation": {"min": 40}}, 40, "namespace/default"),
        ({}, {"annotation": {"max": 20}}, 20, "namespace/default"),
        ({"asked": Rejected("no")}, {}, 25, "namespace/default"),
    ],
)
def test_a_namespaces_default_comes_after_rules_and_keeps_the_bounds_for_owners(
    pod, facts, config, priority, source
):
    verdict = resolve(pod(**facts), (), how(**config), asked=25)
    assert (verdict.priority, verdict.source) == (priority, source)


def test_what_is_wrong_with_a_namespaces_annotation_is_told_of_the_namespace(pod):
    clamped = resolve(pod(), (), how(annotation={"max": 20}), asked=25)
    assert [(n.reason, n.kind) for n in clamped.notes] == [(NoteReason.CLAMPED, "Namespace")]
    rejected = resolve(pod(), (), how(), asked=Rejected("no number"))
    assert [(n.reason, n.kind) for n in rejected.notes] == [(NoteReason.REJECTED, "Namespace")]
    assert rejected.source == "default"


@pytest.mark.parametrize(
    ("facts", "config", "source"),
    [
        ({"priority": 2_000_000_000, "asked": 5}, {}, "system-critical"),
        ({"part": Part.AGENT}, {}, "part of damon-operator"),
        ({"part": Part.OTHER, "asked": 5}, {}, "part of damon-operator"),
        ({"exempt": True, "asked": 5}, {}, "annotation"),
        ({"exempt": True}, {"annotation": {"max": 10, "exempt": True}}, "annotation"),
        ({"namespace": "kube-system"}, {}, "namespace/kube-system"),
        ({"namespace": "db"}, {"exemptNamespaces": ["db"]}, "namespace/db"),
        ({"runtime_class": "kata-qemu"}, {}, "runtimeClass/kata-qemu"),
        ({"runtime_class": "gVisor"}, {}, "runtimeClass/gVisor"),
        ({}, {"rules": [{"exempt": True}]}, "rule/0"),
    ],
)
def test_an_exempt_pod_has_no_priority(pod, facts, config, source):
    verdict = resolve(pod(**facts), (), how(**config))
    assert (verdict.priority, verdict.step, verdict.source) == (None, Source.EXEMPT, source)


@pytest.mark.parametrize(
    "bounds", [{"max": 10}, {"max": 99}, {"exempt": False}, {"max": 10, "exempt": False}]
)
def test_owners_may_exempt_pods_only_where_the_tuning_lets_them(pod, bounds):
    config = how(annotation=bounds, rules=[{"priority": 5}])
    verdict = resolve(pod(exempt=True), (), config)
    assert (verdict.priority, verdict.source) == (5, "rule/0")
    (note,) = verdict.notes
    assert note.reason is NoteReason.EXEMPT_DENIED
    assert "owners may not exempt" in note.message


def test_no_label_takes_a_pod_out_of_the_plan(pod):
    labels = {"app.kubernetes.io/part-of": "damon-operator", "app.kubernetes.io/name": "agent"}
    assert resolve(pod(labels=labels), (), how()).priority == 50


def test_an_ordinary_runtime_class_and_a_user_class_of_a_billion_are_not_exempt(pod):
    verdict = resolve(
        pod(runtime_class="nvidia", priority=1_000_000_000, priority_class="top"), (), how()
    )
    assert verdict.priority == 99


@pytest.mark.parametrize(("asked", "taken"), [(5, 20), (20, 20), (50, 50), (70, 70), (100, 70)])
def test_an_annotation_outside_the_bounds_is_clamped_and_reported(pod, asked, taken):
    verdict = resolve(pod(asked=asked), (), how(annotation={"min": 20, "max": 70}))
    assert verdict.priority == taken
    reasons = [note.reason for note in verdict.notes]
    assert reasons == ([] if asked == taken else [NoteReason.CLAMPED])


def test_a_garbage_annotation_is_reported_and_the_next_step_decides(pod):
    verdict = resolve(pod(asked=from_annotation("50.5"), **from_class), (), how())
    assert (verdict.priority, verdict.source) == (66, "priorityClass/web")
    (note,) = verdict.notes
    assert note.reason is NoteReason.REJECTED
    assert "damon-operator.io/priority" in note.message
    assert "50.5" in note.message


@pytest.mark.parametrize(
    ("criteria", "matches"),
    [
        ({"podSelector": {"matchLabels": {"app": "web"}}}, True),
        ({"podSelector": {"matchLabels": {"app": "db"}}}, False),
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, False),
        ({"priorityClassNames": ["web", "other"]}, True),
        ({"priorityClassNames": ["other"]}, False),
        ({"qosClasses": ["BestEffort"]}, False),
        ({"qosClasses": ["Burstable"], "priorityClassNames": ["web"]}, True),
        ({"qosClasses": ["Burstable"], "priorityClassNames": ["other"]}, False),
    ],
)
def test_all_stated_criteria_of_a_rule_must_hold(pod, criteria, matches):
    config = how(rules=[{**criteria, "priority": 7}])
    verdict = resolve(pod(labels={"app": "web"}, **from_class), (("team", "a"),), config)
    assert (verdict.step is Source.RULE) == matches


@pytest.mark.parametrize(
    ("expression", "labels", "matches"),
    [
        ({"operator": "In", "values": ["a", "b"]}, {"k": "a"}, True),
        ({"operator": "In", "values": ["a"]}, {"k": "c"}, False),
        ({"operator": "In", "values": ["a"]}, {}, False),
        ({"operator": "NotIn", "values": ["a"]}, {"k": "a"}, False),
        ({"operator": "NotIn", "values": ["a"]}, {"k": "b"}, True),
        ({"operator": "NotIn", "values": ["a"]}, {}, True),
        ({"operator": "Exists"}, {"k": ""}, True),
        ({"operator": "Exists"}, {}, False),
        ({"operator": "DoesNotExist"}, {"k": "a"}, False),
        ({"operator": "DoesNotExist"}, {}, True),
    ],
)
def test_label_expressions_mean_what_they_mean_to_kubernetes(expression, labels, matches):
    selector = LabelSelector.model_validate({"matchExpressions": [{"key": "k", **expression}]})
    assert selects(selector, labels) is matches


values = st.integers(-(2**31), 1_999_999_999)


@given(a=values, b=values)
def test_a_higher_class_value_never_gives_a_lower_priority(pod, a, b):
    low, high = (
        resolve(pod(priority=value, priority_class="c"), (), how()).priority
        for value in sorted((a, b))
    )
    assert 1 <= low <= high <= 100
