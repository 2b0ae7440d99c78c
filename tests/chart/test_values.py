"""The schema of the values refuses what is wrong, by name, and README.md says what there is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm/damon-operator"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

# What only the API server can judge: the parts of an affinity, and what other charts share.
FREE = {"global", "affinity.nodeAffinity", "affinity.podAffinity", "affinity.podAntiAffinity"}


def resolved(schema):
    return SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def levels(schema, path=""):
    """Yield every schema of an object, with its path; definitions where they are used."""
    schema = resolved(schema)
    if schema.get("type") == "object":
        yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from levels(child, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from levels(schema["items"], f"{path}[]")


def test_every_level_refuses_what_it_does_not_know():
    for path, schema in levels(SCHEMA):
        if any(path.endswith(free) for free in FREE):
            continue
        more = schema.get("additionalProperties")
        assert more is False or more == {"type": "string"}, f"{path}: {more}"


def test_the_schema_knows_the_values_and_no_others():
    def paths(values, schema, path=""):
        schema = resolved(schema)
        known = set(schema.get("properties", ())) - {"global"}
        assert set(values) == known, path
        for key, value in values.items():
            child = resolved(schema["properties"][key])
            if isinstance(value, dict) and "properties" in child and path + key not in WHOLE:
                paths(value, child, f"{path}{key}.")

    # Described as a whole: a user states of these what is needed.
    WHOLE = {  # noqa: N806 - a constant of this test
        f"{who}.{what}"
        for who in ("operator", "agent")
        for what in (
            *("resources", "affinity", "tolerations"),
            *("appArmorProfile", "seccompProfile", "seLinuxOptions"),
        )
    }
    paths(VALUES, SCHEMA)
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("agent.foo=1", "foo"),
        ("agents.driver=1", "agents"),
        ('agent.driver="magic"', "driver"),
        ("operator.replicas=-1", "replicas"),
        ('operator.replicas="2"', "replicas"),
        ('agent.hostPaths.damon="relative/path"', "damon"),
        ('agent.hostPaths.damon=""', "damon"),
        ('agent.hostPaths.damonMount="wide"', "damonMount"),
        ("agent.hostPaths.sys=1", "sys"),
        ('agent.maxUnavailable="0%"', "maxUnavailable"),
        ("agent.maxUnavailable=0", "maxUnavailable"),
        ('agent.resources={"limit":{}}', "limit"),
        ('agent.resources={"limits":{"memory":"lots"}}', "memory"),
        ('agent.tolerations=[{"op":"Exists"}]', "op"),
        ('agent.seLinuxOptions={"typ":"spc_t"}', "typ"),
        ('agent.appArmorProfile={"type":"runtime/default"}', "appArmorProfile"),
        ("agent.nodeSelector.zone=1", "zone"),
        ('policies.annotations.action="warn"', "action"),
        ("policies.annotations.max=101", "max"),
        ('policies.damonNodes.planWriters=["admin"]', "planWriters"),
        ("networkPolicy.apiServerPorts=[]", "apiServerPorts"),
        ("metrics.port=80", "port"),
        ("metrics.serviceMonitors=1", "serviceMonitors"),
        ('metrics.podMonitor.interval="often"', "interval"),
        ("metrics.podMonitor.labels.release=1", "release"),
        ('metrics.from=[{"podSelector":{"labels":{"app":"prometheus"}}}]', "from"),
        ("metrics.from=[{}]", "from"),
        ('fullnameOverride="My_Name"', "fullnameOverride"),
        ('nameOverride="a: b"', "nameOverride"),
        ('image.tag="a b"', "tag"),
        ("image.pullSecrets=[{}]", "name"),
        ('image.pullPolicy="Sometimes"', "pullPolicy"),
        ('crds="yes"', "crds"),
        ("uninstall.timeoutSeconds=0", "timeoutSeconds"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(newest, template, value, named):
    ran = template(newest, value)
    assert ran.returncode != 0
    assert named in ran.stderr
    assert "schema" in ran.stderr


def test_every_helm_refuses_by_the_schema(helm, template):
    ran = template(helm, "agent.foo=1")
    assert ran.returncode != 0
    assert "foo" in ran.stderr


def test_bounds_of_annotations_in_the_wrong_order_are_refused(helm, template):
    ran = template(helm, "policies.annotations.min=80", "policies.annotations.max=20")
    assert ran.returncode != 0
    assert "policies.annotations.min (80) is above policies.annotations.max (20)" in ran.stderr


def readme(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "helm/values_readme.py", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_committed_readme_is_the_generated_one():
    ran = readme("--check", str(CHART))
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(name="copy")
def copy_fixture(tmp_path):
    return Path(shutil.copytree(CHART, tmp_path / "chart"))


def test_a_changed_default_is_noticed_and_written(copy):
    values = (copy / "values.yaml").read_text()
    (copy / "values.yaml").write_text(values.replace("replicas: 2", "replicas: 3"))
    ran = readme("--check", str(copy))
    assert ran.returncode == 1
    assert "make chart-readme" in ran.stderr
    assert readme(str(copy)).returncode == 0
    assert "| `operator.replicas` | `3` |" in (copy / "README.md").read_text()
    assert readme("--check", str(copy)).returncode == 0


def test_a_value_nobody_describes_is_refused(copy):
    with (copy / "values.yaml").open("a") as values:
        values.write("  more:\n    undescribed: 1\n")
    ran = readme("--check", str(copy))
    assert ran.returncode == 1
    assert "tests.more.undescribed has no `# --` comment" in ran.stderr
