"""Who belongs in which lane: an intent's members, spread over the kdamonds there are. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from damon_agent.facts import Process
from damon_agent.kernel import ladder as rungs
from damon_agent.kernel import lanes
from damon_agent.kernel.intent import Intent, Member
from damon_agent.kernel.ladder import Ladder
from damon_agent.kernel.lanes import Band


@dataclass(frozen=True, slots=True)
class Assignment:
    """The lanes of a node as they should be."""

    ladder: Ladder
    bands: Mapping[int, Band]
    """By kdamond."""
    members: Mapping[int, tuple[Member, ...]]
    """By kdamond."""


def assign(intent: Intent, occupants: Mapping[int, Sequence[Process]]) -> Assignment:
    """Return who belongs where; `occupants` says for every kdamond who is in it now.

    A process in two pods goes with the more important one, so that it is targeted once.
    """
    members: dict[Process, Member] = {}
    for member in intent.members:
        held = members.get(member.process)
        if held is None or held.priority < member.priority:
            members[member.process] = member
    priorities = {member.priority for member in members.values()}
    ladder = rungs.build(intent, priorities)
    previous = {
        kdamond: Counter(members[process].priority for process in held if process in members)
        for kdamond, held in occupants.items()
    }
    most = len(occupants)
    assigned = lanes.assign(lanes.bands(priorities, ladder, most), previous, most)
    return Assignment(
        ladder=ladder,
        bands=assigned,
        members={
            kdamond: tuple(
                member for member in members.values() if member.priority in band.priorities
            )
            for kdamond, band in assigned.items()
        },
    )
