"""How long a node has been well with a revision: as pure rules over what is seen one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_contract.v1alpha1.rollout import Rollout
from damon_contract.v1alpha1.totals import Sums
from damon_operator.planner.rollout import trouble
from damon_operator.planner.tally import Row
from damon_operator.reconcile.readiness import LATE_S, course

ASKED = Rollout(min_ready="5m")
HURT = Sums(running=4, spared=4)


def seen(*reasons, applied=False, unreported=False, revision="r", figures=Sums()):  # noqa: B008
    return Row(
        "n", ("all",), applied, False, False, unreported, reasons, {},
        revision=revision, figures=figures,
    )  # fmt: skip


WELL = seen(applied=True)
BEHIND = seen("PlanPending")
ILL = seen("KdamondStopped")
SPARED = seen(applied=True, figures=HURT)
MUTE = seen("NoReport", unreported=True)


def after(*looks, asked=ASKED):
    """Return how a node does after looks of (moment, row)."""
    found = None
    for moment_s, row in looks:
        found = course(found, row, asked, moment_s)
    return found


def test_it_is_settled_once_it_has_been_well_for_so_long():
    assert not after((0, WELL), (299, WELL)).settled
    assert after((0, WELL), (300, WELL)).settled
    assert after((0, BEHIND), (100, WELL), (400, WELL)).settled


@pytest.mark.parametrize("bad", [ILL, SPARED, MUTE], ids=["ill", "spared", "mute"])
def test_one_that_was_not_well_in_between_begins_anew(bad):
    assert not after((0, WELL), (1, bad), (600, bad), (601, WELL)).settled
    assert not after((0, WELL), (1, bad), (2, WELL), (301, WELL)).settled
    assert after((0, WELL), (1, bad), (2, WELL), (302, WELL)).settled
    assert not after((0, WELL), (300, WELL), (301, bad), (302, WELL)).settled, "long after as well"


def test_pods_that_come_and_go_take_nothing_back():
    assert after((0, WELL), (299, BEHIND), (300, BEHIND), (301, WELL)).settled
    assert after((0, WELL), (300, WELL), (301, BEHIND)).settled
    assert not after((0, WELL), (1, BEHIND), (300, BEHIND)).settled, "not by being behind for ever"


def test_what_an_agent_said_of_the_revision_before_is_not_held_against_this_one():
    stale, own = seen("PlanPending", "SafetyLimit"), seen("PlanPending", "SysfsLocked")
    failed = after((0, ILL), (1, stale._replace(revision="next")))
    assert not failed.heard
    assert trouble(failed.of(stale), 1000) == ""
    assert trouble(failed.of(seen("PlanAltered", "PlanPending")), 1000) == "PlanAltered"
    assert trouble(failed.of(seen("AgentSilent", "PlanPending")), 1000) == "AgentSilent"
    spoken = after((0, stale), (1, ILL), (2, own))
    assert spoken.heard, "pods that come and go take nothing back"
    assert trouble(spoken.of(own), 1000) == "SysfsLocked"


@pytest.mark.parametrize("row", [BEHIND, MUTE], ids=["behind", "mute"])
def test_one_that_has_not_carried_it_out_for_much_too_long_is_late(row):
    assert not after((0, row), (299 + LATE_S, row)).late
    assert after((0, row), (300 + LATE_S, row)).late
    assert not after((0, row), (300 + LATE_S, row), (301 + LATE_S, WELL)).late
    assert after((0, WELL), (1, BEHIND), (300 + LATE_S, BEHIND)).late


def test_another_revision_begins_anew():
    assert not after((0, WELL), (300, WELL), (301, seen(applied=True, revision="other"))).settled


LOOKS = st.lists(
    st.tuples(st.floats(0, 400), st.sampled_from([WELL, BEHIND, ILL, SPARED, MUTE])), max_size=30
)


@given(LOOKS)
def test_settled_is_nobody_who_was_not_well_within_that_time(looks):
    now_s, bad_s, well_s, found = 0.0, -1.0, None, None
    for pause_s, row in looks:
        now_s += pause_s
        if row in (ILL, SPARED, MUTE):
            bad_s, well_s = now_s, None
        elif row is WELL and well_s is None:
            well_s = now_s
        found = course(found, row, ASKED, now_s)
        if found.settled:
            assert well_s is not None
            assert now_s - well_s >= 300 - 1e-6
            assert bad_s <= well_s
