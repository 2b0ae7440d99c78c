"""A process in the slot of a dead one: DAMON matches by index and keeps regions and ages."""

from tests_kernel.containers import Containers, Victim
from tests_kernel.node import PAGE_BYTES, Node
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import FLOOR, gives_up
from tests_kernel.waiting import until

HOT_MIB = 48
NOISE = (HOT_MIB << 20) // PAGE_BYTES // 50
"""Pages, 2 % of the hot part."""


def marks(ceiling: int) -> dict[str, object]:
    return {"interval": "1s", "floorPermille": FLOOR, "ceilingPermille": ceiling}


ASLEEP, AWAKE = settings(watermarks=marks(FLOOR)), settings(watermarks=marks(1000))


def faults_of_a_newcomer(
    node: Node, plans: Plans, containers: Containers, beside: Victim, name: str
) -> int:
    """Return what it costs a hot pod to enter the lane in the very commit that wakes it."""
    newcomer = containers.victim(name, 30, f"hot:{HOT_MIB}:0.1")
    before = newcomer.major_faults()
    plans.applied([beside.pod, newcomer.pod], chosen=AWAKE)
    # The neighbour shows that the lane has been at work.
    gives_up(beside)
    assert newcomer.container.pid in node.targets()
    return newcomer.major_faults() - before


def test_a_hot_pod_in_the_slot_of_a_dead_cold_one_loses_nothing(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    beside = containers.victim("beside", 30, "hot:2:0.1", "cold:16")
    plans.applied([beside.pod], chosen=ASLEEP)
    control = faults_of_a_newcomer(node, plans, containers, beside, "control")

    dead = containers.victim("dead", 30, "cold:48")
    plans.applied([dead.pod, beside.pod], chosen=ASLEEP)
    beside.touch()
    # Asleep, and its pages get old: longer than a region has to be cold.
    clock = containers.victim("clock", 10, "hot:2:0.1", "cold:8")
    plans.applied([dead.pod, beside.pod, clock.pod], chosen=ASLEEP)
    for _ in range(2):
        gives_up(clock)
        clock.touch()
    assert dead.given_up() == 0
    containers.end(dead.container)
    lost = faults_of_a_newcomer(node, plans, containers, beside, "newcomer")
    assert lost <= control + NOISE

    until("nothing is left of the dead", lambda: dead.container.pid not in node.targets())
