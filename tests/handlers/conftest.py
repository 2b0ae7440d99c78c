"""The whole operator, kopf included, against the embedded API."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from damon_mock.kube.server import ApiServer
from damon_operator.__main__ import operate
from damon_operator.settings import Settings, Tempo

CRDS = Path(__file__).parents[2] / "crds"


def pod(name: str, priority: str = "30", node: str = "n1") -> dict:
    identity = hashlib.sha256(name.encode()).hexdigest()
    running = {
        "name": "main",
        "image": "i",
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "containerID": f"containerd://{identity}",
        "state": {"running": {}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {"damon-operator.io/priority": priority}},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "i"}]},
        "status": {"phase": "Running", "containerStatuses": [running]},
    }


def tuning(name: str, **spec) -> dict:
    return {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonTuning",
        "metadata": {"name": name},
        "spec": spec,
    }


class Lab:
    """The API server and what tests ask of it."""

    pod = staticmethod(pod)
    tuning = staticmethod(tuning)

    def __init__(self, api: ApiServer, kubeconfig: Path) -> None:
        self.api = api
        self.kubeconfig = kubeconfig

    def settings(self, identity: str = "one", stalled_s: float = 180.0, **fields) -> Settings:
        tempo = Tempo(
            debounce_s=0.005,
            status_s=0.01,
            retry_first_s=0.01,
            retry_most_s=0.05,
            stalled_s=stalled_s,
            lease_s=1.5,
            lease_retry_s=0.05,
            exit_s=None,  # kopf's last resort, SIGKILL, would hit the test run
        )
        values = {
            "kubeconfig": str(self.kubeconfig),
            "leader_elect": False,
            "lease_namespace": "default",
            "lease_name": "damon-operator",
            "identity": identity,
            "liveness_port": 0,
            "log_level": "info",
        }
        return Settings(**{**values, **fields}, tempo=tempo)

    @asynccontextmanager
    async def operator(self, identity: str = "one", **fields):
        task = asyncio.create_task(operate(self.settings(identity, **fields)))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def started(self, operators: int = 1) -> None:
        """Wait until kopf watches too: cancelled before, it leaves a session open."""
        await self.eventually(lambda: len(self.api.journal.watches("damontunings")) > operators)

    def plan(self, name: str = "n1") -> dict | None:
        found = self.api.cluster.find("damonnodes", name)
        return found["spec"] if found else None

    def planned(self, name: str = "n1") -> dict[str, int] | None:
        spec = self.plan(name)
        return {p["name"]: p["priority"] for p in spec["pods"]} if spec else None

    async def eventually(self, condition):
        """Wait until something holds; a minute is only to end a failed test."""
        async with asyncio.timeout(60):
            while True:
                if found := condition():
                    return found
                await asyncio.sleep(0.01)


@pytest.fixture(name="lab")
async def lab_fixture(tmp_path):
    async with ApiServer() as api:
        api.cluster.install(CRDS)
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}
        api.cluster.create(node)
        api.cluster.create(pod("web"))
        yield Lab(api, api.write_kubeconfig(tmp_path / "kubeconfig"))
