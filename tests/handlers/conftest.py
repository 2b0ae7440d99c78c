"""The whole operator, kopf included, against the embedded API."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from cluster_objects import CRDS, node, prioritised, tuning
from waiting import eventually

from damon_mock.kube.server import ApiServer
from damon_operator.__main__ import operate
from damon_operator.settings import Settings, Tempo

pod = partial(prioritised, namespace="default")


class Lab:
    """The API server and what tests ask of it."""

    pod = staticmethod(pod)
    tuning = staticmethod(tuning)
    eventually = staticmethod(eventually)

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
        """Wait until kopf watches too, of so many operators of which one leads."""
        await self.eventually(lambda: len(self.api.journal.watches("damontunings")) > operators)

    def plan(self, name: str = "n1") -> dict | None:
        found = self.api.cluster.find("damonnodes", name)
        return found["spec"] if found else None

    def planned(self, name: str = "n1") -> dict[str, int] | None:
        spec = self.plan(name)
        return {p["name"]: p["priority"] for p in spec["pods"]} if spec else None


@pytest.fixture(name="lab")
async def lab_fixture(tmp_path):
    async with ApiServer() as api:
        api.cluster.install(CRDS)
        api.cluster.create(node())
        api.cluster.create(pod("web"))
        yield Lab(api, api.write_kubeconfig(tmp_path / "kubeconfig"))
