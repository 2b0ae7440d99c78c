"""The admission policies, their CEL run for every kind of writer.

What the API server makes of the same files is for the suite on a real cluster.
"""

import functools
from typing import Any

import celpy
import pytest
from celpy import celtypes

OPERATOR = "system:serviceaccount:damon-system:damon-operator"
AGENT = "system:serviceaccount:damon-system:damon-operator-agent"
UNINSTALL = "system:serviceaccount:damon-system:damon-operator-uninstall"
NODE_CLAIM = "authentication.kubernetes.io/node-name"

ENVIRONMENT = celpy.Environment()


@functools.cache
def program(expression: str) -> celpy.Runner:
    return ENVIRONMENT.program(ENVIRONMENT.compile(expression))


def evaluate(expression: str, activation: dict[str, Any]) -> Any:
    return program(expression).evaluate(activation)


def refusals(policy: dict[str, Any], user: str, body: dict[str, Any], **extra: list[str]):
    """Return the messages of the validations that fail, as admission would."""
    spec = policy["spec"]
    request = {"userInfo": {"username": user, "extra": extra}}
    variables = celtypes.MapType({})
    activation = {
        "request": celpy.json_to_cel(request),
        "object": celpy.json_to_cel(body),
        "variables": variables,
    }
    for variable in spec.get("variables", ()):
        name = celtypes.StringType(variable["name"])
        variables[name] = evaluate(variable["expression"], activation)
    return [
        str(evaluate(v["messageExpression"], activation))
        if "messageExpression" in v
        else v["message"]
        for v in spec["validations"]
        if evaluate(v["expression"], activation) != celtypes.BoolType(True)
    ]


def node(name: str) -> dict[str, Any]:
    return {"kind": "DamonNode", "metadata": {"name": name}}


def bound(name: str) -> dict[str, list[str]]:
    """Return what the API server knows of a token of a pod on this node."""
    return {NODE_CLAIM: [name]}


@pytest.fixture(name="status")
def status_fixture(render):
    return render().get("ValidatingAdmissionPolicy", "damon-operator-damonnodes-status")


@pytest.fixture(name="plan")
def plan_fixture(render):
    return render().get("ValidatingAdmissionPolicy", "damon-operator-damonnodes-plan")


def test_an_agent_may_write_the_status_of_its_own_node(status):
    assert refusals(status, AGENT, node("a"), **bound("a")) == []


def test_an_agent_may_not_write_the_status_of_another_node(status):
    assert refusals(status, AGENT, node("b"), **bound("a")) == [
        "the agent on node a may not write the status of b"
    ]


def test_a_token_that_is_no_pods_may_not_write_a_status(status):
    (said,) = refusals(status, AGENT, node("a"))
    assert "names no node" in said


@pytest.mark.parametrize(
    "user",
    [
        OPERATOR,
        UNINSTALL,
        "kubernetes-admin",
        "system:serviceaccount:default:default",
        "system:serviceaccount:other:damon-operator-agent",
        "system:node:a",
    ],
)
def test_nobody_else_may_write_a_status(status, user):
    assert refusals(status, user, node("a"), **bound("a")) == [
        "only the agent of a node may write the status of its DamonNode"
    ]


@pytest.mark.parametrize(
    "user",
    [
        OPERATOR,
        UNINSTALL,
        "kubernetes-admin",
        "system:serviceaccount:kube-system:generic-garbage-collector",
    ],
)
def test_plans_are_written_by_the_operator_and_by_people(plan, user):
    assert refusals(plan, user, node("a")) == []


@pytest.mark.parametrize("user", [AGENT, "system:serviceaccount:default:default"])
def test_plans_are_written_by_no_agent_and_no_other_workload(plan, user):
    (said,) = refusals(plan, user, node("a"), **bound("a"))
    assert said == f"{user} may not write the plan of a node: only the operator may"


def test_further_writers_of_plans_can_be_named(render):
    velero = "system:serviceaccount:velero:velero"
    policy = render(f'policies.damonNodes.planWriters=["{velero}"]').get(
        "ValidatingAdmissionPolicy", "damon-operator-damonnodes-plan"
    )
    assert refusals(policy, velero, node("a")) == []
    assert refusals(policy, OPERATOR, node("a")) == []
    assert refusals(policy, AGENT, node("a"))


@pytest.mark.parametrize("part", ["status", "plan"])
def test_an_unreadable_policy_refuses_and_every_way_to_write_is_covered(render, part):
    objects = render()
    name = f"damon-operator-damonnodes-{part}"
    spec = objects.get("ValidatingAdmissionPolicy", name)["spec"]
    assert spec["failurePolicy"] == "Fail"
    assert "matchConditions" not in spec, "a condition would be a way around"
    resource = "damonnodes/status" if part == "status" else "damonnodes"
    assert spec["matchConstraints"]["resourceRules"] == [
        {
            "apiGroups": ["damon-operator.io"],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": [resource],
        }
    ]
    binding = objects.get("ValidatingAdmissionPolicyBinding", name)["spec"]
    assert binding == {"policyName": name, "validationActions": ["Deny"]}


def workload(kind: str, **annotations: str) -> dict[str, Any]:
    metadata = {"annotations": annotations} if annotations else {}
    if kind == "Pod":
        return {"kind": kind, "metadata": metadata}
    spec: dict[str, Any] = {"template": {"metadata": metadata}}
    return {"kind": kind, "spec": {"jobTemplate": {"spec": spec}} if kind == "CronJob" else spec}


def annotations_policy(render, *values: str):
    return render(*values).get("ValidatingAdmissionPolicy", "damon-operator-annotations")


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "Job", "CronJob"])
@pytest.mark.parametrize(
    "value", ["", "abc", "0", "101", "-5", "50.5", "1e3", "\u0665\u0660", "050", "9" * 99]
)
def test_an_annotation_that_is_no_priority_is_pointed_out_wherever_pods_come_from(
    render, kind, value
):
    body = workload(kind, **{"damon-operator.io/priority": value})
    (said,) = refusals(annotations_policy(render), "someone", body)
    assert "no whole number from 1 to 100" in said


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "Job", "CronJob"])
@pytest.mark.parametrize(
    "annotations",
    [{}, {"other": "x"}, {"damon-operator.io/priority": "75", "damon-operator.io/exempt": "true"}],
)
def test_sensible_pods_pass_without_a_word(render, kind, annotations):
    policy = annotations_policy(render, 'policies.annotations={"min":10,"max":75}')
    assert refusals(policy, "someone", workload(kind, **annotations)) == []


@pytest.mark.parametrize("value", ["9", "76", "100"])
def test_an_annotation_outside_the_bounds_is_pointed_out(render, value):
    policy = annotations_policy(render, 'policies.annotations={"min":10,"max":75}')
    body = workload("Pod", **{"damon-operator.io/priority": value})
    (said,) = refusals(policy, "someone", body)
    assert (
        said == "the annotation damon-operator.io/priority is outside 10 to 75 and will be clamped"
    )


def test_an_exemption_that_is_none_is_pointed_out(render):
    body = workload("Pod", **{"damon-operator.io/exempt": "yes"})
    (said,) = refusals(annotations_policy(render), "someone", body)
    assert 'neither "true" nor "false"' in said


def test_an_exemption_is_pointed_out_where_owners_may_not_have_one(render):
    policy = annotations_policy(render, "policies.annotations.exempt=false")
    body = workload("Pod", **{"damon-operator.io/exempt": "true"})
    (said,) = refusals(policy, "someone", body)
    assert "owners may not exempt pods here" in said
    body = workload("Pod", **{"damon-operator.io/exempt": "false"})
    assert refusals(policy, "someone", body) == []


def test_annotations_are_warned_about_refused_or_left_alone(render):
    def action(value: str):
        objects = render(f'policies.annotations.action="{value}"')
        (policy,) = [
            o["spec"]["failurePolicy"]
            for o in objects.of("ValidatingAdmissionPolicy")
            if o["metadata"]["name"].endswith("annotations")
        ]
        binding = objects.get("ValidatingAdmissionPolicyBinding", "damon-operator-annotations")
        return binding["spec"]["validationActions"], policy

    assert action("Warn") == (["Warn"], "Ignore")
    assert action("Deny") == (["Deny"], "Fail")
    names = {o["metadata"]["name"] for o in render('policies.annotations.action="Off"').all}
    assert "damon-operator-annotations" not in names
