"""Swap on a disk: what lanes page out stays in memory, unless the agent may ask for it."""

from collections.abc import Iterator

import pytest
from tests_kernel.agent import Agent
from tests_kernel.containers import Containers, Victim
from tests_kernel.node import PAGE_BYTES, Node
from tests_kernel.plans import Plans, settings
from tests_kernel.waiting import until

from damon_contract.v1alpha1.tuning import Settings

MIB = 1 << 20
COLD_MIB = 64
HOT_MIB = 8
FILE = "/var/tmp/swap"


@pytest.fixture(name="disk")
def disk_fixture(node: Node) -> Iterator[None]:
    """Swap in a file instead of zram: as on any disk, a page is written beside reclaim."""
    node.guest.shell(
        f"dd if=/dev/zero of={FILE} bs=1M count=256 status=none; chmod 600 {FILE}; mkswap {FILE}; "
        f"swapoff -a; swapon {FILE}",
        timeout_s=300,
    )
    yield
    node.guest.shell(f"swapoff -a; rm {FILE}; swapon /dev/zram0", timeout_s=300)


def careful() -> Settings:
    """Return quick settings with the brake on: without it nothing goes by memory.reclaim."""
    return settings(brake={"enabled": True})


def figure(victim: Victim, file: str, name: str = "") -> int:
    """Return a number of its cgroup."""
    text = victim.node.guest.read(f"{victim.container.cgroup}/{file}")
    if not name:
        return int(text)
    return int(next(line.split()[1] for line in text.splitlines() if line.split()[0] == name))


def paged_out(victim: Victim) -> None:
    """Wait until the cold part is in swap."""
    until(
        f"{victim.pod.name} has its cold part in swap",
        lambda: figure(victim, "memory.swap.current") > 0.9 * COLD_MIB * MIB,
        within_s=1200,
    )


def test_what_is_paged_out_to_a_disk_stays_in_memory(
    node: Node, disk: None, agent: Agent, plans: Plans, containers: Containers
) -> None:
    victim = containers.victim("idle", 10, f"hot:{HOT_MIB}:0.1", f"cold:{COLD_MIB}")
    plans.applied([victim.pod], chosen=careful())
    paged_out(victim)
    until_s = node.uptime_s() + 20
    until("it has been written", lambda: node.uptime_s() > until_s)
    assert figure(victim, "memory.current") > COLD_MIB * MIB
    assert figure(victim, "memory.stat", "swapcached") > 0.8 * COLD_MIB * MIB


def test_and_goes_where_the_agent_may_ask_for_it(
    node: Node, disk: None, agent: Agent, plans: Plans, containers: Containers
) -> None:
    agent.stop()
    agent.start("--memory-reclaim", cgroup="rw")
    victim = containers.victim("idle", 10, f"hot:{HOT_MIB}:0.1", f"cold:{COLD_MIB}")
    kept = containers.victim("kept", 95, f"hot:{HOT_MIB}:0.1", f"cold:{COLD_MIB}")
    before = figure(victim, "memory.stat", "workingset_refault_anon")
    plans.applied([victim.pod, kept.pod], chosen=careful())
    paged_out(victim)
    until(
        "what was left is gone",
        lambda: figure(victim, "memory.current") < COLD_MIB // 2 * MIB,
        within_s=1200,
    )
    assert figure(victim, "memory.stat", "swapcached") < COLD_MIB // 8 * MIB
    assert victim.resident("hot") > 0.9
    back = figure(victim, "memory.stat", "workingset_refault_anon") - before
    assert back < HOT_MIB * MIB // PAGE_BYTES // 5, "what is in use is not taken"
    assert kept.given_up() == 0
