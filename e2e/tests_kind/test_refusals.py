"""Bad objects and bad values are refused, in words that name the field and the rule."""

import json
import subprocess
from typing import Any

import pytest
import yaml
from harness.api import Api, Body, eventually
from harness.release import CHART, NAME, NAMESPACE, ROOT, Release

BAD: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "protection",
        {"protectFrom": 10, "eagerUpTo": 20},
        "spec",
        "eagerUpTo must be below protectFrom",
    ),
    ("type", {"protectFrom": "high"}, "spec.protectFrom", "must be of type integer"),
    ("bound", {"protectFrom": 101}, "spec.protectFrom", "less than or equal to 100"),
    ("unquoted Off", {"mode": False}, "spec.mode", "must be of type string"),
    ("mode", {"mode": "On"}, "spec.mode", "supported values"),
    (
        "bounds",
        {"priorities": {"annotation": {"min": 90, "max": 10}}},
        "spec.priorities.annotation",
        "min must not be above max",
    ),
    (
        "rule",
        {"priorities": {"rules": [{"name": "both", "priority": 5, "exempt": True}]}},
        "spec.priorities.rules[0]",
        "either priority or exempt: true",
    ),
    (
        "samples",
        {"monitoring": {"sampleInterval": "100ms", "aggregationInterval": "2s"}},
        "spec.monitoring",
        "fewer than 10 samples",
    ),
    (
        "floor",
        {"watermarks": {"floorPermille": 700, "ceilingPermille": 600}},
        "spec.watermarks",
        "floorPermille must not be above ceilingPermille",
    ),
    (
        "window",
        {"reclaim": {"quota": {"bytes": "1Mi", "window": "1s"}}},
        "spec",
        "reclaim.quota.window must not be below monitoring.aggregationInterval",
    ),
    (
        "no node",
        {"rollout": {"maxNodes": 0}},
        "spec.rollout.maxNodes",
        "greater than or equal to 1",
    ),
    ("no share", {"rollout": {"maxNodes": "0%"}}, "spec.rollout.maxNodes", "should match"),
    ("unknown field", {"watermarks": {"ceiling": 400}}, "spec.watermarks.ceiling", "unknown field"),
]


@pytest.mark.parametrize(("spec", "field", "rule"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_tuning_is_refused_with_field_and_rule(
    spec: dict[str, Any], field: str, rule: str, release: Release
) -> None:
    body = {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonTuning",
        "metadata": {"name": "bad"},
        "spec": spec,
    }
    done = subprocess.run(
        ["kubectl", "apply", "--filename", "-"],
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(body),
    )
    assert done.returncode != 0
    assert field in done.stderr
    assert rule in done.stderr


@pytest.mark.parametrize("at_once", [1, 1_000_000, "1%", "100%"])
def test_the_nodes_of_a_rollout_are_a_number_or_a_share(
    at_once: int | str, release: Release
) -> None:
    body = _tuning({"rollout": {"maxNodes": at_once}})
    done = subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "--output=json", "--filename", "-"],
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(body),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spec"]["rollout"]["maxNodes"] == at_once


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("operator.replicas=many", "replicas"),
        ("agent.driver=fast", "driver"),
        ("agent.hostPath.damon=/x", "hostPath"),
        ("policies.annotations.max=101", "max"),
    ],
)
def test_bad_values_are_refused_at_install_by_the_schema(value: str, field: str) -> None:
    done = subprocess.run(
        ["helm", "install", "bad", str(CHART), "--namespace", "bad", "--set", value],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert field in done.stderr
    assert "values don't meet the specifications" in done.stderr


def test_an_object_stored_before_an_additive_change_is_served_after_it(
    release: Release, untuned: None, api: Api
) -> None:
    """The CRD of an earlier release, without one field and its default, then today's."""
    today = yaml.safe_load((ROOT / "crds/damontunings.yaml").read_text())
    name = today["metadata"]["name"]
    before = json.loads(json.dumps(today))
    properties = before["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    del properties["spec"]["properties"]["safety"]
    _put(api, name, before)
    try:
        # Served by the old schema: what it does not know is dropped.
        def old() -> Body | None:
            probe = _tuning({"mode": "Observe", "safety": {"maxPlanAge": "2h"}})
            api.delete("damontunings", "stored")
            made = api.create("damontunings", probe)
            return None if "safety" in made["spec"] else made

        stored = eventually("the API server has taken the old schema", old)
    finally:
        _put(api, name, today)

    def served() -> Body | None:
        found: Body = api.get("damontunings", "stored")
        return found if "safety" in found["spec"] else None

    after = eventually("the API server has taken the new schema", served)
    assert after["metadata"]["uid"] == stored["metadata"]["uid"]
    assert after["metadata"]["generation"] == stored["metadata"]["generation"]
    assert after["spec"]["safety"] == {"maxPlanAge": "1h"}
    assert after["spec"]["mode"] == "Observe"

    def valid() -> bool:
        conditions = api.get("damontunings", "stored").get("status", {}).get("conditions", ())
        return any(c["type"] == "Valid" and c["status"] == "True" for c in conditions)

    eventually("the operator understands it", valid)
    api.patch("damontunings", "stored", {"spec": {"safety": {"maxPlanAge": "2h"}}})
    assert api.get("damontunings", "stored")["spec"]["safety"] == {"maxPlanAge": "2h"}
    api.delete("damontunings", "stored")


def _put(api: Api, name: str, crd: Body) -> None:
    """Bring a CRD's spec to what is given, whoever manages it."""
    versions = crd["spec"]["versions"]
    api.edit(
        "customresourcedefinitions", name, lambda found: found["spec"].update(versions=versions)
    )


def _tuning(spec: dict[str, Any]) -> Body:
    return {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonTuning",
        "metadata": {"name": "stored"},
        "spec": spec,
    }


def test_the_crds_alone_can_be_applied(release: Release) -> None:
    done = subprocess.run(
        [
            *("kubectl", "apply", "--server-side", "--force-conflicts", "--dry-run=server"),
            *("--filename", str(ROOT / "crds")),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_helm_test_passes(release: Release, tuning: Body) -> None:
    done = subprocess.run(
        ["helm", "test", NAME, "--namespace", NAMESPACE, "--logs", "--timeout", "180s"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 DamonNode(s)" in done.stdout


def _kubectl(*arguments: str, body: Body | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", *arguments],
        check=False,
        capture_output=True,
        text=True,
        input=None if body is None else json.dumps(body),
    )


def _deployment(own: dict[str, str], template: dict[str, str]) -> Body:
    labels = {"app": "judged"}
    pod = {"containers": [{"name": "main", "image": "nowhere/none"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "judged", "namespace": "default", "annotations": own},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": template}, "spec": pod},
        },
    }


def test_annotations_are_judged_when_they_change_and_where_they_count(release: Release) -> None:
    """The API server's own CEL, on the policies as the chart installs them (action Warn)."""
    priority = "damon-operator.io/priority"
    apply = ("apply", "--filename", "-")
    try:
        own = _kubectl(*apply, body=_deployment({priority: "30"}, {}))
        assert own.returncode == 0, own.stderr
        assert "annotations of a Deployment do not reach its pods" in own.stderr
        bad = _kubectl(*apply, body=_deployment({}, {priority: "very high"}))
        assert bad.returncode == 0, bad.stderr
        assert "no whole number from 1 to 100 and will be ignored" in bad.stderr
        scaled = _kubectl("label", "deployment", "judged", "touched=true")
        assert scaled.returncode == 0, scaled.stderr
        assert "Warning" not in scaled.stderr, "nothing that is judged has changed"
        good = _kubectl(*apply, body=_deployment({}, {priority: "30"}))
        assert "Warning" not in good.stderr
    finally:
        _kubectl("delete", "deployment", "judged", "--ignore-not-found")


def test_a_second_installation_is_refused_by_the_name_of_the_first(release: Release) -> None:
    done = subprocess.run(
        [
            *("helm", "install", "second", str(CHART), "--namespace", "second"),
            *("--create-namespace", "--set", "crds.enabled=false"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert f"release {NAME} in namespace {NAMESPACE}" in done.stderr
