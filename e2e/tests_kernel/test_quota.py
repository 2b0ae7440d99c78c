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
from tests_kernel.waiting import until

from damon_contract.v1alpha1.tuning import Settings

COLD_MIB: Final = 64
LANE: Final = 0


def chosen(quota: dict[str, str] | None) -> Settings:
    return settings(reclaim={"minAge": "6s", "quota": quota})


def told(node: Node, name: str) -> int:
    """Return what the kernel was told of the quota of the scheme that acts."""
    return int(node.guest.read(f"{KDAMONDS}/{LANE}/contexts/0/schemes/1/quotas/{name}"))


def swapped_mib(victim: Victim) -> float:
    return victim.parts()["cold"].swapped / (1 << 20)


def show(node: Node, what: str, *amounts: object) -> None:
    print(f"\n{node.guest.release} | {what} | {' | '.join(map(str, amounts))}")


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
    tried = tried_mib(node)
    stats = f"{KDAMONDS}/{LANE}/contexts/0/schemes/1/stats"
    assert tried >= 4096, "the way led through the hole"
    show(
        node,
        "512 MiB per aggregation, 4 GiB reserved: MiB of 64, virtual MiB, windows full",
        round(swapped_mib(victim)),
        tried,
        node.guest.read(f"{stats}/qt_exceeds"),
    )


def test_two_pods_of_one_lane_share_its_quota(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """It is one of the lane; neither starves, because the next window goes on where one ended."""
    victims = [containers.victim(f"low-{n}", 10, "hot:2:0.1", "cold:32") for n in range(2)]
    plans.applied([victim.pod for victim in victims], chosen=chosen({"bytes": "16Mi"}))
    assert told(node, "bytes") == 16 << 20
    assert told(node, "reset_interval_ms") == 0
    for victim in victims:
        gives_up(victim)
    show(
        node,
        "16 MiB per aggregation, two pods: MiB",
        *(round(swapped_mib(victim)) for victim in victims),
    )


def test_the_first_window_does_not_take_everything(
    node: Node, agent: object, plans: Plans, containers: Containers
) -> None:
    """6.12 to 6.17 have no limit in it: all that is cold would be tried at once."""
    quota_mib, window_s = 512, 60
    victim = containers.victim("low", 10, "hot:2:0.1", f"cold:{COLD_MIB}", "hole:4096")
    quota = {"bytes": f"{quota_mib}Mi", "window": f"{window_s}s"}
    plans.applied([victim.pod], chosen=chosen(quota))
    until("something is tried", lambda: tried_mib(node) > 0)
    begun_s = node.uptime_s()
    seen: list[int] = []
    while len(seen) < 2 or node.uptime_s() - begun_s < window_s / 2:
        seen.append(tried_mib(node))
        # Of windows that began somewhere in this time.
        windows = int((node.uptime_s() - begun_s) // window_s) + 2
        assert seen[-1] <= windows * quota_mib, (seen, windows)
        node.guest.shell("sleep 3")
    what = f"{quota_mib} MiB per {window_s} s: virtual MiB every 3 s, told bytes, told ms"
    show(node, what, seen, told(node, "bytes"), told(node, "reset_interval_ms"))


def tried_mib(node: Node) -> int:
    """Ask the kernel what the acting scheme has tried so far."""
    node.guest.shell(f"echo update_schemes_stats >{KDAMONDS}/{LANE}/state || true")
    return int(node.guest.read(f"{KDAMONDS}/{LANE}/contexts/0/schemes/1/stats/sz_tried")) >> 20
