"""When to look for processes again. Pure.

A fork inside a container raises no event, so the agent looks every few seconds, and more often
right after something has happened: that is when processes fork.
"""

from dataclasses import dataclass
from typing import Final

_SHORTEST_US: Final = 1_000_000
_LONGEST_US: Final = 5_000_000
_APART_US: Final = 200_000
"""Between two looks for exits: processes die in crowds."""


@dataclass(slots=True)
class Looks:
    """The next look; after each quiet one the pause doubles, up to five seconds."""

    next_us: int = 0
    _last_us: int = -_APART_US
    _pause_us: int = _SHORTEST_US

    def now(self, now_us: int) -> None:
        """Look at once: the plan has changed."""
        self.next_us = now_us
        self._pause_us = _SHORTEST_US

    def soon(self, now_us: int) -> None:
        """Look as soon as the last look is not quite fresh: a process has exited."""
        self.next_us = min(self.next_us, max(now_us, self._last_us + _APART_US))
        self._pause_us = _SHORTEST_US

    def is_due(self, now_us: int) -> bool:
        """Say whether to look now; up to an eighth early, to spare the loop a pass of its own."""
        return now_us >= self.next_us - self._pause_us // 8

    def done(self, now_us: int) -> None:
        """Note that a look has been taken."""
        self._last_us = now_us
        self.next_us = now_us + self._pause_us
        self._pause_us = min(2 * self._pause_us, _LONGEST_US)
