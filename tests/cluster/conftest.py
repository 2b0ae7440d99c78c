"""An embedded API server with our CRDs, a client for it, and a service that runs against both."""

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import cluster_objects
import pytest
import yaml
from cluster_objects import CRDS, node
from waiting import eventually

from damon_mock.kube.server import ApiServer
from damon_operator.cluster import Cluster, connect
from damon_operator.reconcile import Service
from damon_operator.reflector import Pace
from damon_operator.settings import Tempo

QUICK = Tempo(
    debounce_s=0.005,
    status_s=0.01,
    retry_first_s=0.01,
    retry_most_s=0.05,
    streams=Pace(page_limit=3),
)


pod = partial(cluster_objects.pod, namespace="default")
prioritised = partial(cluster_objects.prioritised, namespace="default")


def tuning(name: str = "all", **spec: Any) -> dict[str, Any]:
    return cluster_objects.tuning(name, **spec)


def a_service(cluster: Cluster, **tempo: Any) -> Service:
    return Service(
        port=cluster,
        tempo=replace(QUICK, **tempo),
        instance="lab",
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
        random=random.Random(1).random,
    )


@dataclass
class Lab:
    """The API server, the service, and what tests ask of both."""

    api: ApiServer
    cluster: Cluster
    service: Service
    task: asyncio.Task[None] | None = None
    pod = staticmethod(pod)
    node = staticmethod(node)
    tuning = staticmethod(tuning)
    prioritised = staticmethod(prioritised)
    eventually = staticmethod(eventually)
    crds = CRDS
    seen: list[str] = field(default_factory=list)

    def create(self, *manifests: dict[str, Any]) -> None:
        for manifest in manifests:
            self.api.cluster.create(manifest)

    def change_tuning(self, name: str, **spec: Any) -> None:
        self.api.cluster.patch("damontunings", name, {"spec": spec})

    def start(self) -> None:
        self.task = asyncio.create_task(self.service.run())

    async def restart(self) -> None:
        """Let the service begin anew, as with a new leader, knowing what it knows."""
        await self.stop()
        self.start()

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None

    async def replace(self, **tempo: Any) -> None:
        """Stop the service, and have another one that knows nothing yet."""
        await self.stop()
        self.service = a_service(self.cluster, **tempo)

    def plan(self, name: str) -> dict[str, Any] | None:
        found = self.api.cluster.find("damonnodes", name)
        return found["spec"] if found else None

    def planned(self, name: str) -> dict[str, int]:
        spec = self.plan(name)
        return {p["name"]: p["priority"] for p in spec["pods"]} if spec else {}

    async def planned_as(self, name: str, wanted: dict[str, int]) -> None:
        await eventually(lambda: self.plan(name) is not None and self.planned(name) == wanted)

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        status = self.api.cluster.get("damontunings", name).get("status") or {}
        found = [c for c in status.get("conditions", ()) if c["type"] == kind]
        return found[0] if found else {}

    async def conditioned(self, name: str, kind: str, reason: str) -> dict[str, Any]:
        await eventually(lambda: self.condition(name, kind).get("reason") == reason)
        return self.condition(name, kind)

    def events(self) -> list[tuple[str, str, str]]:
        found = self.api.cluster.list("events.events.k8s.io")
        return sorted((e["involvedObject"]["name"], e["reason"], e["message"]) for e in found)

    def applies(self) -> list[str]:
        return [r.name for r in self.api.journal.writes("damonnodes")]

    async def quiet(self) -> None:
        """Wait until the operator writes nothing any more."""
        before = -1
        while before != len(self.api.journal.writes()):
            before = len(self.api.journal.writes())
            await asyncio.sleep(0.1)


@pytest.fixture(name="api")
async def api_fixture():
    async with ApiServer() as api:
        api.cluster.install(CRDS)
        yield api


@pytest.fixture(name="cluster")
async def cluster_fixture(api, tmp_path):
    async with connect(str(api.write_kubeconfig(tmp_path / "kubeconfig"))) as cluster:
        yield cluster


@pytest.fixture(name="idle")
async def idle_fixture(api, cluster):
    """A lab whose service has not been started."""
    lab = Lab(api, cluster, a_service(cluster))
    yield lab
    if lab.task is not None:
        assert not lab.task.done(), lab.task
        lab.task.cancel()
        await asyncio.gather(lab.task, return_exceptions=True)


@pytest.fixture(name="lab")
async def lab_fixture(idle):
    """Two nodes, two pods each, one tuning for all, and the plans for them written."""
    idle.create(node("n1", pool="a"), node("n2", pool="b"), tuning(mode="Enforce"))
    for where in ("n1", "n2"):
        idle.create(
            prioritised(f"{where}-low", "30", where), prioritised(f"{where}-high", "60", where)
        )
    idle.start()
    for where in ("n1", "n2"):
        await idle.planned_as(where, {f"{where}-low": 30, f"{where}-high": 60})
    await idle.conditioned("all", "Ready", "NoReport")
    await idle.quiet()
    idle.api.journal.clear()
    return idle


@pytest.fixture(name="unchecked_crd")
def unchecked_crd_fixture(api):
    """Let the API server take any spec of a DamonTuning, as one of another version would."""
    crd = yaml.safe_load((CRDS / "damontunings.yaml").read_text())
    for version in crd["spec"]["versions"]:
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version["schema"] = {"openAPIV3Schema": anything}
    api.cluster.patch("crds", crd["metadata"]["name"], {"spec": crd["spec"]})
