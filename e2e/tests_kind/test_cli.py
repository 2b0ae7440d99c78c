"""`kubectl damon` on a real cluster: found by kubectl, with tables, credentials and refusals."""

import json
import zipfile
from pathlib import Path

import pytest
import yaml
from harness.api import Api, Body, eventually
from harness.plugin import ask, data
from harness.release import AGENT_IMAGE, NAMESPACE, ROOT, Release
from harness.workloads import Workloads, pod
from tests_kind.nodes import Node


@pytest.fixture(name="shop")
def shop_fixture(tuning: Body, workloads: Workloads, workers: tuple[Node, Node]) -> str:
    """Pods of three kinds on a worker, in lanes; the name of the worker."""
    where = workers[0].name
    workloads.start(
        pod("report", where, priority="40"),
        pod("database", where, class_name="critical"),
        pod("profiler", where, exempt="true"),
    )
    eventually(
        "report is in a lane",
        lambda: (
            data("explain", "pod", "report", "-n", "shop")["standing"] in {"Waiting", "Reclaimed"}
        ),
    )
    return where


def test_status_counts_every_node(api: Api, shop: str) -> None:
    told = data("status")
    assert sum(group["nodes"] for group in told["nodes"]) == len(api.get("damonnodes"))
    assert [each["name"] for each in told["tunings"]] == ["default"]


def test_pods_are_explained(shop: str) -> None:
    report = data("explain", "report", "-n", "shop")
    assert report["priority"] == 40
    assert report["placement"]["node"] == shop
    assert report["memory"]["processes"] >= 1
    assert data("explain", "database", "-n", "shop")["standing"] == "Protected"
    exempt = data("explain", "profiler", "-n", "shop")
    assert exempt["standing"] == "Exempt"
    assert [step["name"] for step in exempt["chain"] if step["decides"]] == ["exempt annotation"]


def test_pods_of_the_operator_are_known_as_its_own(release: Release, shop: str) -> None:
    (operator, *_), (agent, *_) = release.pods("operator"), release.agents().values()
    why = {
        "part of damon-operator": operator["metadata"],
        "system-critical": agent["metadata"],  # its PriorityClass says so before anything else
    }
    for source, metadata in why.items():
        told = data("explain", metadata["name"], "-n", metadata["namespace"])
        assert told["source"] == source


def test_top_has_the_planned_pods(shop: str) -> None:
    names = {row["name"] for row in data("top", "-n", "shop")["items"]}
    assert {"shop/report", "shop/database"} <= names
    assert "shop/profiler" not in names


def test_a_plan_changes_nothing(api: Api, shop: str) -> None:
    before = api.get("damontunings", "default")["metadata"]["generation"]
    changed = yaml.safe_load((ROOT / "examples/tuning.yaml").read_text())
    changed["spec"]["priorities"]["annotation"] = {"max": 30}
    ran = ask("plan", "-f", "-", "-o", "json", given=yaml.safe_dump(changed))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    changes = {c["pod"]: c["after"] for c in json.loads(ran.stdout)["forecast"]["podChanges"]}
    assert changes["shop/report"] == "30 by annotation"
    assert api.get("damontunings", "default")["metadata"]["generation"] == before


def test_what_the_api_server_refuses_is_told(shop: str) -> None:
    refused = {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonTuning",
        "metadata": {"name": "Not_A_Name"},
        "spec": {},
    }
    ran = ask("plan", "-f", "-", given=yaml.safe_dump(refused))
    assert ran.returncode == 1
    assert "refused (API server)" in ran.stdout


def test_a_node_is_diagnosed_from_what_the_api_knows(shop: str) -> None:
    (told,) = data("doctor", "--node", shop)["items"]
    states = {finding["check"]: finding["state"] for finding in told["findings"]}
    assert {"Damon": states["Damon"], "Holder": states["Holder"]} == {"Damon": "ok", "Holder": "ok"}


def test_a_node_is_read_by_a_pod_on_it_that_does_not_stay(api: Api, shop: str) -> None:
    """It needs no installation; here it sees the kernel of the machine below the cluster."""
    asked = ("doctor", "--probe", "--node", shop, "--image", AGENT_IMAGE, "-n", "default")
    (told,) = data(*asked)["items"]
    states = {finding["check"]: finding["state"] for finding in told["findings"]}
    assert told["probed"]
    assert states["Kernel"] == "ok"
    eventually(
        "the probe's pod has gone",
        lambda: (
            not [
                each
                for each in api.get("pods", namespace="default")
                if each["metadata"]["name"].startswith("damon-probe-")
            ]
        ),
    )


def test_a_dump_has_objects_and_logs_and_no_environment(shop: str, tmp_path: Path) -> None:
    file = tmp_path / "dump.zip"
    ran = ask("sysdump", "-f", str(file))
    assert ran.returncode == 0, ran.stderr
    with zipfile.ZipFile(file) as dump:
        names = dump.namelist()
        texts = [dump.read(name).decode() for name in names]
        missing = dump.read("missing.txt").decode()
    assert f"damonnodes/{shop}.json" in names
    logs = [name for name in names if name.startswith(f"{NAMESPACE}/logs/")]
    assert any("agent" in name for name in logs)
    assert any("operator" in name for name in logs)
    has_metrics = any(name.startswith(f"{NAMESPACE}/metrics/") for name in names)
    assert has_metrics or missing.startswith("metrics: no pod serves any")
    assert not [text for text in texts if '"env"' in text]


def test_cold_memory_is_reported_against_requests(shop: str) -> None:
    told = data("report")
    assert told["total"]["planned"] >= 2
    assert "shop" in {each["name"] for each in told["namespaces"]}
    page = ask("report", "-o", "html").stdout
    assert page.startswith("<!DOCTYPE html>")
    assert "shop/pod/report" in page


def test_two_pods_are_checked_and_taken_away(api: Api, shop: str) -> None:
    """Nodes of this cluster have no swap, and DAMON is emulated: so far it goes, and says so."""
    told = data("check", "--node", shop, "--timeout", "90s")
    phases = {phase["name"]: phase for phase in told["nodes"][0]["phases"]}
    assert [phases[name]["outcome"] for name in ("running", "planned", "taken")] == ["Happened"] * 3
    assert phases["given up"]["outcome"] != "Happened"
    assert phases["given up"]["says"]
    eventually(
        "its namespace has gone",
        lambda: told["namespace"] not in {n["metadata"]["name"] for n in api.get("namespaces")},
    )
