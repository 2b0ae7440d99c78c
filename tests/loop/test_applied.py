"""A plan is in force as one of one object, one generation and one content."""

from dataclasses import replace

import pytest

from damon_agent.plans.plan import Said

ONE, TWO = "a" * 64, "b" * 64


@pytest.fixture
def tuned(machine, pod):
    """Return a machine with a plan that is in force, for one of the two pods on it."""
    machine.start(10, machine.container(ONE))
    machine.start(11, machine.container(TWO))
    machine.plan(pod(1, ONE, priority=10))
    machine.run(10)
    assert machine.condition("Applied").status == "True"
    return machine


def said(machine):
    """Return what the agent's last status says."""
    uid, status = machine.plans.reported[-1]
    return Said(uid, status.observed_hash, status.conditions)


def test_a_restarted_agent_goes_on_with_what_stood_there(tuned):
    """Neither does Applied flap, nor does its lastTransitionTime begin anew."""
    stands, stored = said(tuned), tuned.plans.held
    tuned.plans.held = replace(stored, said=None)
    tuned.restart()
    told = len(tuned.plans.reported)
    tuned.run(1)
    assert len(tuned.plans.reported) == told, "nobody knows yet what stands there"
    tuned.plans.held = replace(stored, said=stands)
    tuned.run(10)
    since = {c.type: (c.status, c.last_transition_time) for c in stands.conditions}
    for _, each in tuned.plans.reported[told:]:
        assert {c.type: (c.status, c.last_transition_time) for c in each.conditions} == since


@pytest.mark.parametrize("uid", ["uid-1", "uid-2"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_another_plan_of_the_same_generation_is_applied_when_the_kernel_has_it(
    tuned, pod, uid, is_restarted
):
    """An object made anew counts from 1 again, and one restored from a backup from there.

    The operator and the uninstall go by observedHash and Applied.
    """
    stands = said(tuned)
    if is_restarted:
        tuned.restart()
    tuned.plan(pod(1, ONE, priority=90), pod(2, TWO, priority=10), hash="other")
    plan = replace(tuned.plans.held.plan, uid=uid)
    told = len(tuned.plans.reported)
    tuned.hear(plan=plan, said=stands if uid == "uid-1" else Said(uid))
    tuned.loop.guarded_tick()
    assert tuned.status.observed_hash == "other"
    assert tuned.condition("Applied").reason == "Applying"
    tuned.run(10)
    assert tuned.condition("Applied").status == "True"
    assert {uid for uid, _ in tuned.plans.reported[told:]} == {uid}


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_a_plan_that_comes_back_is_applied_when_the_kernel_has_all_of_it_again(
    make_machine, pod, profile
):
    machine = make_machine(profile=profile)
    machine.start(10, machine.container(ONE))
    machine.start(11, machine.container(TWO))

    def plan(generation, name, priority):
        pods = (pod(1, ONE, priority=priority), pod(2, TWO, priority=60))
        machine.plan(*pods, generation=generation, hash=name)

    plan(1, "first", 10)
    machine.run(30)
    plan(2, "second", 90)
    machine.run(0.5)
    plan(3, "first", 10)
    found = set()
    for _ in range(300):
        machine.run(0.1)
        has_second = any(lane.applied_plan == "second" for lane in machine.loop._driver._lanes)
        found.add((machine.condition("Applied").status, has_second))
    assert ("True", False) in found
    assert ("True", True) not in found
