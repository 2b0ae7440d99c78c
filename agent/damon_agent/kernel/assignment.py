"""Who belongs in which lane: an intent's members, spread over the kdamonds there are. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    members = unique(intent)
    standing = standings(intent, members.values())
    priorities = set(standing.values())
    # Of what is planned: that a pod is spared moves nobody else's mark.
    ladder = rungs.build(intent, {member.priority for member in members.values()})
    previous = {
        kdamond: Counter(standing[process] for process in held if process in standing)
        for kdamond, held in occupants.items()
    }
    most = len(occupants)
    assigned = lanes.assign(lanes.bands(priorities, ladder, most), previous, most)
    return Assignment(
        ladder=ladder,
        bands=assigned,
        members={
            kdamond: tuple(
                member for member in members.values() if standing[member.process] in band.priorities
            )
            for kdamond, band in assigned.items()
        },
    )


def unique(intent: Intent) -> dict[Process, Member]:
    """Return the members by process; one in two pods is of the more important one."""
    members: dict[Process, Member] = {}
    for member in intent.members:
        held = members.get(member.process)
        if held is None or held.priority < member.priority:
            members[member.process] = member
    return members


def standings(intent: Intent, members: Iterable[Member]) -> dict[Process, int]:
    """Return the priority that each process is treated by: its own, or, spared, a protected one.

    That is the lowest protected priority there is anyway, so that no lane is opened for it.
    """
    members = tuple(members)
    protected = [m.priority for m in members if m.priority >= intent.protect_from]
    refuge = min(protected, default=intent.protect_from)
    return {m.process: max(m.priority, refuge) if m.spared else m.priority for m in members}
