"""The CRDs of the chart are those of crds/, whichever way they are installed."""

import subprocess
import sys
from pathlib import Path

import celpy
import pytest
import yaml
from celpy import celtypes

ROOT = Path(__file__).parents[2]
ENVIRONMENT = celpy.Environment()
KEEP = "helm.sh/resource-policy"


def committed():
    return {
        crd["metadata"]["name"]: crd
        for path in (ROOT / "crds").glob("*.yaml")
        for crd in [yaml.safe_load(path.read_text())]
    }


def installed(objects):
    return {o["metadata"]["name"]: o for o in objects.of("CustomResourceDefinition")}


def test_the_chart_installs_what_kubectl_apply_would(render):
    found = installed(render())
    for crd in found.values():
        assert crd["metadata"].pop("annotations") == {KEEP: "keep"}
    assert found == committed()
    assert len(found) == 2


def test_crds_can_be_left_to_others_or_removed_with_the_release(render):
    assert installed(render("crds.enabled=false")) == {}
    assert installed(render("crds.keep=false")) == committed()


def test_crds_are_no_hooks_so_an_upgrade_upgrades_them(render):
    assert not (ROOT / "helm/damon-operator/crds").exists(), "Helm would never upgrade these"
    for crd in installed(render()).values():
        assert "helm.sh/hook" not in crd["metadata"]["annotations"]


@pytest.mark.parametrize("change", ["default: 80", "{{- end }}"])
def test_a_changed_template_is_noticed(tmp_path, change):
    for path in (ROOT / "helm/damon-operator/templates/crds").glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text().replace(change, ""))
    ran = subprocess.run(
        [sys.executable, "-m", "damon_contract", "--check", "--chart-directory", str(tmp_path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert change in ran.stdout
    assert "make crds" in ran.stderr


def schemas(node, path=""):
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from schemas(child, f"{path}.{name}")
    if "items" in node:
        yield from schemas(node["items"], f"{path}[]")


@pytest.mark.parametrize("name", sorted(committed()))
def test_every_default_satisfies_its_own_rules_as_it_stands(name):
    """An API server refuses the CRD otherwise: it judges a default before it fills it in."""
    (version,) = committed()[name]["spec"]["versions"]
    judged = 0
    for path, node in schemas(version["schema"]["openAPIV3Schema"]):
        for rule in node.get("x-kubernetes-validations", ()) if "default" in node else ():
            program = ENVIRONMENT.program(ENVIRONMENT.compile(rule["rule"]))
            said = program.evaluate({"self": celpy.json_to_cel(node["default"])})
            assert said == celtypes.BoolType(True), f"{path}: {rule['message']}"
            judged += 1
    assert judged


@pytest.mark.parametrize("path", sorted((ROOT / "crds").glob("*.yaml")), ids=lambda p: p.name)
def test_crds_are_written_without_anchors(path):
    """They would be legal, and unreadable."""
    tokens = yaml.scan(path.read_text())
    assert not [t for t in tokens if isinstance(t, yaml.AnchorToken | yaml.AliasToken)]
