"""Somebody else uses DAMON: nothing is touched, and the condition says what to do."""

import pytest
from tests_kernel.agent import Agent
from tests_kernel.containers import Containers, Victim
from tests_kernel.node import DAMON, Node
from tests_kernel.plans import Plans
from tests_kernel.waiting import until

MODULES = "/sys/module"


def switch(node: Node, module: str, value: str) -> None:
    node.guest.shell(f"echo {value} > {MODULES}/{module}/parameters/enabled")


def is_on(node: Node, module: str) -> bool:
    return node.guest.read(f"{MODULES}/{module}/parameters/enabled") == "Y"


def wake(plans: Plans, victim: Victim) -> None:
    """Change the plan: whatever held it back is looked at again."""
    plans.apply([victim.pod], mode="Observe")
    plans.applied([victim.pod], mode="Enforce")


@pytest.mark.parametrize(
    ("module", "reason"), [("damon_stat", "DamonStatEnabled"), ("damon_reclaim", "DamonBusy")]
)
def test_an_exclusive_user_is_left_alone(
    node: Node, agent: Agent, plans: Plans, containers: Containers, module: str, reason: str
) -> None:
    if not node.exists(f"{MODULES}/{module}"):
        pytest.skip(f"{node.guest.release} has no {module}")
    victim = containers.victim("low", 10, "hot:4:0.1", "cold:16")
    switch(node, module, "Y")
    try:
        plans.apply([victim.pod])
        said = plans.until_condition("Ready", "False", reason)
        assert f"write N to /sys/module/{module}/parameters/enabled" in said["message"]
        assert is_on(node, module)
        assert node.nr_kdamonds() == 0
    finally:
        switch(node, module, "N")
    wake(plans, victim)
    until("the cold part goes", lambda: victim.swapped("cold") >= 0.9)


def test_the_agent_switches_damon_stat_off_and_on_again_where_it_is_told_to(
    node: Node, agent: Agent, plans: Plans, containers: Containers
) -> None:
    if not node.exists(f"{MODULES}/damon_stat"):
        pytest.skip(f"{node.guest.release} has no damon_stat")
    victim = containers.victim("low", 10, "hot:4:0.1", "cold:16")
    agent.stop()
    switch(node, "damon_stat", "Y")
    try:
        parameters = "damon_stat/parameters"
        agent.start(
            "--module-root=/host/module",
            "--disable-damon-stat",
            mounts=[
                (MODULES, "/host/module", "ro"),
                (f"{MODULES}/{parameters}", f"/host/module/{parameters}", "rw"),
            ],
        )
        plans.applied([victim.pod])
        until("the cold part goes", lambda: victim.swapped("cold") >= 0.9)
        assert not is_on(node, "damon_stat")
        plans.remove()
        until("DAMON_STAT is on again", lambda: is_on(node, "damon_stat"))
        assert node.nr_kdamonds() == 0
    finally:
        switch(node, "damon_stat", "N")


def test_a_kdamond_of_somebody_else_is_left_alone(
    node: Node, agent: Agent, plans: Plans, containers: Containers
) -> None:
    victim = containers.victim("low", 10, "hot:4:0.1", "cold:16")
    base = f"{DAMON}/admin/kdamonds"
    node.guest.shell(
        f"set -e; echo 1 >{base}/nr_kdamonds; cd {base}/0/contexts; echo 1 >nr_contexts; "
        f"cd 0; echo vaddr >operations; echo 1 >targets/nr_targets; "
        f"echo {victim.container.pid} >targets/0/pid_target; echo on >{base}/0/state"
    )
    (before,) = node.kdamonds()
    try:
        plans.apply([victim.pod])
        said = plans.until_condition("Ready", "False", "DamonBusy")
        assert "nr_kdamonds is 1" in said["message"]
        assert node.kdamonds() == [before]
        assert before.state == "on"
    finally:
        node.guest.shell(f"echo off >{base}/0/state; echo 0 >{base}/nr_kdamonds")
    wake(plans, victim)
    until("the cold part goes", lambda: victim.swapped("cold") >= 0.9)
