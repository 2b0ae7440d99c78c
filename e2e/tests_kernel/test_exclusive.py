"""Somebody else has DAMON: nothing is touched, the condition says what to do, and it goes on alone.

That DAMON is free again is never told to the agent: the plan stays as it was.
"""

import signal
from typing import Final

import pytest
from tests_kernel.agent import Agent
from tests_kernel.containers import Containers, Victim
from tests_kernel.node import Node
from tests_kernel.pen import KDAMONDS, everything
from tests_kernel.plans import Plans
from tests_kernel.waiting import until, until_equal

MODULES: Final = "/sys/module"
OURS: Final = 8
"""As many kdamonds as the agent allocates: their number alone must not make them ours."""


def parameter(module: str) -> str:
    return f"{MODULES}/{module}/parameters/enabled"


def switch(node: Node, module: str, value: str) -> None:
    node.guest.shell(f"echo {value} >{parameter(module)}")
    # The write hands the request over; on some kernels the kdamond ends a moment later.
    until_equal(f"{module} reads {value}", lambda: node.guest.read(parameter(module)), value)


def is_refused(plans: Plans, victim: Victim, reason: str) -> str:
    """Say it thrice in other words; return the message the last plan is answered with."""
    for mode in ("Enforce", "Observe", "Enforce"):
        plans.apply([victim.pod], mode=mode)
        said = plans.until_condition("Ready", "False", reason)
    return str(said["message"])


def goes_on(plans: Plans, victim: Victim) -> None:
    until("the cold part goes", lambda: victim.swapped("cold") >= 0.9)
    plans.until_condition("Ready", "True", "Applied")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("damon_stat", "DamonStatEnabled"),
        ("damon_reclaim", "DamonBusy"),
        ("damon_lru_sort", "DamonBusy"),
    ],
)
def test_a_module_that_has_damon_for_itself_is_left_alone(
    node: Node, agent: Agent, plans: Plans, containers: Containers, module: str, reason: str
) -> None:
    if not node.exists(parameter(module)):
        pytest.skip(f"{node.guest.release} has no {module}")
    victim = containers.victim("low", 10, "hot:4:0.1", "cold:16")
    switch(node, module, "Y")
    try:
        before = everything(node)
        message = is_refused(plans, victim, reason)
        assert f"write N to {parameter(module)}" in message
        assert everything(node) == before
    finally:
        switch(node, module, "N")
    goes_on(plans, victim)


FOREIGN: Final = """set -e
echo {kdamonds} >{base}/nr_kdamonds
cd {base}/0/contexts; echo 1 >nr_contexts; cd 0; echo vaddr >operations
echo 1 >targets/nr_targets; echo {pid} >targets/0/pid_target
echo 1 >schemes/nr_schemes; echo stat >schemes/0/action"""


@pytest.mark.parametrize(
    ("kdamonds", "running"), [(1, True), (1, False), (OURS, False)], ids=["on", "off", "as-many"]
)
def test_kdamonds_of_somebody_else_are_left_alone(
    node: Node, agent: Agent, plans: Plans, containers: Containers, kdamonds: int, *, running: bool
) -> None:
    """Also what is only set up: to allocate kdamonds of ours would wipe it."""
    victim = containers.victim("low", 10, "hot:4:0.1", "cold:16")
    foreign = FOREIGN.format(base=KDAMONDS, kdamonds=kdamonds, pid=victim.container.pid)
    node.guest.shell(foreign)
    try:
        if running:
            node.guest.shell(f"echo on >{KDAMONDS}/0/state")
        before = everything(node)
        message = is_refused(plans, victim, "DamonBusy")
        assert f"nr_kdamonds is {kdamonds}" in message
        assert "nothing is touched until it reads 0" in message
        assert everything(node) == before
        assert node.kdamonds()[0].state == ("on" if running else "off")
        agent.kill(signal.SIGKILL)
        agent.start()
        is_refused(plans, victim, "DamonBusy")
        assert everything(node) == before, "a new agent does not touch it either"
    finally:
        node.guest.shell(
            f"{f'echo off >{KDAMONDS}/0/state;' if running else ''} echo 0 >{KDAMONDS}/nr_kdamonds"
        )
    goes_on(plans, victim)


def test_damon_stat_is_switched_off_where_the_agent_may_and_given_back(
    node: Node, agent: Agent, plans: Plans, containers: Containers
) -> None:
    if not node.exists(parameter("damon_stat")):
        pytest.skip(f"{node.guest.release} has no damon_stat")

    def is_on() -> bool:
        return node.guest.read(parameter("damon_stat")) == "Y"

    def start_with_leave() -> None:
        directory = "damon_stat/parameters"
        agent.start(
            "--module-root=/host/module",
            "--disable-damon-stat",
            mounts=[
                (MODULES, "/host/module", "ro"),
                (f"{MODULES}/{directory}", f"/host/module/{directory}", "rw"),
            ],
        )

    victim = containers.victim("low", 10, "hot:4:0.1", "cold:16")
    switch(node, "damon_stat", "Y")
    try:
        message = is_refused(plans, victim, "DamonStatEnabled")
        assert "--disable-damon-stat" in message, "who may not is told how to let it"
        assert is_on()

        agent.stop()
        start_with_leave()
        goes_on(plans, victim)
        assert not is_on()

        plans.apply([victim.pod], mode="Off")
        until("DAMON_STAT is on again", is_on)
        assert node.nr_kdamonds() == 0

        victim.touch()
        plans.apply([victim.pod], mode="Enforce")
        goes_on(plans, victim)
        assert not is_on()
        agent.kill(signal.SIGKILL)
        start_with_leave()
        plans.remove()
        until("another agent gives it back, too", is_on)
        assert node.nr_kdamonds() == 0
    finally:
        plans.remove()
        until_equal("nothing of ours is left", node.nr_kdamonds, 0)
        switch(node, "damon_stat", "N")
