"""What `helm test` runs: the script in the chart, against the embedded API server."""

import importlib.util
from pathlib import Path

import pytest
from kubernetes import client

from damon_mock.kube.threads import ApiThread

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "helm/damon-operator/files/check.py"


@pytest.fixture(name="script")
def script_fixture():
    spec = importlib.util.spec_from_file_location("chart_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="api")
def api_fixture():
    with ApiThread() as api:
        yield api


@pytest.fixture(name="check")
def check_fixture(api, script, monkeypatch):
    """Run the script as in its pod, but with the address of the embedded server."""

    def load_incluster_config() -> None:
        client.Configuration.set_default(client.Configuration(host=api.server.url))

    monkeypatch.setattr(script.config, "load_incluster_config", load_incluster_config)
    monkeypatch.setattr(script.sys, "argv", ["-c", "0"])
    yield script.main
    client.Configuration.set_default(None)


def governed(name: str, reported: str):
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Applied",
        "message": "1 of 1 planned pods have processes",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    settings = {"monitoring": {}, "reclaim": {}, "watermarks": {}, "safety": {}}
    return {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonNode",
        "metadata": {"name": name},
        "spec": {"tuning": "t", "mode": "Observe", "settings": settings, "hash": "new"},
        "status": {"observedHash": reported, "conditions": [condition]},
    }


def test_without_the_crds_it_fails_and_says_so(check, capsys):
    assert check() == 1
    assert "does not serve damon-operator.io/v1alpha1: 404" in capsys.readouterr().out


def test_a_new_installation_passes_with_a_hint(api, check, capsys):
    api.call(api.server.cluster.install, ROOT / "crds")
    assert check() == 0
    assert "apply a DamonTuning" in capsys.readouterr().out


def test_agents_that_reported_on_their_plan_are_shown(api, check, capsys):
    api.call(api.server.cluster.install, ROOT / "crds")
    api.call(api.server.cluster.create, governed("a", "new"))
    assert check() == 0
    assert "a: Applied: 1 of 1 planned pods" in capsys.readouterr().out


def test_an_agent_that_speaks_of_an_older_plan_fails_it(api, check, capsys):
    api.call(api.server.cluster.install, ROOT / "crds")
    api.call(api.server.cluster.create, governed("a", "new"))
    api.call(api.server.cluster.create, governed("b", "old"))
    assert check() == 1
    assert "b: SILENT" in capsys.readouterr().out


def test_the_pod_runs_this_script_in_the_operators_image_which_has_the_client(render):
    container = render().get("Pod", "damon-operator-test")["spec"]["containers"][0]
    code, seconds = container["args"]
    assert container["command"] == ["python3", "-c"]
    assert code.strip() == SCRIPT.read_text().strip()
    assert float(seconds) == 120
    assert "/operator:" in container["image"]
