"""Commits that older kernels answer with a hang or a dead kdamond."""

from typing import Final

import pytest
from tests_kernel.containers import Containers, Victim
from tests_kernel.node import Node
from tests_kernel.pen import KDAMONDS, TAKEN, write
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import FLOOR, gives_up
from tests_kernel.waiting import until, until_equal

LANE: Final = 0
CONTEXT: Final = "contexts/0"
ASLEEP: Final = settings(
    watermarks={"interval": "1s", "floorPermille": FLOOR, "ceilingPermille": FLOOR + 1}
)
BAD_NUMBER: Final = 99_999_999
"""Above every pid_max: nobody's."""


def kills(node: Node) -> bool:
    """Tell whether a commit that the kernel refuses ends the kdamond here: until 6.15."""
    return not node.exists(f"{KDAMONDS}/{LANE}/{CONTEXT}/monitoring_attrs/intervals/intervals_goal")


def test_a_commit_while_every_lane_sleeps_is_taken(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """6.12 never answers a commit while all schemes of a context are out of their watermarks."""
    first = containers.victim("first", 30, "hot:2:0.1", "cold:16")
    plans.applied([first.pod], chosen=ASLEEP)
    thread = node.kdamonds()[LANE].pid
    for number in range(3):
        more = containers.victim(f"more-{number}", 30, "hot:2:0.1")
        plans.applied([first.pod, more.pod], chosen=ASLEEP)
        node.until_target(more.container.pid)
        containers.end(more.container)
    assert first.given_up() == 0
    plans.applied([first.pod], chosen=settings(eagerUpTo=30))
    gives_up(first)
    # A commit that hangs is freed by switching the kdamond off: then it would be another one.
    assert node.kdamonds()[LANE].pid == thread


def test_a_commit_that_hangs_is_freed_and_everything_is_put_right(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """Somebody lets the scheme sleep that keeps it awake: what comes then, 6.12 forgets."""
    first = containers.victim("first", 30, "hot:2:0.1", "cold:16")
    plans.applied([first.pod], chosen=ASLEEP)
    meter = f"{CONTEXT}/schemes/0/watermarks"
    asleep = {"metric": "free_mem_rate", "interval_us": 1000000, "high": 2, "mid": 2, "low": 0}
    foreign = {f"{meter}/{name}": value for name, value in asleep.items()}
    assert write(node, LANE, foreign, "commit") == TAKEN

    more = containers.victim("more", 30, "hot:2:0.1")
    plans.applied([first.pod, more.pod], chosen=ASLEEP)
    node.until_target(more.container.pid)
    if kills(node):
        metric = f"{KDAMONDS}/{LANE}/{meter}/metric"
        until_equal("the meter is always awake", lambda: node.guest.read(metric), "none")
    plans.applied([first.pod, more.pod], chosen=settings(eagerUpTo=30))
    gives_up(first)


def bad_attributes(node: Node, victim: Victim) -> dict[str, object]:
    """Fewer than three regions are refused."""
    return {f"{CONTEXT}/monitoring_attrs/nr_regions/min": 2}


def bad_target(node: Node, victim: Victim) -> dict[str, object]:
    """Nobody has this number."""
    slot = node.kdamonds()[LANE].targets.index(victim.container.pid)
    return {f"{CONTEXT}/targets/{slot}/pid_target": BAD_NUMBER}


@pytest.mark.parametrize("bad", [bad_attributes, bad_target])
def test_a_commit_the_kernel_refuses_is_mended(
    node: Node, agent: object, plans: Plans, containers: Containers, bad: object
) -> None:
    """Until 6.15 it is answered with success and ends the kdamond; later it changes nothing."""
    assert callable(bad)
    victims = [containers.victim(f"low-{n}", 10, "hot:2:0.1", "cold:16") for n in range(3)]
    pods = [victim.pod for victim in victims]
    plans.applied(pods)
    for victim in victims:
        gives_up(victim)
    pids = sorted(victim.container.pid for victim in victims)
    before = node.kdamonds()[LANE]
    foreign: dict[str, object] = bad(node, victims[1])
    (path,) = foreign
    wanted = node.guest.read(f"{KDAMONDS}/{LANE}/{path}")

    said = write(node, LANE, foreign, "commit")
    if kills(node):
        assert said == TAKEN
        until("another thread works", lambda: node.kdamonds()[LANE].pid not in {-1, before.pid})
        until_equal("on all its targets", node.targets, pids)
    else:
        assert "Invalid argument" in said
        assert node.kdamonds()[LANE].pid == before.pid
        # What is in the files is nothing yet; the agent's own next commit would fail of it.
        more = containers.victim("more", 10, "hot:2:0.1")
        pods.append(more.pod)
        plans.applied(pods)
        until_equal("one more", node.targets, sorted([*pids, more.container.pid]))
        assert node.kdamonds()[LANE].pid == before.pid, "the same thread as before"
    assert node.guest.read(f"{KDAMONDS}/{LANE}/{path}") == wanted
    for victim in victims:
        victim.touch()
        gives_up(victim)
    plans.until_condition("Ready", "True", "Applied")
