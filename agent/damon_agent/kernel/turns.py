"""Whose turn it is: the kernel takes one command at a time, whichever lane it is for. Pure.

A commit takes up to a sample, so lanes with newcomers queue; in the order in which they came, or
some start waits for many others. What can wait does so until nobody has waited to get in for a
while: counters, surveys, and the commit that brings the scheme of a sleeping lane back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

HURRY_US: Final = 5_000_000
"""A newcomer that has waited for so long keeps nothing back any more: what is in its way is no
queue. Commits of a lane are less than that apart, with the default intervals."""

QUIET_US: Final = 3_000_000
"""After the last newcomer: pods start one after the other, with pauses, and none is to find the
kernel busy with what can wait."""

STORM_US: Final = 120_000_000
"""Starts that come for so long without a quiet time are what is usual here: from then on, what can
wait is done whenever nobody waits."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides about a lane's turn."""

    kdamond: int
    under_way: bool
    """Whether the kernel has a command of it to answer."""
    awaits: bool
    """Whether somebody is to come in whom the kernel does not have yet."""
    leaves: bool
    """Whether somebody is to go: others may wait for that."""


@dataclass(slots=True)
class Turns:
    """Remembers since when each lane has waited, and when any has last."""

    _since_us: dict[int, int] = field(default_factory=dict)
    _waits: bool = False
    _waited_us: int | None = None
    _storm_us: int = 0
    _turn: int = 0

    def order(self, lanes: Iterable[Standing], now_us: int) -> tuple[int, ...]:
        """Return the kdamonds in the order in which they are stepped.

        First those with a command: once it is collected, the kernel is free for the others. Then
        those that somebody leaves; then those that wait, the longest first; then in turn.
        """
        standing = tuple(lanes)
        self._since_us = {
            lane.kdamond: self._since_us.get(lane.kdamond, now_us)
            for lane in standing
            if lane.awaits
        }
        self._waits = any(now_us - us < HURRY_US for us in self._since_us.values())
        if self._waits:
            if self._is_quiet(now_us):
                self._storm_us = now_us
            self._waited_us = now_us
        self._turn += 1

        def key(lane: Standing) -> tuple[bool, bool, bool, int, int]:
            since_us = self._since_us.get(lane.kdamond)
            in_turn = (lane.kdamond - self._turn) % len(standing)
            return not lane.under_way, not lane.leaves, since_us is None, since_us or 0, in_turn

        return tuple(lane.kdamond for lane in sorted(standing, key=key))

    def is_calm(self, now_us: int) -> bool:
        """Whether there is time for what can wait."""
        is_usual = not self._waits and now_us - self._storm_us >= STORM_US
        return self._is_quiet(now_us) or is_usual

    def _is_quiet(self, now_us: int) -> bool:
        return self._waited_us is None or now_us - self._waited_us >= QUIET_US
