"""Commits that older kernels answer with a hang or a dead kdamond."""

from tests_kernel.containers import Containers
from tests_kernel.node import DAMON, Node
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import FLOOR, gives_up
from tests_kernel.waiting import until

LANE = f"{DAMON}/admin/kdamonds/0"
ASLEEP = settings(
    watermarks={"interval": "1s", "floorPermille": FLOOR, "ceilingPermille": FLOOR + 1}
)


def test_a_commit_while_every_lane_sleeps_is_taken(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """6.12 never answers a commit while all schemes of a context are out of their watermarks."""
    first = containers.victim("first", 30, "hot:2:0.1", "cold:16")
    plans.applied([first.pod], chosen=ASLEEP)
    for number in range(3):
        more = containers.victim(f"more-{number}", 30, "hot:2:0.1")
        plans.applied([first.pod, more.pod], chosen=ASLEEP)
        node.until_target(more.container.pid)
        containers.end(more.container)
    assert first.given_up() == 0
    plans.applied([first.pod], chosen=settings(eagerUpTo=30))
    gives_up(first)


def test_a_kdamond_killed_by_a_commit_is_started_again(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """Until 6.15 a commit of values the kernel refuses is answered with success, and ends it."""
    victim = containers.victim("low", 10, "hot:2:0.1", "cold:32")
    plans.applied([victim.pod])
    before = node.kdamonds()[0]
    regions = f"{LANE}/contexts/0/monitoring_attrs/nr_regions"
    wanted = node.guest.read(f"{regions}/min")
    # Fewer than three regions are refused.
    node.guest.shell(f"echo 2 >{regions}/min; echo commit >{LANE}/state || true", check=False)
    if node.guest.release.startswith("6.12."):
        until("another thread works", lambda: node.kdamonds()[0].pid not in {-1, before.pid})
    else:
        assert node.kdamonds()[0].pid == before.pid
        node.guest.shell(f"echo off >{LANE}/state")
        until("another thread works", lambda: node.kdamonds()[0].pid not in {-1, before.pid})
    until("its values are ours again", lambda: node.guest.read(f"{regions}/min") == wanted)
    victim.touch()
    gives_up(victim)
    plans.until_condition("Ready", "True", "Applied")
