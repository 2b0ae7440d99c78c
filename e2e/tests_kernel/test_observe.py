"""Mode Observe: the kernel looks, and no page moves."""

from tests_kernel.containers import Containers
from tests_kernel.node import Node
from tests_kernel.plans import Plans
from tests_kernel.waiting import until

COLD_MIB = 64


def test_observe_moves_no_page(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    victim = containers.victim("watched", 10, "hot:8:0.1", f"cold:{COLD_MIB}")
    plans.applied([victim.pod], mode="Observe")
    assert node.kdamonds()[0].actions == ("stat", "stat")

    def seen_cold_mib() -> int:
        lanes = plans.status().get("lanes", ())
        return sum(int(lane["triedBytes"]) for lane in lanes) >> 20

    until("the lane has found the cold part", lambda: seen_cold_mib() >= COLD_MIB)
    assert victim.given_up() == 0
    assert victim.swapped("cold") == 0

    plans.applied([victim.pod], mode="Enforce")
    until("Enforce takes it", lambda: victim.swapped("cold") >= 0.9)
