"""Who belongs in which lane: an intent's members, spread over the kdamonds there are. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from damon_agent.facts import Process
from damon_agent.kernel import ladder as rungs
from damon_agent.kernel.intent import Intent, Member, effective_priorities
from damon_agent.kernel.lanes import bands
from damon_agent.kernel.lanes.bands import Band


@dataclass(frozen=True, slots=True)
class Assignment:
    """The lanes of a node as they should be."""

    bands: Mapping[int, Band]
    """By kdamond."""
    members: Mapping[int, tuple[Member, ...]]
    """By kdamond."""


def assign(intent: Intent, occupants: Mapping[int, Sequence[Process]]) -> Assignment:
    """Return who belongs where; `occupants` says for every kdamond who is in it now."""
    effective = effective_priorities(intent)
    # Of what is planned: that a pod is spared moves nobody else's mark.
    ladder = rungs.build(intent, {member.priority for member in intent.members})
    previous = {
        kdamond: Counter(effective[process] for process in held if process in effective)
        for kdamond, held in occupants.items()
    }
    most = len(occupants)
    wanted = bands.bands(set(effective.values()), ladder, most)
    assigned = bands.choose_kdamonds(wanted, previous, most)
    members: dict[int, list[Member]] = {kdamond: [] for kdamond in assigned}
    home = {p: kdamond for kdamond, band in assigned.items() for p in band.priorities}
    for member in intent.members:
        members[home[effective[member.process]]].append(member)
    return Assignment(
        bands=assigned,
        members={kdamond: tuple(held) for kdamond, held in members.items()},
    )
