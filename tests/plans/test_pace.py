import pytest

from damon_agent.plans.pace import INTERVAL_US, Urgency, urgency
from damon_contract.v1alpha1.model import Condition
from damon_contract.v1alpha1.node import (
    DamonNodeStatus,
    Lane,
    Memory,
    MemoryReclaim,
    PodReclaim,
    PodStatus,
    Spared,
)
from damon_contract.v1alpha1.totals import Totals

GIB = 2**30


def pod(**changes):
    return PodStatus(**{"uid": "u", "priority": 50, "processes": 1, **changes})


def status(**changes):
    lane = Lane(
        kdamond=0,
        priorities=(50,),
        role="Ladder",
        mark_permille=300,
        pods=1,
        targets=1,
        state="on",
        active=True,
        tried_bytes=changes.pop("tried_bytes", 0),
    )
    memory = Memory(
        capacity_bytes=100 * GIB,
        available_bytes=changes.pop("available_bytes", 50 * GIB),
        swap_total_bytes=0,
        floor_permille=10,
        ceiling_permille=600,
    )
    condition = Condition(
        type="Ready",
        status="True",
        reason=changes.pop("reason", "Applied"),
        message=changes.pop("message", ""),
        last_transition_time="2026-01-01T00:00:00Z",
    )
    usual = {
        "conditions": (condition,),
        "lanes": (lane,),
        "pods": (pod(),),
        "memory": memory,
        "targets": 1,
    }
    return DamonNodeStatus(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Urgency.NONE),
        ({"available_bytes": 51 * GIB}, Urgency.NONE),
        ({"available_bytes": 53 * GIB}, Urgency.FIGURES),
        ({"tried_bytes": 4096}, Urgency.NONE),
        ({"pods": (pod(cold_bytes=9, processes=2),)}, Urgency.CONTENT),
        ({"pods": ()}, Urgency.CONTENT),
        ({"targets": 2}, Urgency.CONTENT),
        ({"observed_hash": "h2"}, Urgency.CONTENT),
        ({"message": "2 of 3"}, Urgency.CONTENT),
        ({"reason": "DamonBusy"}, Urgency.CONDITIONS),
    ],
)
def test_a_change_is_as_urgent_as_what_changed(changes, expected):
    assert urgency(status(), status(**changes)) is expected


def test_the_first_status_is_as_urgent_as_a_condition():
    assert urgency(None, status()) is Urgency.CONDITIONS


def test_every_urgent_change_has_its_interval_and_the_more_urgent_waits_less():
    waits = [INTERVAL_US[how] for how in sorted(set(Urgency) - {Urgency.NONE})]
    assert waits == sorted(waits, reverse=True)
    assert INTERVAL_US[Urgency.CONTENT] == 10_000_000


def cold(*cold_bytes, active=False, measured=True):
    """A node with one pod per value; the last lane has been measured or not."""
    lanes = [
        Lane(
            kdamond=number,
            priorities=(50 + number,),
            role="Ladder",
            pods=1,
            targets=1,
            state="on",
            active=active,
            cold_bytes=0 if number < len(cold_bytes) - 1 or measured else None,
        )
        for number in range(len(cold_bytes))
    ]
    pods = [pod(uid=f"u{n}", kdamond=n, cold_bytes=value) for n, value in enumerate(cold_bytes)]
    return status(lanes=tuple(lanes), pods=tuple(pods))


MIB = 2**20


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(cold(None, None), cold(9, None, measured=False), Urgency.NONE, id="not all"),
        pytest.param(cold(None, None), cold(9, 9), Urgency.FIGURES, id="all measured"),
        pytest.param(cold(9, 9), cold(9, None), Urgency.FIGURES, id="unknown again"),
        pytest.param(cold(400 * MIB), cold(310 * MIB), Urgency.NONE, id="a little less"),
        pytest.param(cold(400 * MIB), cold(290 * MIB), Urgency.FIGURES, id="much less"),
        pytest.param(cold(0), cold(4 * MIB), Urgency.NONE, id="little at all"),
        pytest.param(cold(0), cold(5 * MIB), Urgency.FIGURES, id="no longer none"),
        pytest.param(
            cold(0, active=True), cold(170 * MIB, active=True), Urgency.NONE, id="reclaims"
        ),
    ],
)
def test_cold_memory_is_told_anew_when_it_moved_much(before, after, expected):
    assert urgency(before, after) is expected


@pytest.mark.parametrize("name", ["given_up", "refaulted"])
def test_what_pods_gave_up_is_told_anew_when_all_together_moved_much(name):
    def told(size):
        return status(totals=Totals(pods=1, running=1, **{name: size}))

    assert urgency(told("100Mi"), told("120Mi")) is Urgency.NONE
    assert urgency(told("100Mi"), told("140Mi")) is Urgency.FIGURES
    assert urgency(told(None), told("3Mi")) is Urgency.NONE
    assert urgency(status(), told("9Mi")) is Urgency.FIGURES


def test_a_commit_of_its_lane_is_no_news_of_a_pod():
    """Marks that follow the memory, or a renewal, take one; until it ends nothing is certain."""
    placed, moving = cold(90 * MIB), cold(None)
    moving = moving.model_copy(
        update={"pods": (moving.pods[0].model_copy(update={"kdamond": None}),)}
    )
    assert urgency(placed, moving) is Urgency.NONE
    assert urgency(moving, placed) is Urgency.CONTENT
    ended = moving.pods[0].model_copy(update={"processes": 0})
    assert urgency(placed, placed.model_copy(update={"pods": (ended,)})) is Urgency.CONTENT


def test_ready_that_became_true_again_is_told_although_it_was_true_before():
    again = (
        status().conditions[0].model_copy(update={"last_transition_time": "2026-01-02T00:00:00Z"})
    )
    assert urgency(status(), status(conditions=(again,))) is Urgency.CONDITIONS


def reclaimed(mib, *, takes="FilePages", spared=None):
    """Return a status in which so much has gone by memory.reclaim, all of it from one pod."""
    size_bytes = mib << 20
    return status(
        memory_reclaim=MemoryReclaim(takes=takes, file_bytes=size_bytes),
        pods=(pod(reclaim=PodReclaim(file_bytes=size_bytes, spared=spared)),),
    )


SPARED = Spared(until="2026-01-01T00:00:00Z", cause="Refaults")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (reclaimed(104), Urgency.NONE),
        (reclaimed(140), Urgency.FIGURES),
        (reclaimed(100, takes="Nothing"), Urgency.CONTENT),
        (reclaimed(100, spared=SPARED), Urgency.CONTENT),
        (status(), Urgency.CONTENT),
    ],
)
def test_what_goes_by_memory_reclaim_is_told_anew_when_it_moved_much(after, expected):
    assert urgency(reclaimed(100), after) is expected
