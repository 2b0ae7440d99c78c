"""What the chart's hooks keep of a large cluster fits into their small pods, many times over."""

import importlib.util
import json
import tracemalloc
from pathlib import Path

import pytest

from damon_contract.v1alpha1.tuning import Settings
from damon_operator import errors, uninstall
from damon_operator.resources import DAMON_NODES, NODES, Page

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "helm/damon-operator/files/check.py"
RELEASE = uninstall.Release("damon", "damon-operator", "damon-operator", {"part": "agent"})

MIB = 1 << 20
CLUSTER_NODES = 250
PODS_A_NODE = 110
HELD_MIB = 8
"""Most that may be held of such a cluster at once. All of its objects take some 50 MiB, those of
one with 1,000 nodes 200; the pods' limits are 128 and 256 MiB."""


def plan(name: str) -> str:
    """Return a DamonNode as it is on the wire."""
    who = [{"namespace": "shop", "name": f"web-{n}", "uid": "u" * 36} for n in range(PODS_A_NODE)]
    container = {"name": "main", "id": "a" * 64}
    condition = {"message": "m" * 40, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return json.dumps(
        {
            "metadata": {"name": name, "uid": name},
            "spec": {
                "tuning": "default",
                "mode": "Enforce",
                "settings": Settings().model_dump(mode="json", by_alias=True, exclude_none=True),
                "hash": "new",
                "pods": [
                    {**pod, "priority": 30, "source": "default", "containers": [container] * 2}
                    for pod in who
                ],
            },
            "status": {
                "observedHash": "new",
                "conditions": [
                    {"type": kind, "status": "True", "reason": "Applied", **condition}
                    for kind in ("Ready", "Applied", "DamonAvailable")
                ],
                "pods": [{**pod, "processes": 3, "coldBytes": 2**30} for pod in who],
            },
        }
    )


def machine(name: str) -> str:
    """Return a Node as it is on the wire: images are most of it."""
    return json.dumps(
        {
            "metadata": {"name": name, "uid": name, "labels": {f"l{n}": "v" for n in range(30)}},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "images": [{"names": [f"{n}" * 80], "sizeBytes": n} for n in range(50)],
            },
        }
    )


def agent(name: str) -> str:
    """Return a pod of an agent as it is on the wire."""
    return json.dumps(
        {
            "metadata": {"name": f"agent-{name}", "labels": {f"l{n}": "v" for n in range(9)}},
            "spec": {"nodeName": name, "containers": [{"args": [f"--{n}" for n in range(99)]}]},
            "status": {"phase": "Running"},
        }
    )


class Listed:
    """A large cluster that reads like one: every object is its own, made when it is asked for."""

    def __init__(self) -> None:
        self.texts = {make: make("NAME") for make in (plan, machine, agent)}

    def some(self, make, first: int, most: int):
        """Yield the objects of a page."""
        for n in range(first, min(first + most, CLUSTER_NODES)):
            yield json.loads(self.texts[make].replace("NAME", f"node-{n}"))

    def after(self, first: int, most: int) -> str:
        """Return the continue token of a page."""
        return str(first + most) if first + most < CLUSTER_NODES else ""

    async def read_deployment(self, _namespace, _name):
        raise errors.NotFound("GET", 404, "NotFound")

    async def page(self, resource, *, limit, after, take):
        make = {DAMON_NODES.name: plan, NODES.name: machine, "pods": agent}[resource.name]
        for raw in self.some(make, int(after or 0), limit):
            take(raw)
        return Page("1", self.after(int(after or 0), limit))

    async def apply_node(self, body):
        return body

    def list_cluster_custom_object(self, _group, _version, plural, *, limit=None, _continue=None):
        if plural != DAMON_NODES.name:
            return {"metadata": {}, "items": []}
        first, most = int(_continue or 0), limit or CLUSTER_NODES
        items = list(self.some(plan, first, most))
        return {"metadata": {"continue": self.after(first, most)}, "items": items}


@pytest.fixture(name="held_mib")
def held_mib_fixture():
    """Return a function that says how much memory was held at once since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()


async def test_an_uninstall_keeps_little_of_a_large_cluster(held_mib):
    async def sleep(_seconds):
        pass

    moments = iter([0.0, 1.0])
    done = await uninstall.uninstall(
        Listed(), RELEASE, timeout_s=1, clock=lambda: next(moments), sleep=sleep
    )
    assert done == 1, "no agent has answered yet"
    assert held_mib() < HELD_MIB


def test_a_helm_test_keeps_little_of_a_large_cluster(held_mib, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("chart_check", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script.config, "load_incluster_config", lambda: None)
    monkeypatch.setattr(script.client, "CustomObjectsApi", Listed)
    monkeypatch.setattr(script.sys, "argv", ["-c", "0"])
    assert script.main() == 0
    assert f"{CLUSTER_NODES} DamonNode(s)" in capsys.readouterr().out
    assert held_mib() < HELD_MIB
