"""What a process shares with those that it has forked: lanes can't take it, memory.reclaim can."""

from tests_kernel.agent import Agent
from tests_kernel.containers import Containers, Victim
from tests_kernel.node import Node
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import gives_up
from tests_kernel.waiting import until

SHARED_MIB = 64
MIB = 1 << 20
CAREFUL = settings(brake={"enabled": True})
"""Without the brake nothing goes by memory.reclaim."""


def server(containers: Containers) -> Victim:
    """Start a pod of low priority whose workers map all of its cold memory."""
    return containers.victim("server", 10, f"shared:{SHARED_MIB}", "workers:4")


def test_lanes_do_not_reach_it(
    node: Node, agent: Agent, plans: Plans, containers: Containers
) -> None:
    shares = server(containers)
    alone = containers.victim("alone", 10, "cold:16")
    plans.applied([shares.pod, alone.pod], chosen=CAREFUL)
    gives_up(alone)
    assert shares.swapped("shared") < 0.1


def test_it_goes_where_the_agent_may_ask_for_it(
    node: Node, agent: Agent, plans: Plans, containers: Containers
) -> None:
    agent.stop()
    agent.start("--memory-reclaim", cgroup="rw")
    shares = server(containers)
    kept = containers.victim("kept", 95, "cold:16")
    plans.applied([shares.pod, kept.pod], chosen=CAREFUL)
    until(
        "half of what the workers share is in swap",
        lambda: shares.given_up() > SHARED_MIB // 2 * MIB,
        within_s=1200,
    )
    assert kept.given_up() == 0
