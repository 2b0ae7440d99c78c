"""Who gives up memory when, and which number says so."""

from dataclasses import replace

import pytest


def squeeze(node, intent, permilles, *, each_us=6_000_000) -> None:
    for permille in permilles:
        node.memory.set_free_permille(permille)
        node.keep_running(intent, each_us)


def test_polarity_60_is_reclaimed_after_30_and_90_not_at_all(node):
    low, middle, high = node.spawn(), node.spawn(), node.spawn()
    node.memory.set_free_permille(900)
    intent = node.intent([(low, 30), (middle, 60), (high, 90)])
    node.settle(intent)
    node.keep_running(intent, 40_000_000)
    assert node.reclaimed() == {}, "memory is plentiful and nobody is eager"
    squeeze(node, intent, range(850, 0, -50))
    first = node.reclaimed()
    assert first[low] < first[middle]
    assert high not in first


def test_the_number_rises_as_the_priority_falls(node):
    processes = {priority: node.spawn() for priority in (95, 79, 60, 45, 30, 1)}
    node.settle(node.intent([(process, priority) for priority, process in processes.items()]))
    numbers = [node.number_of(process) for process in processes.values()]
    assert numbers == [1, 20, 40, 50, 70, 100]


def test_eager_pods_give_up_cold_memory_while_there_is_plenty(node):
    eager, other = node.spawn(), node.spawn()
    node.memory.set_free_permille(950)
    intent = node.intent([(eager, 10), (other, 50)])
    node.settle(intent)
    node.keep_running(intent, 60_000_000)
    assert set(node.reclaimed()) == {eager}


def test_observing_takes_nothing_whatever_happens(node):
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50)], mode="Observe")
    node.settle(intent)
    squeeze(node, intent, range(900, 0, -150), each_us=20_000_000)
    assert node.reclaimed() == {}


def test_the_kernels_own_schemes_never_find_anybody(node):
    """They take the memory of any target; so nobody is in a slot before ours are committed."""
    process = node.spawn()
    intent = node.intent([(process, 50)])
    node.settle(intent, until=lambda _: bool(node.events("arm")))
    node.emulator.advance(300_000_000)
    assert node.slots() == [None] * len(node.numbers())
    assert node.reclaimed() == {}


def test_marks_the_kernel_made_at_an_exit_are_replaced_within_seconds(node):
    """Below 10 % free its arithmetic underflows: everybody awake but class 1 goes on for good."""
    staying, leaving = node.spawn(), node.spawn()
    node.memory.set_free_permille(300)
    intent = node.intent([(staying, 60), (leaving, 50)])
    node.settle(intent)
    node.keep_running(intent, 20_000_000)
    mark = node.mark_of(staying)
    assert 300 < mark < 600
    node.memory.set_free_permille(20)
    node.processes.kill(leaving.pid)
    node.emulator.advance(6_000_000)
    assert node.events("retune")
    assert node.mark_of(staying) > 1000, "the kernel's own mark, made of too little free memory"
    node.keep_running(intent, 8_000_000)
    assert node.mark_of(staying) in {mark, 600}
    mark = node.mark_of(staying)
    node.keep_running(intent, 30_000_000)
    assert node.mark_of(staying) == mark


@pytest.mark.parametrize("free_permille", [150, 400, 999])
def test_marks_are_those_of_the_ladder_and_who_sleeps_only_watches(node, free_permille):
    node.memory.set_free_permille(free_permille)
    members = [(node.spawn(), priority) for priority in (21, 40, 60, 79)]
    intent = node.intent(members)
    report = node.settle(intent)
    marks = [lane.mark_permille for lane in report.lanes]
    assert marks == sorted(marks, reverse=True)
    assert marks[0] == 600
    assert [lane.active for lane in report.lanes] == [free_permille < mark for mark in marks]
    told = [node.scheme_of(process) for process, _ in members]
    assert [(scheme.action, scheme.watermarks.high) for scheme in told] == [
        ("pageout", mark) if free_permille < mark else ("stat", 0) for mark in marks
    ]


def test_nothing_that_happens_in_the_kernel_takes_memory_from_who_sleeps(node):
    """A commit activates every scheme, exits and refills change marks; nobody is awake for it."""
    node.memory.set_free_permille(841)
    members = [(node.spawn(), 30), (node.spawn(), 60)]
    node.settle(node.intent(members))
    node.keep_running(node.intent(members), 60_000_000)
    for _ in range(5):
        leaving = node.spawn()
        node.keep_running(node.intent([*members, (leaving, 40)]), 4_000_000)
        node.processes.kill(leaving.pid)
        node.emulator.advance(6_000_000)
        node.keep_running(node.intent(members), 9_000_000)
    assert len(node.events("retune")) > 3
    node.processes.kill(members.pop()[0].pid)
    node.memory.set_free_permille(30)
    node.emulator.advance(120_000_000)
    assert node.reclaimed() == {}, "with a dead agent as well, whatever marks there are"


def test_an_agent_that_ends_leaves_nobody_who_may_reclaim(node):
    members = [(node.spawn(), 10), (node.spawn(), 30)]
    node.memory.set_free_permille(300)
    assert node.settle(node.intent(members)).reclaims
    report = node.settle(node.intent(members, halted=True), until=lambda r: not r.reclaims)
    assert not any(lane.active for lane in report.lanes)
    before = len(node.events("reclaim"))
    node.memory.set_free_permille(20)
    node.emulator.advance(120_000_000)
    assert len(node.events("reclaim")) == before
    node.restart()
    node.keep_running(node.intent(members), 60_000_000)
    assert set(node.reclaimed()) == {process for process, _ in members}


def test_a_scheme_of_a_dead_agent_stops_after_the_longest_age_of_a_plan(node):
    process, leaving = node.spawn(), node.spawn()
    node.memory.set_free_permille(300)
    intent = node.intent([(process, 30), (leaving, 40)], max_plan_age_us=60_000_000)
    node.settle(intent)
    assert node.scheme_of(process).max_nr_snapshots > 0
    node.processes.kill(leaving.pid)
    node.memory.set_free_permille(20)
    node.emulator.advance(10_000_000)
    node.memory.set_free_permille(900)
    assert node.mark_of(process) > 1000, "by the kernel's arithmetic it is active for good"
    node.emulator.advance(200_000_000)
    scheme = node.emulator.kdamonds[0].context.schemes[node.slots().index(process)]
    assert scheme.exhausted


def test_a_plan_is_applied_from_its_commit_on_whatever_happens_then(node):
    process = node.spawn()
    report = node.settle(node.intent([(process, 50)], plan="one"))
    assert report.applied
    assert not node.step(node.intent([(process, 50)], plan="two", quota_bytes=4096)).applied
    intent = node.intent([(process, 50)], plan="two", quota_bytes=4096)
    assert node.settle(intent).applied
    newcomer = node.intent([(process, 50), (node.spawn(), 50)], plan="two", quota_bytes=4096)
    report = node.step(newcomer)
    assert report.applied
    assert not report.at_rest


def test_a_byte_quota_is_for_a_priority_and_not_for_each_process(node):
    members = [(node.spawn(), 50), (node.spawn(), 50), (node.spawn(), 30)]
    node.settle(node.intent(members, quota_bytes=1 << 20))
    context = node.emulator.kdamonds[0].context
    quotas = [
        context.schemes[node.slots().index(process)].wanted.limits.size_bytes
        for process, _ in members
    ]
    assert quotas == [1 << 19, 1 << 19, 1 << 20]


def test_without_an_agent_the_order_of_reclaim_stays(node):
    low, high = node.spawn(), node.spawn()
    node.memory.set_free_permille(500)
    node.settle(node.intent([(low, 30), (high, 90)]))
    node.memory.set_free_permille(200)
    node.emulator.advance(60_000_000)
    node.check()
    assert set(node.reclaimed()) == {low}


def test_a_spared_pod_is_only_watched_in_the_slot_it_has(node):
    eager, other = node.spawn(), node.spawn()
    node.memory.set_free_permille(950)
    intent = node.intent([(eager, 10), (other, 10)])
    node.settle(intent)
    slots = node.slots()
    members = tuple(replace(m, spared=m.process == eager) for m in intent.members)
    report = node.settle(replace(intent, members=members))
    node.keep_running(replace(intent, members=members), 60_000_000)
    assert set(node.reclaimed()) == {other}
    assert node.slots() == slots
    assert [lane.role for lane in report.lanes] == ["Eager", "Protected"]
    node.keep_running(intent, 60_000_000)
    assert set(node.reclaimed()) == {eager, other}


def test_what_happens_between_two_looks_at_memory_does_not_put_the_next_one_off(node):
    intent = node.intent([(node.spawn(), 30)])
    node.settle(intent)
    for _ in range(30):
        node.emulator.advance(900_000)
        next_us = node.step(intent).next_step_us
        assert next_us <= node.driver._running.memory.looked_us + intent.interval_us
