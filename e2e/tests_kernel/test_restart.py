"""What the agent leaves behind when it ends, and what it takes back."""

import signal

from tests_kernel.agent import Agent
from tests_kernel.containers import Containers
from tests_kernel.node import Node
from tests_kernel.plans import Plans
from tests_kernel.waiting import until_equal


def test_a_restart_keeps_the_kdamonds_and_a_plan_removed_ends_them(
    node: Node, agent: Agent, plans: Plans, containers: Containers
) -> None:
    low = containers.victim("low", 10, "hot:4:0.1", "cold:16")
    high = containers.victim("high", 90, "hot:4:0.1")
    plans.applied([low.pod, high.pod])
    threads = running(node)
    assert len(threads) == 2

    for number in (signal.SIGTERM, signal.SIGKILL):
        agent.kill(number)
        assert running(node) == threads, "the kernel goes on without the agent"
        agent.start()
        # A plan it has not seen: what it says of this one it says after its start.
        newcomer = containers.victim(f"new-{number}", 10, "hot:4:0.1")
        plans.applied([low.pod, high.pod, newcomer.pod])
        node.until_target(newcomer.container.pid)
        assert running(node) == threads, "the same threads as before"
        containers.end(newcomer.container)

    plans.remove()
    until_equal("everything is as it was found", node.nr_kdamonds, 0)
    assert threads_left(node, threads) == []


def running(node: Node) -> list[int]:
    return [kdamond.pid for kdamond in node.kdamonds() if kdamond.state == "on"]


def threads_left(node: Node, pids: list[int]) -> list[int]:
    return [pid for pid in pids if node.is_alive(pid)]
