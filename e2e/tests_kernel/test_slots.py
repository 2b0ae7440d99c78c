"""A process in the slot of a dead one: DAMON matches by index and keeps regions and ages.

The accident is made as likely as it can be. All programs have the same addresses (no ASLR), so what
was cold of the dead one is where the newcomer is hot; nothing was taken of the dead one, so its
regions are old; and the lane wakes in the very commit by which the newcomer enters.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from tests_kernel.agent import Agent
from tests_kernel.containers import Containers, Pod, Victim
from tests_kernel.node import PAGE_BYTES, Node
from tests_kernel.pen import regions
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import FLOOR, gives_up
from tests_kernel.waiting import until

HOT_MIB: Final = 48
HOT_PAGES: Final = (HOT_MIB << 20) // PAGE_BYTES
NOISE: Final = HOT_PAGES // 20
"""Pages. Code and libraries used once are cold in every process, taken from it and sometimes read
again: some ten in the control run. The accident takes the hot part, many times this; a twentieth
of it also leaves room for a region whose samples all fell beside the pages in use."""
OLD: Final = 12
"""Aggregation intervals; a region is cold after 7 (6 s)."""
TOMBSTONE: Final = 2
LANE: Final = 0


def marks(ceiling: int) -> dict[str, object]:
    return {"interval": "1s", "floorPermille": FLOOR, "ceilingPermille": ceiling}


ASLEEP, AWAKE = settings(watermarks=marks(FLOOR)), settings(watermarks=marks(1000))


@dataclass(frozen=True, slots=True)
class Loss:
    """What a hot pod has lost since it entered the lane."""

    major_faults: int
    swapped_pages: int


@pytest.fixture(name="same_addresses")
def same_addresses_fixture(node: Node) -> Iterator[None]:
    """No ASLR for whoever is started meanwhile."""
    path = "/proc/sys/kernel/randomize_va_space"
    before = node.guest.read(path)
    node.guest.shell(f"echo 0 >{path}")
    yield
    node.guest.shell(f"echo {before} >{path}")


def hot(containers: Containers, name: str) -> Victim:
    return containers.victim(name, 30, f"part:{HOT_MIB}:0.1")


def cold(containers: Containers, name: str) -> Victim:
    return containers.victim(name, 30, f"part:{HOT_MIB}")


def grows_old(node: Node, victim: Victim) -> None:
    """Wait until the kernel holds most of its part as cold for long."""
    start, size = victim.addresses["part"]

    def old_bytes() -> int:
        return sum(
            max(0, min(region.end, start + size) - max(region.start, start))
            for region in regions(node, LANE)
            if region.age >= OLD
        )

    until(f"{victim.pod.name} is old", lambda: old_bytes() >= size * 3 // 4)
    assert victim.given_up() == 0, "the lane sleeps"


def enters(
    node: Node, agent: Agent, plans: Plans, pods: list[Pod], newcomer: Victim, beside: Victim
) -> Loss:
    """Let a new agent find the newcomer in the plan and the lane awake: one commit for both."""
    faults = newcomer.major_faults()
    plans.apply([*pods, newcomer.pod], chosen=AWAKE)
    agent.start()
    # The neighbour shows, twice, that the lane has been at work.
    for _ in range(2):
        gives_up(beside)
        beside.touch()
    assert newcomer.container.pid in node.targets()
    return Loss(
        major_faults=newcomer.major_faults() - faults,
        swapped_pages=newcomer.parts()["part"].swapped // PAGE_BYTES,
    )


def slot_of(node: Node, victim: Victim) -> int:
    return node.kdamonds()[LANE].targets.index(victim.container.pid)


@pytest.mark.parametrize("last", [True, False], ids=["the-last-slot", "a-slot-between"])
def test_a_hot_pod_in_the_slot_of_a_dead_cold_one_loses_nothing(
    node: Node,
    agent: Agent,
    plans: Plans,
    containers: Containers,
    same_addresses: None,
    *,
    last: bool,
) -> None:
    beside = containers.victim("beside", 30, "hot:2:0.1", "cold:16")
    dead = cold(containers, "dead")
    pods = [beside.pod, dead.pod] if last else [dead.pod, beside.pod]
    for count in (1, 2):
        plans.applied(pods[:count], chosen=ASLEEP)
    thread = node.kdamonds()[LANE].pid
    slot = slot_of(node, dead)
    assert slot == (1 if last else 0)
    grows_old(node, dead)
    newcomer = hot(containers, "newcomer")
    if last:
        # Nobody sees it die: its slot is given on in the commit that tells of its death.
        agent.kill(signal.SIGTERM)
        containers.end(dead.container)
    else:
        containers.end(dead.container)
        until("it is buried", lambda: node.kdamonds()[LANE].targets[slot] == TOMBSTONE)
        agent.kill(signal.SIGTERM)
    lost = enters(node, agent, plans, [beside.pod], newcomer, beside)
    assert slot_of(node, newcomer) == slot, "the slot of the dead one"

    # The control: the same pod, into a slot that nobody had in the life of this kdamond.
    plans.applied([beside.pod, newcomer.pod], chosen=ASLEEP)
    other = hot(containers, "control")
    agent.kill(signal.SIGTERM)
    control = enters(node, agent, plans, [beside.pod, newcomer.pod], other, beside)
    assert slot_of(node, other) == 2
    assert node.kdamonds()[LANE].pid == thread, "the same kdamond all the time"

    assert lost.major_faults <= control.major_faults + NOISE, (lost, control)
    assert lost.swapped_pages <= control.swapped_pages + NOISE, (lost, control)
