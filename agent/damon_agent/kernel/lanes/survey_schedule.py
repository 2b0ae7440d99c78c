"""When lanes may be surveyed: seldom, one after the other, in quiet moments. Pure."""

from typing import Final

LANE_US: Final = 60_000_000
"""Shortest time between two surveys of a lane."""

APART_US: Final = 30_000_000
"""Shortest time between two surveys of any lanes, and between a change and a survey: from 6.16 on
the kernel holds DAMON's lock until the schemes have been applied, so up to one aggregation."""

LONGEST_US: Final = 300_000_000
"""How long changes may put surveys off."""

REGION_US: Final = 40_000
"""Pause for each region that was read: three files, some 35 us of CPU."""


class SurveySchedule:
    """Shared by the lanes of a node."""

    def __init__(self) -> None:
        self._next_us = 0
        self._last_us = 0
        self._due_us: dict[int, int] = {}
        self._pauses_us: dict[int, int] = {}

    def due_us(self, kdamond: int, now_us: int) -> int:
        """Return the earliest moment for the next survey of a lane.

        The first lane of a node counts as a change, so that nothing is surveyed right after it.
        """
        if not self._pauses_us:
            self.disturbed(now_us)
        self._pauses_us.setdefault(kdamond, APART_US)
        return max(self._next_us, self._due_us.get(kdamond, 0))

    def disturbed(self, now_us: int) -> None:
        """Note that something changes: more is likely to follow, and is not to wait for a look."""
        quiet_us = min(now_us + APART_US, max(now_us, self._last_us + LONGEST_US))
        self._next_us = max(self._next_us, quiet_us)

    def began(self, kdamond: int, now_us: int) -> None:
        """Note that a survey begins."""
        self._last_us = now_us
        self._pauses_us.setdefault(kdamond, APART_US)
        self._hold(kdamond, now_us)

    def read(self, kdamond: int, regions: int, now_us: int) -> None:
        """Note how much it was to read; that is made up for by a pause."""
        self._pauses_us[kdamond] = max(APART_US, regions * REGION_US)
        self._hold(kdamond, now_us)

    def forget(self, kdamond: int) -> None:
        """Note that a lane has ended."""
        self._due_us.pop(kdamond, None)
        self._pauses_us.pop(kdamond, None)

    def _hold(self, kdamond: int, now_us: int) -> None:
        self._next_us = max(self._next_us, now_us + self._pauses_us[kdamond])
        # Not before every other lane has had its turn.
        self._due_us[kdamond] = now_us + max(LANE_US, sum(self._pauses_us.values()))
