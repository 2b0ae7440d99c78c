"""Somebody deletes the CRDs while memory is reclaimed: real operator and agents, as in the demo."""

import asyncio
from pathlib import Path

from damon_mock.demo.stage import Stage

ROOT = Path(__file__).parents[2]
CRDS = ("damontunings.damon-operator.io", "damonnodes.damon-operator.io")
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"containers": [{"name": "main", "image": "app"}]},
}


async def eventually(condition):
    """Wait until something holds; two minutes are only to end a failed test."""
    async with asyncio.timeout(120):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.1)


async def test_what_is_missing_is_said_and_all_goes_on_when_it_is_back(tmp_path):
    async with Stage(tmp_path, ROOT, transport="socket", profile="7.2") as stage:
        cluster, node = stage.api.cluster, stage.nodes["node-a"]
        await node.simulated.start_pod(POD)

        async def enforced():
            lanes = (await node.observe()).lanes
            return any(lane.pids for lane in lanes)

        async def given_back():
            return (await node.observe()).nr_kdamonds == "0"

        cluster.install(ROOT / "examples/tuning.yaml")
        await eventually(enforced)
        for name in CRDS:
            cluster.delete("crds", name)
        await eventually(given_back)

        def log(program):
            return program.log.read_text()

        async def said():
            return all(
                "missing" in log(program) for program in (stage.operator, node.agent)
            ) and "not served resource=damontunings" in log(stage.operator)

        await eventually(said)
        cluster.install(ROOT / "crds", ROOT / "examples/tuning.yaml")
        await eventually(enforced)
        for program in stage.programs():
            program.check()
            assert "Traceback" not in log(program)
            assert "out of reach" not in log(program)
        assert "DamonNodes are served again" in log(node.agent)
