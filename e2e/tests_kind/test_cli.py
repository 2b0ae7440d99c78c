"""`kubectl damon` on a real cluster: found by kubectl, with tables, credentials and refusals."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.api import Api, Body, eventually
from harness.release import ROOT, Release
from harness.workloads import Workloads, pod
from tests_kind.nodes import Node


def ask(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run `kubectl damon`, which kubectl finds on PATH beside this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        ["kubectl", "damon", *arguments],
        env={**os.environ, "PATH": path},
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert "Traceback" not in ran.stderr
    return ran


def data(*arguments: str) -> dict[str, Any]:
    ran = ask(*arguments, "-o", "json")
    assert ran.returncode in {0, 1}, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


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
