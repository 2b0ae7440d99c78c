"""A process that has grown: DAMON takes its new memory for as old as what lies beside it."""

from tests_kernel.containers import Containers
from tests_kernel.node import Node
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import MARGIN, gives_up, mark, squeeze_mib
from tests_kernel.waiting import until

COLD_MIB = 64
MIB = 1 << 20
MIN_AGE_S = 30


def test_new_memory_is_not_paged_out_for_the_age_of_what_lies_beside_it(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    least = containers.victim("least", 10, "hot:8:0.1")
    idle = containers.victim("idle", 60, f"cold:{COLD_MIB}")
    grows = containers.victim("grows", 60, "cold:8", f"taken:{COLD_MIB}:later")
    # Schemes go from one target to the next: when the last one's memory is gone, who is before it
    # has been looked at.
    plans.applied(
        [least.pod, grows.pod, idle.pod],
        chosen=settings(reclaim={"minAge": f"{MIN_AGE_S}s"}),
    )
    old_s = node.uptime_s() + MIN_AGE_S + 20
    until("their memory is old", lambda: node.uptime_s() > old_s, within_s=1200)
    assert node.available_permille() > mark(60) + MARGIN, "their lane was awake too early"

    grows.touch()
    with node.squeeze(squeeze_mib(node, int(mark(60)) - 2 * MARGIN)):
        gives_up(idle)
        assert grows.given_up() == 0
        until(
            "what was new has been idle for long enough",
            lambda: grows.given_up() > 0.9 * COLD_MIB * MIB,
            within_s=1200,
        )
