"""Page cache by memory.reclaim: beside DAMON, without it, and without swap."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from tests_kernel.agent import Agent
from tests_kernel.containers import Container, Containers, Pod
from tests_kernel.node import PAGE_BYTES, PROGRAMS, Node
from tests_kernel.plans import Plans, settings
from tests_kernel.waiting import until

from damon_contract.v1alpha1.tuning import Settings

MIB = 1 << 20
HOT_MIB = 20
COLD_MIB = 60
NEARLY_MIB = 6
"""The last steps before the hot part are small, and what the kernel evicts is not exactly cold."""
AFTERWARDS_S = 60


def careful() -> Settings:
    """Return quick settings with the brake on: without it nothing goes by memory.reclaim."""
    return settings(brake={"enabled": True})


@dataclass(frozen=True, slots=True)
class Reader:
    """A pod that runs guest/reader.py."""

    pod: Pod
    container: Container
    node: Node

    def stat(self, name: str) -> int:
        """Return a line of its memory.stat."""
        lines = self.node.guest.read(f"{self.container.cgroup}/memory.stat").splitlines()
        return int(next(line.split()[1] for line in lines if line.split()[0] == name))

    @property
    def cache_mib(self) -> float:
        """Return how much page cache it has."""
        return self.stat("file") / MIB

    @property
    def refaults(self) -> int:
        """Return how many file pages were evicted and came back."""
        return self.stat("workingset_refault_file")


@pytest.fixture(name="readers")
def readers_fixture(node: Node, containers: Containers) -> Iterator[list[Reader]]:
    """One that reads, one that maps, and one that is protected, each with hot and cold pages."""
    made, directories, sizes = [], [], (str(HOT_MIB), str(COLD_MIB))
    for name, how, priority in (("read", "read", 10), ("map", "map", 10), ("kept", "read", 95)):
        pod = Pod(f"cache-{name}", priority)
        directory = f"/var/tmp/{pod.uid}"
        directories.append(directory)
        node.guest.run("mkdir", "-p", directory)
        container = containers.run(
            ["/usr/bin/python3", f"{PROGRAMS}/reader.py", "/victim", how, *sizes],
            pod=pod,
            mounts=[(directory, "/victim", "rw"), (PROGRAMS, PROGRAMS, "ro")],
        )
        until(f"{pod.name} has read its file", partial(node.exists, f"{directory}/ready"))
        made.append(Reader(pod, container, node))
    yield made
    for reader in made:
        containers.end(reader.container)
    for directory in directories:
        node.guest.run("rm", "-rf", directory)


def gives_up_cold(reader: Reader) -> None:
    until(
        f"{reader.pod.name} has only its hot page cache",
        lambda: reader.cache_mib < HOT_MIB + NEARLY_MIB,
        within_s=1200,
    )


def cold_goes_and_hot_stays(
    node: Node, plans: Plans, readers: list[Reader], *, lanes: bool
) -> None:
    """Let the cold page cache of both pods go, and see what comes back until a minute later.

    With lanes what is mapped goes by DAMON: what comes back of that says nothing of memory.reclaim.
    """
    read, mapped, kept = readers
    before = [reader.refaults for reader in readers]
    plans.applied([reader.pod for reader in readers], chosen=careful())
    for reader in (read, mapped):
        gives_up_cold(reader)
    until_s = node.uptime_s() + AFTERWARDS_S
    until("the hot part was there to be eaten", lambda: node.uptime_s() > until_s)
    back = [reader.refaults - was for reader, was in zip(readers, before, strict=True)]
    figures = {r.pod.name: (round(r.cache_mib), b) for r, b in zip(readers, back, strict=True)}
    print(f"page cache in MiB and pages back {AFTERWARDS_S} s later: {figures}")
    assert kept.cache_mib > HOT_MIB + COLD_MIB - 1
    assert back[2] == 0, "a protected pod is not asked"
    for reader in (read, mapped):
        assert reader.cache_mib > HOT_MIB - NEARLY_MIB, "the hot part stays"
    for pages in back[:1] if lanes else back[:2]:
        assert pages < HOT_MIB * MIB // PAGE_BYTES // 5, "and is not eaten again and again"
    told = plans.status()["memoryReclaim"]
    assert told["takes"] == "FilePages"
    assert told["fileBytes"] > (COLD_MIB - 2 * NEARLY_MIB) * MIB


NO_DAMON = "/run/no-damon"


def restart(agent: Agent, node: Node, *, damon: bool) -> None:
    """Start the agent anew with leave to write memory.reclaim, with or without a DAMON to see."""
    node.guest.run("mkdir", "-p", NO_DAMON)
    agent.stop()
    where = {} if damon else {"damon": NO_DAMON}
    agent.start("--memory-reclaim", cgroup="rw", **where)


def test_beside_damon_cold_page_cache_goes_and_hot_stays(
    node: Node, agent: Agent, plans: Plans, readers: list[Reader]
) -> None:
    restart(agent, node, damon=True)
    cold_goes_and_hot_stays(node, plans, readers, lanes=True)


def test_with_neither_swap_nor_damon_page_cache_goes_all_the_same(
    node: Node, agent: Agent, plans: Plans, readers: list[Reader]
) -> None:
    node.guest.run("swapoff", "-a")
    try:
        restart(agent, node, damon=False)
        cold_goes_and_hot_stays(node, plans, readers, lanes=False)
        assert plans.condition("Ready")["reason"] == "NoDamon"
    finally:
        node.guest.run("swapon", "/dev/zram0")


def test_without_damon_anonymous_memory_goes_this_way_too(
    node: Node, agent: Agent, plans: Plans, containers: Containers
) -> None:
    restart(agent, node, damon=False)
    low = containers.victim("low", 10, "hot:8:0.1", "cold:64")
    high = containers.victim("high", 95, "hot:8:0.1", "cold:64")
    plans.applied([low.pod, high.pod], chosen=careful())
    until("low has given up half", lambda: low.swapped("cold") > 0.5, within_s=1200)
    assert low.resident("hot") > 0.9
    assert high.given_up() == 0
    assert plans.condition("Ready")["reason"] == "NoDamon"
    assert plans.status()["memoryReclaim"]["takes"] == "AllMemory"
