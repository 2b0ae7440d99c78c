"""The admission policies, their CEL run for every kind of writer.

What the API server makes of the same files is for the suite on a real cluster.
"""

import functools
from typing import Any

import celpy
import pytest
from celpy import celtypes

from damon_contract.names import agent_lease

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


def refusals(
    policy: dict[str, Any],
    user: str,
    body: dict[str, Any],
    before: dict[str, Any] | None = None,
    **extra: list[str],
):
    """Return the messages of the validations that fail, as admission would.

    `before` is the object as it was; None: it is created.
    """
    spec = policy["spec"]
    operation = "CREATE" if before is None else "UPDATE"
    request = {"operation": operation, "userInfo": {"username": user, "extra": extra}}
    variables = celtypes.MapType({})
    activation = {
        "request": celpy.json_to_cel(request),
        "object": celpy.json_to_cel(body),
        "oldObject": celpy.json_to_cel(before),
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
    return render().get("ValidatingAdmissionPolicy", "damonnodes-status.damon-operator.io")


@pytest.fixture(name="plan")
def plan_fixture(render):
    return render().get("ValidatingAdmissionPolicy", "damonnodes-plan.damon-operator.io")


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


def saying(status: str, reason: str) -> dict[str, Any]:
    conditions = [
        {"type": "Applied", "status": "True", "reason": "Applied"},
        {"type": "Ready", "status": status, "reason": reason},
    ]
    return {**node("a"), "status": {"conditions": conditions}}


def test_the_operator_may_say_that_an_agent_is_silent_and_nothing_else(status):
    assert refusals(status, OPERATOR, saying("Unknown", "AgentSilent")) == []
    for body in (
        saying("True", "AgentSilent"),
        saying("Unknown", "Applied"),
        {**node("a"), "status": {}},
        node("a"),
    ):
        (said,) = refusals(status, OPERATOR, body)
        assert "its agent is silent" in said


@pytest.fixture(name="lease")
def lease_fixture(render):
    return render().get("ValidatingAdmissionPolicy", "damonnodes-lease.damon-operator.io")


def test_an_agent_renews_the_lease_of_its_own_node_only(lease):
    own = {"kind": "Lease", "metadata": {"name": agent_lease("a")}}
    assert refusals(lease, AGENT, own, **bound("a")) == []
    assert refusals(lease, AGENT, own)
    for name in (agent_lease("b"), "damon-operator", "a"):
        other = {"kind": "Lease", "metadata": {"name": name}}
        (said,) = refusals(lease, AGENT, other, **bound("a"))
        assert "own node only" in said


def test_the_leases_of_others_are_none_of_our_business(lease):
    """Kubelets renew theirs every ten seconds."""
    (only,) = lease["spec"]["matchConditions"]
    for user, judged in ((AGENT, True), (OPERATOR, False), ("system:node:a", False)):
        request = {"userInfo": {"username": user}}
        assert evaluate(only["expression"], {"request": celpy.json_to_cel(request)}) == judged
    selector = lease["spec"]["matchConstraints"]["namespaceSelector"]
    assert selector == {"matchLabels": {"kubernetes.io/metadata.name": "damon-system"}}


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
        "ValidatingAdmissionPolicy", "damonnodes-plan.damon-operator.io"
    )
    assert refusals(policy, velero, node("a")) == []
    assert refusals(policy, OPERATOR, node("a")) == []
    assert refusals(policy, AGENT, node("a"))


@pytest.mark.parametrize("part", ["status", "plan"])
def test_an_unreadable_policy_refuses_and_every_way_to_write_is_covered(render, part):
    objects = render()
    name = f"damonnodes-{part}.damon-operator.io"
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
    if kind in {"Pod", "Namespace"}:
        return {"kind": kind, "metadata": metadata}
    spec: dict[str, Any] = {"template": {"metadata": metadata}}
    spec = {"jobTemplate": {"spec": spec}} if kind == "CronJob" else spec
    return {"kind": kind, "metadata": {}, "spec": spec}


KINDS = ["Pod", "Deployment", "ReplicaSet", "Job", "CronJob"]
PRIORITY, EXEMPT = "damon-operator.io/priority", "damon-operator.io/exempt"


def annotations_policy(render, *values: str):
    return render(*values).get("ValidatingAdmissionPolicy", "damon-operator-annotations")


@pytest.mark.parametrize("kind", [*KINDS, "Namespace"])
@pytest.mark.parametrize(
    "value", ["", "abc", "0", "101", "-5", "50.5", "1e3", "\u0665\u0660", "050", "9" * 99]
)
def test_an_annotation_that_is_no_priority_is_pointed_out_wherever_pods_come_from(
    render, kind, value
):
    body = workload(kind, **{"damon-operator.io/priority": value})
    (said,) = refusals(annotations_policy(render), "someone", body)
    assert "no whole number from 1 to 100" in said


@pytest.mark.parametrize("kind", KINDS)
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
    assert said == (
        "the annotation damon-operator.io/priority is outside 10 to 75, what owners may ask for "
        "here, and will be clamped"
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
    assert action("Deny") == (["Deny"], "Ignore"), "the operator takes care of itself"
    names = {o["metadata"]["name"] for o in render('policies.annotations.action="Off"').all}
    assert "damon-operator-annotations" not in names


@pytest.mark.parametrize("kind", [*KINDS, "Namespace"])
@pytest.mark.parametrize("values", [{PRIORITY: "abc"}, {PRIORITY: "100"}, {EXEMPT: "yes"}])
def test_only_what_a_request_changes_is_judged(render, kind, values):
    """A finalizer can be removed and a label set, whatever stands there since before the policy."""
    policy = annotations_policy(render, 'policies.annotations={"action":"Deny","max":75}')
    stands = workload(kind, **values)
    changed = {**stands, "metadata": {**stands["metadata"], "labels": {"a": "b"}}}
    assert refusals(policy, "someone", changed, stands) == []
    assert refusals(policy, "someone", workload(kind), stands) == []
    judged = kind != "Namespace" or PRIORITY in values
    assert len(refusals(policy, "someone", stands, workload(kind))) == judged
    other = workload(kind, **{name: f"{value}x" for name, value in values.items()})
    assert len(refusals(policy, "someone", other, stands)) == judged


@pytest.mark.parametrize("kind", ["Pod", "ReplicaSet", "Job"])
def test_what_a_controller_makes_of_a_template_is_not_judged_again(render, kind):
    policy = annotations_policy(render, 'policies.annotations.action="Deny"')
    body = workload(kind, **{PRIORITY: "abc"})
    owner = {"kind": "Any", "name": "owner", "controller": True}
    made = {**body, "metadata": {**body["metadata"], "ownerReferences": [owner]}}
    assert refusals(policy, "a controller", made) == []
    owner["controller"] = False
    assert len(refusals(policy, "someone", made)) == 1


def test_what_is_refused_is_not_said_to_be_ignored(render):
    policy = annotations_policy(render, 'policies.annotations={"action":"Deny","exempt":false}')
    for validation in policy["spec"]["validations"]:
        assert "will be" not in validation["message"]


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("name", [PRIORITY, EXEMPT])
def test_an_annotation_of_the_workload_itself_is_pointed_out(render, kind, name):
    objects = render('policies.annotations.action="Deny"')
    policy = objects.get("ValidatingAdmissionPolicy", "damon-operator-annotations-place")
    binding = objects.get("ValidatingAdmissionPolicyBinding", "damon-operator-annotations-place")
    assert binding["spec"]["validationActions"] == ["Warn"], "it does no harm"
    body = workload(kind)
    body["metadata"] = {"annotations": {name: "30"}}
    (said,) = refusals(policy, "someone", body)
    assert said.startswith(f"annotations of a {kind} do not reach its pods")
    assert said.endswith(name)
    assert refusals(policy, "someone", body, body) == []
    both = {**workload(kind, **{name: "30"}), "metadata": body["metadata"]}
    assert refusals(policy, "someone", both) == []
    assert refusals(policy, "someone", workload(kind, **{name: "30"})) == []


def test_on_a_namespace_only_the_priority_counts(render):
    policy = render().get("ValidatingAdmissionPolicy", "damon-operator-annotations-place")
    assert refusals(policy, "someone", workload("Namespace", **{PRIORITY: "30"})) == []
    (said,) = refusals(policy, "someone", workload("Namespace", **{EXEMPT: "true"}))
    assert said == f"on a Namespace only damon-operator.io/priority counts, not {EXEMPT}"
    assert refusals(policy, "someone", workload("Pod", **{EXEMPT: "true"})) == []
