"""Limits of regions are those of a lane: small pods must not be lost beside a large one."""

from tests_kernel.containers import Containers
from tests_kernel.node import Node
from tests_kernel.plans import Plans
from tests_kernel.test_ladder import gives_up, keeps_hot

SMALL_PODS = 8


def test_small_pods_beside_a_large_one_are_told_apart(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    large = containers.victim("large", 10, "cold:256", "hole:8192")
    small = [containers.victim(f"small-{n}", 10, "hot:2:0.1", "cold:8") for n in range(SMALL_PODS)]
    plans.applied([victim.pod for victim in (large, *small)])
    for victim in (*small, large):
        gives_up(victim)
    for victim in small:
        keeps_hot(victim)
    cold = [round(victim.swapped("cold"), 2) for victim in (large, *small)]
    print(f"{node.guest.release}: shares of cold memory given up, the large pod first: {cold}")
