from pathlib import Path

import pytest
from cluster_objects import unplaced_pod
from waiting import eventually

from damon_mock.kube.server import ApiServer
from damon_mock.nodes.node import SimulatedNode
from damon_mock.nodes.processes import stat_fields


@pytest.fixture
async def api():
    async with ApiServer() as server:
        yield server


@pytest.fixture
async def node(api, tmp_path):
    async with SimulatedNode("n1", tmp_path / "n1", api.cluster) as simulated:
        yield simulated


@pytest.fixture
def pod():
    return unplaced_pod


@pytest.fixture
def shown():
    """pid -> cgroup, as an agent would read it from a node's proc/."""

    def read(simulated: SimulatedNode) -> dict[int, str]:
        return {
            int(entry.name): (entry / "cgroup").read_text().strip().removeprefix("0::")
            for entry in simulated.proc_root.iterdir()
            if entry.name.isdecimal()
        }

    return read


@pytest.fixture
def is_running():
    """Whether this very process still runs on this machine."""

    def look(process) -> bool:
        fields = stat_fields(process.pid, Path("/proc"))
        return fields is not None and int(fields[19]) == process.start_ticks and fields[0] != "Z"

    return look


@pytest.fixture(name="eventually")
def eventually_fixture():
    return eventually
