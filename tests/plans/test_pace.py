import pytest

from damon_agent.plans.pace import INTERVAL_US, Urgency, urgency
from damon_contract.v1alpha1.model import Condition
from damon_contract.v1alpha1.node import DamonNodeStatus, Lane, Memory, PodStatus

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
        ({"tried_bytes": 4096}, Urgency.FIGURES),
        ({"pods": (pod(cold_bytes=9),)}, Urgency.FIGURES),
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
