"""Two agents, two machines, one API: what changes on one node is nothing to the other."""

import time
from pathlib import Path

import pytest

from damon_agent.clock import SystemClock
from damon_agent.plans.client import connect
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher
from damon_contract import names
from damon_mock.kube.threads import ApiThread

CRDS = Path(__file__).parents[2] / "crds"
A = "a1" * 32
B = "b2" * 32


@pytest.fixture
def api():
    with ApiThread() as thread:
        thread.call(thread.server.cluster.install, CRDS)
        yield thread


class Agent:
    """An agent whose plans come from the API, in a machine of its own."""

    def __init__(self, name, machine, kubeconfig, state_dir):
        state_dir.mkdir()
        self.name = name
        self.machine = machine
        self.client = connect(kubeconfig, state_dir, name)
        self.woken = 0
        self.watcher = Watcher(
            self.client, PlanStore(state_dir), SystemClock(), on_change=self.wake
        )
        self.watcher.start()

    def wake(self):
        self.woken += 1

    def follow(self, expected_hash):
        """Take over what the API says once it says it, and let the machine run."""
        deadline = time.monotonic() + 20
        while True:
            plan = self.watcher.latest().plan
            if plan is not None and plan.spec.hash == expected_hash:
                break
            assert time.monotonic() < deadline, f"{self.name} never got {expected_hash}"
            time.sleep(0.01)
        self.machine.hear(known=True, plan=plan)
        self.machine.run(20)

    def close(self):
        self.watcher.stop()
        self.client.close()


@pytest.fixture
def agents(api, make_machine, tmp_path):
    kubeconfig = api.call(api.server.write_kubeconfig, tmp_path / "kubeconfig")
    both = [
        Agent(name, make_machine(name), kubeconfig, tmp_path / f"{name}-plans")
        for name in ("one", "two")
    ]
    yield both
    for agent in both:
        agent.close()


def manifest(name, generation, *pods):
    spec = {"tuning": "t", "mode": "Enforce", "settings": {}, "hash": generation, "pods": [*pods]}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.NODE_KIND,
        "metadata": {"name": name},
        "spec": spec,
    }


def test_a_change_on_one_node_writes_nothing_on_the_other(api, agents, pod):
    one, two = agents
    for agent in agents:
        agent.machine.start(10, agent.machine.container(A))
        agent.machine.start(20, agent.machine.container(B))
        api.call(api.server.cluster.create, manifest(agent.name, "h1", pod(1, A)))
        agent.follow("h1")
        assert agent.machine.targets() == [10]
    written, woken = len(two.machine.emulator.log), two.woken
    changed = {"spec": {"hash": "h2", "pods": [pod(1, A, priority=30), pod(2, B)]}}
    api.call(api.server.cluster.patch, "damonnodes", "one", changed)
    one.follow("h2")
    assert one.machine.targets() == [10, 20]
    assert two.woken == woken
    assert len(two.machine.emulator.log) == written
    assert two.watcher.latest().plan.spec.hash == "h1"
