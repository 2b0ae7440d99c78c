"""What the lanes of a node look like from outside. Pure: nothing is asked, nothing is changed."""

from collections.abc import Mapping, Sequence

from damon_agent.kernel.availability import Availability, works
from damon_agent.kernel.intent import Intent, Member, shown_min_age
from damon_agent.kernel.lanes.assignment import Assignment
from damon_agent.kernel.lanes.bands import Band
from damon_agent.kernel.lanes.lane import Lane
from damon_agent.kernel.report import IDLE_US, Report, Survey
from damon_agent.kernel.tree.features import Features
from damon_contract.v1alpha1 import node


def report(
    lanes: Sequence[Lane],
    intent: Intent,
    assignment: Assignment,
    *,
    memory: Availability,
    features: Features,
    now_us: int,
) -> Report:
    """Return the report, but for what it says of the plan as a whole."""
    told = [
        _lane(lanes[kdamond], band, assignment.members[kdamond], intent, memory)
        for kdamond, band in assignment.bands.items()
    ]
    latest_us = min(now_us + IDLE_US, memory.due_us(intent))
    return Report(
        driver_name="lanes",
        features=tuple(sorted(features.names)),
        lanes=tuple(sorted(told, key=lambda lane: lane.priorities)),
        placed=_placed(lanes, assignment.members),
        surveys=_surveys(lanes, assignment.bands),
        faults=tuple(lane.trouble.fault for lane in lanes if lane.trouble.fault is not None),
        reclaims=any(lane.may_reclaim for lane in lanes),
        is_awake=any(
            lanes[kdamond].may_reclaim
            for kdamond, band in assignment.bands.items()
            if band.role == "Ladder"
        ),
        next_step_us=min([latest_us, *(lane.next_us for lane in lanes)]),
    )


def _lane(
    lane: Lane, band: Band, members: Sequence[Member], intent: Intent, memory: Availability
) -> node.Lane:
    return node.Lane(
        kdamond=lane.kernel.index,
        priorities=band.priorities,
        role=band.role,
        mark_permille=band.mark_permille,
        min_age=None if band.role == "Protected" else shown_min_age(intent, band.priorities),
        pods=len({member.pod_uid for member in members}),
        targets=len(lane.contents.slots.occupants),
        state="on" if lane.is_on else "off",
        active=lane.is_on and works(intent, band.role, band.mark_permille, memory),
        tried_bytes=lane.figures.tried_bytes,
        applied_bytes=lane.figures.applied_bytes,
    )


def _placed(lanes: Sequence[Lane], members: Mapping[int, Sequence[Member]]) -> dict[str, int]:
    placed: dict[str, int] = {}
    for kdamond, belonging in members.items():
        lane = lanes[kdamond]
        if lane.is_on and lane.contents.slots.committed:
            held = set(lane.contents.slots.occupants)
            placed.update({m.pod_uid: kdamond for m in belonging if m.process in held})
    return placed


def _surveys(lanes: Sequence[Lane], bands: Mapping[int, Band]) -> dict[int, Survey]:
    return {
        kdamond: survey
        for kdamond in bands
        if (survey := lanes[kdamond].figures.survey) is not None
    }
