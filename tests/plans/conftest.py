"""An API server with the project's CRDs, and clients of one node's DamonNode."""

import threading
import time
from pathlib import Path

import pytest

from damon_agent.clock import SystemClock
from damon_agent.plans.client import connect
from damon_agent.plans.reporter import Reporter
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher
from damon_contract import names
from damon_contract.watches import Backoff
from damon_mock.kube.threads import ApiThread

CRDS = Path(__file__).parents[2] / "crds"
NODE = "worker-1"
PATIENCE_S = 20


def _pod(index, *, priority=50, containers=1):
    return {
        "namespace": "default",
        "name": f"pod-{index}",
        "uid": f"00000000-0000-4000-8000-{index:012d}",
        "priority": priority,
        "source": "default",
        "containers": [
            {"name": f"c{c}", "id": f"{index * 100 + c:064x}"} for c in range(containers)
        ],
    }


def _damon_node(name=NODE, *, pods=(), **spec):
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.NODE_KIND,
        "metadata": {"name": name},
        "spec": {
            "tuning": "default",
            "mode": "Observe",
            "settings": {},
            "hash": "h1",
            "pods": list(pods),
            **spec,
        },
    }


def _eventually(holds):
    """Wait for what another thread is about to do; fail loudly when it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.01)
    raise AssertionError(f"never became true: {holds}")


@pytest.fixture
def pod():
    return _pod


@pytest.fixture
def damon_node():
    return _damon_node


@pytest.fixture
def eventually():
    return _eventually


@pytest.fixture
def api():
    with ApiThread() as thread:
        thread.call(thread.server.cluster.install, CRDS)
        yield thread


@pytest.fixture
def kubeconfig(api, tmp_path):
    return api.call(api.server.write_kubeconfig, tmp_path / "kubeconfig")


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
