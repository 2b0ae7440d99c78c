"""Mode Observe: no page moves, and what the agent calls cold is what Enforce then takes."""

from tests_kernel.containers import Containers, Victim
from tests_kernel.node import Node
from tests_kernel.plans import Plans
from tests_kernel.test_ladder import gives_up
from tests_kernel.waiting import until

PARTS_MIB = {10: (8, 64), 30: (32, 32), 90: (32, 8)}
"""Hot and cold part by priority: a lane that acts, one that sleeps, one that only watches."""

SETTLE_S = 40
"""Of the machine's time: regions are found by splitting and merging, and what a process needs when
it starts grows cold only then."""

TOLERANCE = 8
"""A pod's cold bytes differ from what Enforce takes by less than this part of its memory."""


def resident_bytes(node: Node, victim: Victim) -> int:
    return node.status(victim.container.pid)["VmRSS"]


def test_observe_moves_no_page_and_calls_cold_what_enforce_takes(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    victims = [
        containers.victim(f"pod-{priority}", priority, f"hot:{hot}:0.1", f"cold:{cold}")
        for priority, (hot, cold) in PARTS_MIB.items()
    ]
    before = {victim.pod.uid: resident_bytes(node, victim) for victim in victims}
    plans.applied([victim.pod for victim in victims], mode="Observe")
    actions = {action for kdamond in node.kdamonds() for action in kdamond.actions}
    assert actions == {"stat"}

    def cold_bytes() -> dict[str, int]:
        """Return what the status says, once it says it of everybody."""
        pods = plans.status().get("pods", ())
        known = {pod["uid"]: int(pod["coldBytes"]) for pod in pods if "coldBytes" in pod}
        return known if len(known) == len(victims) else {}

    until("the cold bytes of every pod are known", cold_bytes)
    known_s = node.uptime_s()
    until("regions have settled", lambda: node.uptime_s() - known_s >= SETTLE_S)
    cold = until("they are known still", cold_bytes)
    for victim in victims:
        assert victim.given_up() == 0
        assert victim.swapped("cold") == 0
        assert victim.resident("cold") == victim.resident("hot") == 1
        victim.pod.priority = 10

    plans.applied([victim.pod for victim in victims], mode="Enforce")
    for victim in victims:
        gives_up(victim)
    # Whatever else is cold goes meanwhile: another cold part, from use to end, is the clock.
    clock = containers.victim("clock", 10, "hot:2:0.1", "cold:16")
    plans.applied([*(victim.pod for victim in victims), clock.pod])
    gives_up(clock)
    found = {
        victim.pod.name: (
            cold[victim.pod.uid],
            before[victim.pod.uid] - resident_bytes(node, victim),
        )
        for victim in victims
    }
    print(f"{node.guest.release}: told and taken, in bytes: {found}")
    for victim in victims:
        said, taken = found[victim.pod.name]
        assert abs(said - taken) * TOLERANCE < before[victim.pod.uid], found
