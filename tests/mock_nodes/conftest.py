import asyncio
from pathlib import Path

import pytest

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
    def make(name: str, *containers: str, **spec):
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "containers": [{"name": c, "image": "none"} for c in containers or ("main",)],
                **spec,
            },
        }

    return make


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


@pytest.fixture
def eventually():
    """For what happens in other processes, which tell nobody."""

    async def wait(condition) -> None:
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0.01)
        pytest.fail("it did not come true within ten seconds")

    return wait
