"""How much a cold pod gives up under a quota, and what becomes of DAMON's traps on the way.

Each test prints the amounts (`make test-kernel ARGS="-k quota -s"`): those are the result, the
assertions are bounds that no slow machine spoils.
"""

from typing import Final

from tests_kernel.containers import Containers, Victim
from tests_kernel.node import Node
from tests_kernel.pen import KDAMONDS
from tests_kernel.plans import Plans, settings
from tests_kernel.test_ladder import gives_up

from damon_contract.v1alpha1.tuning import Settings

COLD_MIB: Final = 64
LANE: Final = 0


def chosen(quota: dict[str, str] | None) -> Settings:
    return settings(reclaim={"minAge": "6s", "quota": quota})


def swapped_mib(victim: Victim) -> float:
    return victim.parts()["cold"].swapped / (1 << 20)


def show(node: Node, what: str, *amounts: object) -> None:
    print(f"\n{node.guest.release} | {what} | {' | '.join(map(str, amounts))}")  # noqa: T201 - the table


def test_a_pod_with_large_holes_gives_up_everything_without_a_quota(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """Holes cost nothing then: the default."""
    victim = containers.victim("holes", 10, "hot:2:0.1", "hole:4096", f"cold:{COLD_MIB}")
    plans.applied([victim.pod], chosen=chosen(None))
    gives_up(victim)
    show(node, "no quota, 4 GiB reserved, MiB of 64", round(swapped_mib(victim)))


def test_holes_are_charged_and_the_pod_gives_up_everything_all_the_same(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """A quota counts virtual bytes, lowest addresses first: the hole, made last, is below."""
    victim = containers.victim("holes", 10, "hot:2:0.1", f"cold:{COLD_MIB}", "hole:4096")
    plans.applied([victim.pod], chosen=chosen({"bytes": "512Mi"}))
    gives_up(victim)
    node.guest.shell(f"echo update_schemes_stats >{KDAMONDS}/{LANE}/state || true")
    stats = f"{KDAMONDS}/{LANE}/contexts/0/schemes/1/stats"
    tried = int(node.guest.read(f"{stats}/sz_tried")) >> 20
    assert tried >= 4096, "the way led through the hole"
    show(
        node,
        "512 MiB per aggregation, 4 GiB reserved: MiB of 64, virtual MiB, windows full",
        round(swapped_mib(victim)),
        tried,
        node.guest.read(f"{stats}/qt_exceeds"),
    )
