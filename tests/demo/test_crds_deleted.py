"""Somebody deletes the CRDs while memory is reclaimed: real operator and agents, as in the demo."""

from pathlib import Path

from cluster_objects import unplaced_pod
from waiting import eventually

from damon_mock.demo.stage import Stage

ROOT = Path(__file__).parents[2]
CRDS = ("damontunings.damon-operator.io", "damonnodes.damon-operator.io")


async def test_what_is_missing_is_said_and_all_goes_on_when_it_is_back(tmp_path):
    async with Stage(tmp_path, ROOT, transport="socket", profile="7.2") as stage:
        cluster, node = stage.api.cluster, stage.nodes["node-a"]
        await node.simulated.start_pod(unplaced_pod("web"))

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
