"""The agent's log at level info: a line for what changes, and none for what does not."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.journal import Known, lines
from damon_agent.kernel.report import Fault
from damon_contract.v1alpha1.node import NodeReason

A = "a1" * 32
B = "b2" * 32


@pytest.fixture(name="said")
def said_fixture(caplog):
    """Return a function to what was logged since it was last called."""
    caplog.set_level(logging.INFO, "damon_agent")

    def said():
        found = [
            (record.levelname.lower(), record.getMessage())
            for record in caplog.records
            if record.name.startswith("damon_agent")
        ]
        caplog.clear()
        return found

    return said


@pytest.fixture(name="planned")
def planned_fixture(machine, pod):
    for pid, container in enumerate((A, B), 10):
        machine.start(pid, machine.container(container))
    machine.plan(pod(1, A, priority=30), pod(2, B, priority=90))
    return machine


def test_a_plan_its_mode_and_its_lanes_are_a_line_each(planned, pod, said):
    planned.run(60)
    assert said() == [
        ("info", "plan taken tuning=default mode=Enforce generation=1 pods=2"),
        ("info", "lanes are in the kernel lanes=30:600 90:watched"),
    ]
    planned.plan(pod(1, A, priority=30), mode="Observe", generation=2)
    planned.run(60)
    assert said() == [
        ("info", "plan taken tuning=default mode=Observe generation=2 pods=1"),
        ("info", "mode changed from=Enforce to=Observe"),
        ("info", "lanes are in the kernel lanes=30:600"),
    ]


def test_nothing_new_is_nothing_said(planned, said):
    planned.run(60)
    said()
    planned.run(600)
    assert said() == []


def test_without_a_plan_it_says_so_once(machine, said):
    machine.hear(known=True)
    machine.run(120)
    assert said() == [("info", "no plan for this node")]


def test_a_plan_that_is_taken_away_is_told(planned, said):
    planned.run(30)
    said()
    planned.hear(known=True, plan=None)
    planned.run(60)
    assert said() == [("info", "no plan for this node")]


def test_what_goes_wrong_is_told_once_and_so_is_its_end(planned, said):
    planned.run(30)
    said()
    planned.set_memory(swap_kib=0)
    planned.run(120)
    ((level, held),) = said()
    assert level == "warning"
    assert held.startswith("held back reason=NoSwap detail=the node has no swap")
    planned.set_memory()
    planned.run(120)
    assert said() == [("info", "no longer held back reason=NoSwap")]


def test_a_node_that_cannot_be_read_is_told_once_and_so_is_its_end(planned, said):
    planned.run(30)
    said()
    meminfo = planned.proc / "meminfo"
    text = meminfo.read_text()
    meminfo.write_text("nonsense\n")
    planned.run(300)
    ((level, held),) = said()
    assert (level, held.split()[:3]) == ("warning", ["held", "back", "reason=NodeUnreadable"])
    meminfo.write_text(text)
    planned.run(60)
    assert said() == [("info", "no longer held back reason=NodeUnreadable")]


KNOWN = st.builds(
    Known,
    known=st.booleans(),
    plan=st.none() | st.tuples(st.sampled_from("uv"), st.integers(1, 3)),
    mode=st.sampled_from(["", "Off", "Observe", "Enforce"]),
    lanes=st.sampled_from(["", "30:600", "90:watched"]),
    trouble=st.none() | st.builds(Fault, st.sampled_from(NodeReason), st.just("why")),
)


@given(KNOWN, KNOWN)
def test_what_stays_the_same_is_never_told_and_trouble_always_ends(before, now):
    assert list(lines(now, now)) == [] or (now.plan is None and not now.known)
    told = [line.text for line in lines(before, now)]
    assert len(told) == len(set(told)) <= 4
    ended = before.trouble is not None and now.trouble is None
    assert ("no longer held back reason=%s" in told) == ended
