"""Hundreds of changes, and an agent killed at any time: in the end the targets are right."""

import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from tests_kernel.agent import Agent
from tests_kernel.containers import Container, Containers, Pod
from tests_kernel.node import DAMON, PROGRAMS, Node
from tests_kernel.plans import Plans, settings
from tests_kernel.waiting import until_equal

ROUNDS, EACH = 10, 10
"""As many are started as are ended: 200 in all."""
SETTINGS = settings(eagerUpTo=0)


def churn(node: Node, *argv: object) -> Any:
    done = node.guest.run("python3", f"{PROGRAMS}/churn.py", *map(str, argv))
    return json.loads(done.stdout)


def start(node: Node, chance: random.Random, number: int) -> list[Pod]:
    pods = []
    for made in churn(node, "start", number):
        pod = Pod(f"pod-{made['id'][:8]}", chance.choice((30, 50, 90)), made["uid"])
        pod.containers.append(Container(made["id"], made["pid"], cgroup(made["uid"], made["id"])))
        pods.append(pod)
    return pods


def cgroup(uid: str, identity: str) -> str:
    return f"/sys/fs/cgroup/kubepods/burstable/pod{uid}/{identity}"


def end(node: Node, pods: Iterable[Pod]) -> None:
    churn(node, "end", *(word for pod in pods for word in (pod.containers[0].id, pod.uid)))


def processes(node: Node, pods: Iterable[Pod]) -> list[int]:
    names = " ".join(f"{pod.containers[0].cgroup}/cgroup.procs" for pod in pods)
    return sorted(map(int, node.guest.shell(f"cat {names}").split()))


@pytest.mark.parametrize("seed", [1])
def test_targets_are_the_live_processes_of_planned_containers(
    node: Node, agent: Agent, plans: Plans, containers: Containers, seed: int
) -> None:
    chance = random.Random(seed)
    pods: list[Pod] = []
    strangers: list[int] = []
    for number in range(ROUNDS):
        pods += start(node, chance, EACH)
        planned = chance.sample(pods, len(pods) * 3 // 4)
        plans.apply(planned, chosen=SETTINGS)
        churn(node, "fork", *(pod.containers[0].pid for pod in chance.sample(pods, 4)))
        churn(node, "exec", *(pod.containers[0].pid for pod in chance.sample(pods, 2)))
        if number % 3 == 1:
            agent.kill()
        leaving = chance.sample(pods, len(pods) if number == ROUNDS - 1 else EACH - 2)
        leaving = leaving[: len(pods) - 6]
        end(node, leaving)
        pods = [pod for pod in pods if pod not in leaving]
        # Somebody else under the number of a process that was a target.
        reused = leaving[0].containers[0].pid
        if churn(node, "again", reused):
            strangers.append(reused)
        if number % 3 == 1:
            agent.start()
    assert strangers, "no pid was ever used again"

    plans.applied(pods[1:], chosen=SETTINGS)
    until_equal("the targets", node.targets, processes(node, pods[1:]))
    assert not set(strangers) & set(node.targets())
    agent.kill()
    dead = sum(kdamond.targets.count(2) for kdamond in node.kdamonds() if kdamond.state == "on")
    assert dead, "nobody has died"
    # One page each is all that they cost; who came last has one, too, until the kernel looks.
    until_equal("regions of dead slots", lambda: pages_watched_for_nobody(node), dead)
    agent.start()
    end(node, pods)
    for pid in strangers:
        node.guest.kill(pid, 9)


def pages_watched_for_nobody(node: Node) -> int:
    """Return how many regions the kernel holds in the page that only tombstones have."""
    running = [n for n, kdamond in enumerate(node.kdamonds()) if kdamond.state == "on"]
    lines = ["set -e"]
    for number in running:
        # The first scheme of a lane looks at every region.
        base = f"{DAMON}/admin/kdamonds/{number}"
        lines += [f"echo update_schemes_tried_regions >{base}/state"]
        lines += [f"grep -h . {base}/contexts/0/schemes/0/tried_regions/[0-9]*/start || true"]
    starts = [int(word) for word in node.guest.shell("\n".join(lines)).split()]
    assert starts or not running, "the kernel shows regions at all"
    return sum(start < 8192 for start in starts)
