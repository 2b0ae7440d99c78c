"""The ladder: who gives up cold memory, and when, as memory gets short."""

from fractions import Fraction

from tests_kernel.containers import Containers, Victim
from tests_kernel.node import PAGE_BYTES, Node
from tests_kernel.plans import Plans
from tests_kernel.waiting import until

HOT_MIB, COLD_MIB = 8, 64
FLOOR, CEILING = 150, 600
"""As in plans.settings."""
MARGIN = 20
"""Per mille: how far from a mark a step stays."""


def mark(priority: int, *, least: int = 10, protected_from: int = 80) -> Fraction:
    """Return the mark of docs/adr/0002: a straight line from floor to ceiling."""
    share = Fraction(protected_from - priority, protected_from - least)
    return FLOOR + share * (CEILING - FLOOR)


def squeeze_mib(node: Node, permille: int) -> int:
    """Return how much to take so that so much is available."""
    facts = node.meminfo()
    return (facts["MemAvailable"] - facts["MemTotal"] * permille // 1000) >> 20


def gives_up(victim: Victim) -> None:
    until(f"{victim.pod.name} gives up its cold part", lambda: victim.swapped("cold") >= 0.9)


def keeps_hot(victim: Victim) -> None:
    until(f"the hot part of {victim.pod.name} is there", lambda: victim.resident("hot") >= 0.9)


def test_cold_memory_goes_in_the_order_of_the_ladder(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    victims = {
        priority: containers.victim(
            f"pod-{priority}", priority, f"hot:{HOT_MIB}:0.1", f"cold:{COLD_MIB}"
        )
        for priority in (10, 30, 60, 90)
    }
    assert node.available_permille() > mark(30) + MARGIN
    faults = {priority: victim.major_faults() for priority, victim in victims.items()}

    plans.applied(victim.pod for victim in victims.values())
    gives_up(victims[10])
    assert [victims[p].given_up() for p in (30, 60, 90)] == [0, 0, 0], "there is no pressure yet"

    between_30_and_60 = int(mark(30) + mark(60)) // 2
    with node.squeeze(squeeze_mib(node, between_30_and_60)):
        gives_up(victims[30])
        assert [victims[p].given_up() for p in (60, 90)] == [0, 0]
        assert node.available_permille() < mark(30), "the order was not forced by too little"

        with node.squeeze(squeeze_mib(node, int(mark(60)) - 2 * MARGIN)):
            gives_up(victims[60])
            assert victims[90].given_up() == 0, "the protected pod is never reclaimed by us"

    for priority, victim in victims.items():
        keeps_hot(victim)
        fell = victim.major_faults() - faults[priority]
        assert fell < (HOT_MIB << 20) // PAGE_BYTES // 4, f"pod {priority} lost hot pages"

    # Enough is available again: what comes back stays. The eager pod tells how time goes by.
    until("the marks are below", lambda: node.available_permille() > mark(30) + 2 * MARGIN)
    for victim in victims.values():
        victim.touch()
    for _ in range(2):
        gives_up(victims[10])
        victims[10].touch()
    assert [victims[p].swapped("cold") for p in (30, 60, 90)] == [0.0, 0.0, 0.0]
