"""Which priorities share a kdamond when there are more priorities than kdamonds. Pure.

kdamonds are allocated once and cannot be added while one runs, so neighbouring priorities may have
to share a lane. It then treats all of them as the most important one asks for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from damon_agent.kernel.ladder import Ladder, Role

KDAMONDS: Final = 8
"""Lanes per node: enough that sharing is rare, few enough that their threads are noise."""


@dataclass(frozen=True, slots=True)
class Band:
    """Neighbouring priorities that share a lane."""

    priorities: tuple[int, ...]
    """Ascending, least important first."""
    role: Role
    mark_permille: int | None
    """Of available memory; Ladder only."""


def bands(priorities: Iterable[int], ladder: Ladder, most: int) -> tuple[Band, ...]:
    """Return at most `most` (>= 1) bands that cover the priorities, least important first.

    Sharing costs nothing between protected ones and nothing between eager ones, so those merge
    first; then the closest neighbours of the ladder; then eager ones with the ladder. Protected
    ones join others only when there is a single kdamond, and then nothing is reclaimed.
    """
    groups: list[tuple[int, ...]] = [(priority,) for priority in sorted(set(priorities))]
    while len(groups) > most:
        groups = _merge(groups, min(range(len(groups) - 1), key=lambda i: _cost(groups, i, ladder)))
    return tuple(_band(group, ladder) for group in groups)


def _cost(groups: Sequence[tuple[int, ...]], i: int, ladder: Ladder) -> tuple[int, int, int]:
    """Order the merges of group i with group i + 1, best first."""
    lower, upper = groups[i], groups[i + 1]
    roles = (_role(lower, ladder), _role(upper, ladder))
    order = {
        ("Protected", "Protected"): 0,
        ("Eager", "Eager"): 1,
        ("Ladder", "Ladder"): 2,
        ("Eager", "Ladder"): 3,
    }
    return order.get(roles, 4), upper[-1] - lower[0], i


def _merge(groups: Sequence[tuple[int, ...]], i: int) -> list[tuple[int, ...]]:
    return [*groups[:i], groups[i] + groups[i + 1], *groups[i + 2 :]]


def _role(group: Sequence[int], ladder: Ladder) -> Role:
    return ladder.role(group[-1])


def _band(group: tuple[int, ...], ladder: Ladder) -> Band:
    role = _role(group, ladder)
    return Band(group, role, ladder.mark(group[-1]) if role == "Ladder" else None)


def choose_kdamonds(
    wanted: Sequence[Band], previous: Mapping[int, Mapping[int, int]], most: int
) -> dict[int, Band]:
    """Return a kdamond for each band, so that as many processes as possible stay where they are.

    `previous` says for each kdamond how many of its processes have which priority now. Bands that
    find nothing of theirs take the unused kdamonds with the lowest index.
    """
    shared = sorted(
        (
            (-sum(counts.get(priority, 0) for priority in band.priorities), kdamond, position)
            for kdamond, counts in previous.items()
            for position, band in enumerate(wanted)
        ),
    )
    kdamonds: dict[int, int] = {}
    for count, kdamond, position in shared:
        if count and kdamond < most and kdamond not in kdamonds.values():
            kdamonds.setdefault(position, kdamond)
    # A kdamond that still carries somebody is the last choice: its processes have to leave first.
    free = sorted(
        (kdamond for kdamond in range(most) if kdamond not in kdamonds.values()),
        key=lambda kdamond: (bool(previous.get(kdamond)), kdamond),
    )
    for position in range(len(wanted)):
        if position not in kdamonds:
            kdamonds[position] = free.pop(0)
    return {kdamonds[position]: band for position, band in enumerate(wanted)}
