"""The embedded API server with our CRDs, and `kubectl-damon` as a process that asks it."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster_objects import (
    condition,
    damon_node,
    namespace,
    node,
    pod,
    prioritised,
    tuning,
    without_damon,
)

from damon_mock.kube.threads import ApiThread

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("kubectl-damon")


@dataclass
class Asked:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.out)
        return answer


@dataclass
class Lab:
    """The cluster, and the command line that asks it."""

    api: ApiThread
    kubeconfig: Path
    program: Path = PROGRAM

    @property
    def cluster(self) -> Any:
        return self.api.server.cluster

    def create(self, *manifests: dict[str, Any]) -> None:
        for manifest in manifests:
            self.api.call(self.cluster.create, manifest)

    def set_status(self, kind: str, name: str, status: dict[str, Any]) -> None:
        self.api.call(self.cluster.patch, kind, name, {"status": status}, subresource="status")

    def tuned(self, name: str = "default", reason: str = "Applied", **spec: Any) -> None:
        """Create a tuning with the status that the operator would give it."""
        if self.api.call(self.cluster.find, "dt", name) is None:
            self.create(tuning(name, **spec))
        ready = condition("Ready", "True" if reason == "Applied" else "False", reason, "so it is")
        counts = {"matched": 1, "governed": 1, "applied": int(reason == "Applied")}
        status = {"observedGeneration": 1, "conditions": [ready], "nodes": counts}
        self.set_status("dt", name, status)

    def uid(self, kind: str, name: str, where: str = "shop") -> str:
        found: str = self.api.call(self.cluster.get, kind, name, where)["metadata"]["uid"]
        return found

    def environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR"}}
        return {**kept, "KUBECONFIG": str(self.kubeconfig), "COLUMNS": "120", **more}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PROGRAM, *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, *arguments: str, given: str = "", **environment: str) -> Asked:
        ran = subprocess.run(
            [PROGRAM, *arguments],
            env=self.environment(**environment),
            input=given,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in ran.stderr
        return Asked(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c():
    """A shell that starts tests in the background has them, and their programs, ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(name="empty")
def empty_fixture(tmp_path):
    """A cluster without damon-operator."""
    with ApiThread() as api:
        yield Lab(api, api.server.write_kubeconfig(tmp_path / "kubeconfig"))


@pytest.fixture(name="lab")
def lab_fixture(empty):
    """A cluster with our CRDs and nothing else."""
    empty.api.call(empty.cluster.install, ROOT / "crds")
    return empty


NAMES = (("report", 40), ("web", 60), ("database", 90))


def with_uids(lab, seen):
    """Return a DamonNode with the uids that the pods got."""
    uids = {name: lab.uid("pods", name) for name, _ in NAMES}
    for planned in (*seen["spec"]["pods"], *seen["status"]["pods"]):
        planned["uid"] = uids[planned["name"]]
    return seen


@pytest.fixture(name="tuned")
def tuned_fixture(lab):
    """One node with three pods that are to be tuned, and no plan."""
    lab.create(node(), namespace())
    for name, priority in NAMES:
        lab.create(prioritised(name, priority))
    lab.create(pod("tool", annotations={"damon-operator.io/exempt": "true"}))
    lab.tuned(mode="Enforce")
    return lab


@pytest.fixture(name="shop")
def shop_fixture(tuned):
    """The same with the pods in lanes, and the plan and the report that belong to them."""
    figures = {"web": {"coldBytes": 2**26, "givenUpBytes": 2**20}}
    tuned.create(with_uids(tuned, damon_node("n1", *NAMES, figures=figures)))
    return tuned


@pytest.fixture(name="undamoned")
def undamoned_fixture(tuned):
    """The same on a node without DAMON, whose pods give up page cache by memory.reclaim."""
    spared = {"until": "2026-01-01T00:05:00Z", "cause": "Refaults"}
    gone = {"fileBytes": 26 << 20, "workingSetBytes": 20 << 20, "spared": spared}
    figures = {"web": {"swappable": False, "reclaim": gone}}
    tuned.create(with_uids(tuned, without_damon(*NAMES, swap_bytes=0, figures=figures)))
    return tuned
