"""The CRDs of the chart are those of crds/, whichever way they are installed."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
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
