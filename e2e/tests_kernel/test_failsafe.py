"""The agent wakes lanes, the kernel may only stop them: what cache and a dead agent cannot do."""

import signal

import pytest
from tests_kernel.agent import Agent
from tests_kernel.containers import Containers
from tests_kernel.node import PROGRAMS, Node
from tests_kernel.pen import KDAMONDS
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import FLOOR, gives_up
from tests_kernel.waiting import until, until_equal

FILE = "/var/tmp/zeros"
MARGIN_MIB = 100
"""So much more than the mark is available."""
LEFT_PERMILLE = 60
"""Of all memory: so much is left free by the cache."""
LONG_S = 25
"""Longer than cold memory has to be idle, and than a lane that is awake takes to see it."""


def fill_the_cache(node: Node, mib_per_s: int) -> None:
    facts = node.meminfo()
    wanted = facts["MemFree"] - facts["MemTotal"] * LEFT_PERMILLE // 1000
    node.guest.run(
        "python3", f"{PROGRAMS}/cache.py", FILE, str(wanted >> 20), str(mib_per_s), timeout_s=900
    )


def marks_below_available(node: Node) -> dict[str, object]:
    """Return watermarks whose ceiling is so many MiB below what is available; looked at by default.

    The interval is the default, the longest time between two looks of the agent.
    """
    facts = node.meminfo()
    ceiling = (facts["MemAvailable"] - (MARGIN_MIB << 20)) * 1000 // facts["MemTotal"]
    return {"interval": "5s", "floorPermille": min(FLOOR, ceiling - 1), "ceilingPermille": ceiling}


def sleep(node: Node, seconds: float) -> None:
    begun_s = node.uptime_s()
    until("some time has passed", lambda: node.uptime_s() - begun_s >= seconds)


@pytest.mark.parametrize("mib_per_s", [15, 40])
def test_cache_that_grows_at_any_rate_wakes_no_lane(
    node: Node, agent: object, plans: Plans, containers: Containers, mib_per_s: int
) -> None:
    """6.12 and 7.3.4 took 145 of 145 MiB of priority 30 here, when the kernel decided alone."""
    ladder = containers.victim("ladder", 30, "hot:4:0.1", "cold:48")
    chosen = settings(watermarks=marks_below_available(node))
    plans.applied([ladder.pod], chosen=chosen)
    sleep(node, LONG_S)
    assert ladder.given_up() == 0
    try:
        fill_the_cache(node, mib_per_s)
        sleep(node, LONG_S)
        facts = node.meminfo()
        free = facts["MemFree"] * 1000 // facts["MemTotal"]
        assert free < chosen.watermarks.ceiling_permille, "the cache has filled up"
        assert node.available_permille() > chosen.watermarks.ceiling_permille, "nothing is short"
        assert ladder.given_up() == 0
    finally:
        node.guest.run("rm", "-f", FILE)


def test_with_a_dead_agent_the_cache_may_fill_and_sleeping_lanes_take_nothing(
    node: Node, agent: Agent, plans: Plans, containers: Containers
) -> None:
    victims = [containers.victim(f"pod-{p}", p, "hot:4:0.1", "cold:32") for p in (30, 60)]
    plans.applied([v.pod for v in victims], chosen=settings(watermarks=marks_below_available(node)))
    agent.kill(signal.SIGKILL)
    try:
        fill_the_cache(node, 40)
        sleep(node, 2 * LONG_S)
        assert [victim.given_up() for victim in victims] == [0, 0]
    finally:
        node.guest.run("rm", "-f", FILE)


def test_an_agent_that_is_told_to_end_leaves_lanes_that_only_watch(
    node: Node, agent: Agent, plans: Plans, containers: Containers
) -> None:
    eager = containers.victim("eager", 10, "hot:4:0.1", "cold:32")
    plans.applied([eager.pod])
    gives_up(eager)
    thread = node.kdamonds()[0].pid

    agent.kill(signal.SIGTERM)
    assert node.guest.read(f"{KDAMONDS}/0/contexts/0/schemes/1/action") == "stat"
    eager.touch()
    sleep(node, LONG_S)
    assert eager.resident("cold") >= 0.9, "nobody takes its cold memory now"

    agent.start()
    gives_up(eager)
    until_equal("the same thread", lambda: node.kdamonds()[0].pid, thread)
