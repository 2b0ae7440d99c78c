"""Clients of one node's DamonNode."""

import threading

import pytest
from cluster_objects import planned_node, planned_pod
from waiting import wait_for

from damon_agent.clock import SystemClock
from damon_agent.plans.client import connect
from damon_agent.plans.reporter import Reporter
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher
from damon_contract.watches import Backoff

NODE = "worker-1"


@pytest.fixture
def pod():
    return planned_pod


@pytest.fixture
def damon_node():
    return planned_node


@pytest.fixture
def eventually():
    return wait_for


@pytest.fixture
def client(kubeconfig, tmp_path):
    client = connect(kubeconfig, tmp_path, NODE)
    yield client
    client.close()


@pytest.fixture
def state_dir(tmp_path):
    directory = tmp_path / "state"
    directory.mkdir()
    return directory


class Woken:
    """Counts how often the loop would have been woken."""

    def __init__(self):
        self.count = 0
        self.event = threading.Event()

    def __call__(self):
        self.count += 1
        self.event.set()


@pytest.fixture
def woken():
    return Woken()


@pytest.fixture
def watcher(client, state_dir, woken):
    watcher = Watcher(
        client,
        PlanStore(state_dir),
        SystemClock(),
        on_change=woken,
        backoff=Backoff(lambda: 0.0, first_s=0.02, most_s=0.1),
    )
    yield watcher
    watcher.stop()


@pytest.fixture
def reporter(client):
    reporter = Reporter(
        client, SystemClock(), backoff=Backoff(lambda: 0.0, first_s=0.02, most_s=0.1)
    )
    yield reporter
    reporter.stop()
