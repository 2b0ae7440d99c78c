"""Two agents, two machines, one API: what changes on one node is nothing to the other."""

import pytest
from cluster_objects import planned_node
from waiting import wait_for

from damon_agent.clock import SystemClock
from damon_agent.plans.client import connect
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher

A = "a1" * 32
B = "b2" * 32


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

        def plan():
            found = self.watcher.latest().plan
            return found if found is not None and found.spec.hash == expected_hash else None

        self.machine.hear(known=True, plan=wait_for(plan))
        self.machine.run(20)

    def close(self):
        self.watcher.stop()
        self.client.close()


@pytest.fixture
def agents(kubeconfig, make_machine, tmp_path):
    both = [
        Agent(name, make_machine(name), kubeconfig, tmp_path / f"{name}-plans")
        for name in ("one", "two")
    ]
    yield both
    for agent in both:
        agent.close()


def test_a_change_on_one_node_writes_nothing_on_the_other(api, agents, pod):
    one, two = agents
    for agent in agents:
        agent.machine.start(10, agent.machine.container(A))
        agent.machine.start(20, agent.machine.container(B))
        api.call(api.server.cluster.create, planned_node(pod(1, A), name=agent.name))
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
