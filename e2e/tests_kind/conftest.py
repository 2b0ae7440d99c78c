"""The cluster the environment names, the chart on it, and what each test starts from.

KUBECONFIG, DAMON_MOCKS and KIND_ENGINE say where everything is (e2e/kind/env.sh prints them);
helm and kubectl are on PATH.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import images
from harness.api import Api, Body
from harness.release import ROOT, VALUES, Release
from harness.workloads import Workloads
from tests_kind import nodes as machines
from tests_kind.nodes import Node
from tests_kind.truth import CEILING_PERMILLE, FLOOR_PERMILLE, Truth

SECCOMP = "/var/lib/kubelet/seccomp"
"""Where a kubelet looks for profiles of type Localhost."""
NEEDED = ("KUBECONFIG", "DAMON_MOCKS", "KIND_ENGINE")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a cluster there is nothing to prove."""
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        reason = f'{", ".join(missing)} not set: eval "$(e2e/kind/env.sh)", or make test-kind'
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(name="api", scope="session")
def api_fixture() -> Api:
    """The API server, as its administrator."""
    return Api()


@pytest.fixture(name="nodes", scope="session")
def nodes_fixture() -> Iterator[dict[str, Node]]:
    """Every node with a mock, by name."""
    found = machines.from_environment()
    yield found
    for node in found.values():
        node.control.close()


@pytest.fixture(name="workers", scope="session")
def workers_fixture(nodes: dict[str, Node]) -> tuple[Node, Node]:
    """Two nodes that are not the control plane."""
    first, second = [n for n in nodes.values() if "control-plane" not in n.name][:2]
    return first, second


@pytest.fixture(name="control_plane", scope="session")
def control_plane_fixture(nodes: dict[str, Node]) -> Node:
    """The node whose kubelet runs the API server."""
    return next(n for n in nodes.values() if "control-plane" in n.name)


@pytest.fixture(name="images", scope="session")
def images_fixture(nodes: dict[str, Node]) -> None:
    """The images of this checkout on every node; built when a source of theirs has changed."""
    images.ensure(*nodes)


@pytest.fixture(name="release", scope="session")
def release_fixture(api: Api, images: None, nodes: dict[str, Node]) -> Release:
    """The chart, installed; nothing of an earlier run governs any node.

    The agents run under the seccomp profile of the chart, laid on the nodes as docs/security.md has
    it.
    """
    profile = (ROOT / "helm/damon-operator/files/seccomp-agent.json").read_text()
    for node in nodes.values():
        node.run(f"mkdir -p {SECCOMP}/damon-operator")
        node.write(f"{SECCOMP}/damon-operator/agent.json", profile)
    localhost = {"type": "Localhost", "localhostProfile": "damon-operator/agent.json"}
    release = Release(api, {**VALUES, "agent": {**VALUES["agent"], "seccompProfile": localhost}})
    release.install()
    _remove_tunings(api)
    for name in ("shop", "builds"):
        if api.find("namespaces", name) is None:
            labels = {"purpose": "ci"} if name == "builds" else {}
            api.create("namespaces", {"metadata": {"name": name, "labels": labels}})
        for left in api.get("pods", namespace=name):
            api.delete("pods", left["metadata"]["name"], name)
    for body in yaml.safe_load_all((ROOT / "examples/priorityclasses.yaml").read_text()):
        if api.find("priorityclasses", body["metadata"]["name"]) is None:
            api.create("priorityclasses", body)
    return release


def _remove_tunings(api: Api) -> None:
    for tuning in api.get("damontunings"):
        api.delete("damontunings", tuning["metadata"]["name"])


@pytest.fixture(name="truth", scope="session")
def truth_fixture(api: Api, nodes: dict[str, Node]) -> Truth:
    """What must be in the kernel, worked out here."""
    return Truth(api, nodes)


@pytest.fixture(name="tuning")
def tuning_fixture(api: Api, release: Release) -> Body:
    """examples/tuning.yaml alone in force, by free memory, with marks above all that is ever free.

    So marks are exact numbers, and every lane is awake.

    It stays for the next test, which finds it as it is written here.
    """
    body: Body = yaml.safe_load((ROOT / "examples/tuning.yaml").read_text())
    body["spec"]["watermarks"] = {
        "metric": "FreeMemory",
        "floorPermille": FLOOR_PERMILLE,
        "ceilingPermille": CEILING_PERMILLE,
    }
    for other in api.get("damontunings"):
        if other["metadata"]["name"] != "default":
            api.delete("damontunings", other["metadata"]["name"])
    if api.find("damontunings", "default") is None:
        return api.create("damontunings", body)
    return api.edit("damontunings", "default", lambda found: found.update(spec=body["spec"]))


@pytest.fixture(name="untuned")
def untuned_fixture(api: Api, release: Release, truth: Truth) -> None:
    """No tuning at all, and every node as it was found."""
    _remove_tunings(api)
    truth.switched_off()


@pytest.fixture(name="workloads")
def workloads_fixture(api: Api, release: Release) -> Iterator[Workloads]:
    """Pods for one test, taken away after it."""
    workloads = Workloads(api)
    yield workloads
    workloads.clear()


@pytest.fixture(name="measured", scope="session")
def measured_fixture() -> Iterator[dict[str, Any]]:
    """Numbers to report; written as JSON where KIND_RESULTS says."""
    found: dict[str, Any] = {}
    yield found
    if found and "KIND_RESULTS" in os.environ:
        Path(os.environ["KIND_RESULTS"]).write_text(json.dumps(found, indent=2) + "\n")
