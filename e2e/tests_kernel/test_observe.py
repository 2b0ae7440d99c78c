"""Mode Observe: no page moves, and what the agent calls cold is what Enforce then takes."""

from tests_kernel.containers import Containers, Victim
from tests_kernel.node import Node
from tests_kernel.plans import Plans
from tests_kernel.test_ladder import gives_up
from tests_kernel.waiting import until

MIB = 1 << 20
HOT_MIB, COLD_MIB = 8, 64
TOLERANCE = 0.2
"""Of the cold bytes told. What DAMON calls hot are whole regions, with cold pages in them; what it
calls cold has a page now and then that is used after all, and comes back."""


def test_observe_moves_no_page_and_foretells_what_enforce_takes(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    victim = containers.victim("watched", 10, f"hot:{HOT_MIB}:0.1", f"cold:{COLD_MIB}")
    clock = containers.victim("clock", 10, "hot:2:0.1", "cold:16")
    plans.applied([victim.pod, clock.pod], mode="Observe")
    assert node.kdamonds()[0].actions == ("stat", "stat")

    def told() -> int:
        pods = plans.status().get("pods", ())
        return sum(int(pod.get("coldBytes", 0)) for pod in pods if pod["uid"] == victim.pod.uid)

    # All that was written once has to have been idle for minAge before a survey.
    until("the agent tells of the cold part", lambda: told() >= COLD_MIB * MIB * (1 - TOLERANCE))
    foretold, before = told(), resident(node, victim)
    assert victim.given_up() == 0
    assert clock.given_up() == 0
    assert victim.swapped("cold") == 0
    assert foretold <= before - HOT_MIB * MIB, "what is hot is not told to be cold"

    plans.applied([victim.pod, clock.pod], mode="Enforce")
    gives_up(victim)
    for _ in range(2):
        gives_up(clock)
        clock.touch()
    taken = before - resident(node, victim)
    print(f"{node.guest.release}: {foretold / MIB:.0f} MiB told, {taken / MIB:.0f} MiB taken")
    assert abs(taken - foretold) <= TOLERANCE * foretold


def resident(node: Node, victim: Victim) -> int:
    return node.status(victim.container.pid)["VmRSS"]
