"""A changed tuning goes from node to node: real operator and agents, as in the demo."""

import os
import signal
from pathlib import Path

import pytest
from cluster_objects import tuning, unplaced_pod
from waiting import eventually

from damon_mock.demo.stage import Stage

ROOT = Path(__file__).parents[2]
FIRST, SECOND = "node-b", "node-a"
"""In the order in which dt/all reaches them."""


class Theatre:
    """What the test asks of the stage."""

    def __init__(self, stage):
        self.stage = stage
        self.cluster = stage.api.cluster

    async def marks(self, name):
        """Return the ceiling that the node's kernel was given, from the one pod that is there."""
        lanes = (await self.stage.nodes[name].observe()).lanes
        return [lane.watermark for lane in lanes if lane.pids]

    def condition(self, kind):
        listed = self.cluster.get("dt", "all").get("status", {}).get("conditions", ())
        return next((c for c in listed if c["type"] == kind), {})

    def says(self, reason, kind="RolledOut"):
        async def condition():
            return self.condition(kind).get("reason") == reason

        return condition

    def revision(self, name):
        return self.cluster.get("dn", name)["metadata"].get("labels")

    def agent(self, name, number):
        os.kill(self.stage.nodes[name].agent.pid, number)


@pytest.fixture(name="theatre")
async def theatre_fixture(tmp_path):
    async with Stage(tmp_path, ROOT, transport="socket", profile="7.2") as stage:
        theatre = Theatre(stage)
        for name, node in stage.nodes.items():
            await node.simulated.start_pod(unplaced_pod(f"web-{name}"))
        rollout = {"maxNodes": 1, "minReady": "0s"}
        theatre.cluster.create(tuning("all", mode="Enforce", rollout=rollout))
        await eventually(theatre.says("Applied", "Ready"))
        await eventually(theatre.says("RolledOut"))
        yield theatre


def gone_on(theatre, name, old):
    async def condition():
        return await theatre.marks(name) != old

    return condition


CHANGED = {"spec": {"watermarks": {"ceilingPermille": 400}}}


async def test_the_second_node_keeps_its_marks_until_the_first_is_ready(theatre):
    old = {name: await theatre.marks(name) for name in (FIRST, SECOND)}
    before = theatre.revision(SECOND)
    theatre.agent(FIRST, signal.SIGSTOP)
    theatre.cluster.patch("dt", "all", CHANGED)
    await eventually(theatre.says("RollingOut"))

    async def first_is_let():
        return theatre.revision(FIRST) != before

    await eventually(first_is_let)
    # A pod that comes meanwhile is planned on both, on the second by what stood before.
    await theatre.stage.nodes[SECOND].simulated.start_pod(unplaced_pod("late"))

    async def late_is_watched():
        return sum(len(lane.pids) for lane in (await observed()).lanes) == 2

    async def observed():
        return await theatre.stage.nodes[SECOND].observe()

    await eventually(late_is_watched)
    assert await theatre.marks(SECOND) == old[SECOND]
    assert theatre.revision(SECOND) == before
    assert theatre.condition("Ready")["reason"] == "RollingOut"
    assert f"waiting for {FIRST}" in theatre.condition("RolledOut")["message"]
    theatre.agent(FIRST, signal.SIGCONT)
    await eventually(theatre.says("RolledOut"))
    await eventually(theatre.says("Applied", "Ready"))
    assert await theatre.marks(FIRST) != old[FIRST]
    assert await theatre.marks(SECOND) != old[SECOND]


async def test_a_first_node_that_is_not_well_halts_it_until_it_is(theatre):
    old = await theatre.marks(SECOND)
    before = theatre.revision(SECOND)
    meminfo = theatre.stage.nodes[FIRST].simulated.proc_root / "meminfo"
    theatre.agent(FIRST, signal.SIGSTOP)
    theatre.cluster.patch("dt", "all", CHANGED)

    async def first_is_let():
        return theatre.revision(FIRST) != before

    await eventually(first_is_let)
    kept = meminfo.rename(meminfo.with_name("kept"))
    theatre.agent(FIRST, signal.SIGCONT)
    await eventually(theatre.says("RolloutHalted"))
    assert f"halted because node {FIRST}: NodeUnreadable" in theatre.condition("Ready")["message"]
    assert await theatre.marks(SECOND) == old
    kept.rename(meminfo)
    await eventually(theatre.says("RolledOut"))
    await eventually(gone_on(theatre, SECOND, old))


async def test_off_waits_for_nobody(theatre):
    theatre.cluster.patch("dt", "all", {"spec": {"rollout": {"paused": True}}})
    theatre.cluster.patch("dt", "all", CHANGED)
    await eventually(theatre.says("RolloutPaused"))
    theatre.cluster.patch("dt", "all", {"spec": {"mode": "Off"}})

    async def given_back():
        nodes = theatre.stage.nodes.values()
        return all([(await node.observe()).nr_kdamonds == "0" for node in nodes])

    await eventually(given_back)
