"""The dashboard is one by Grafana's own types: a misspelt field would silently do nothing."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PYTHON = HOME / "damon-operator/prometheus/grafana/bin/python"
DASHBOARD = ROOT / "helm/damon-operator/files/dashboard.json"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="no SDK of Grafana: e2e/prometheus/tools.sh fetches it"
)


def read(file: Path) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parent / "grafana_schema.py"
    return subprocess.run([PYTHON, script, file], capture_output=True, text=True, check=False)


def test_grafana_knows_every_field_of_the_dashboard():
    ran = read(DASHBOARD)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("field", ["legendFormat", "lineWidth", "gridPos", "reduceOptions"])
def test_a_misspelt_field_is_found(field, tmp_path):
    text = DASHBOARD.read_text()
    assert f'"{field}"' in text
    misspelt = tmp_path / "dashboard.json"
    misspelt.write_text(text.replace(f'"{field}"', f'"{field}s"'))
    assert read(misspelt).returncode != 0
