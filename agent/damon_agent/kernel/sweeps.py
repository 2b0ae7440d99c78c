"""When all files of a lane are compared with what they should read: against somebody else's pen.

What the agent writes is compared at each commit anyway.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SHORTEST_US: Final = 60_000_000
"""Between two sweeps of a lane where a file is read in microseconds."""

LONGEST_US: Final = 600_000_000
"""Between two where it is not: the mock's file system asks a process for each."""

REST: Final = 4_000
"""How much longer than a sweep's CPU time its lane is then left alone: 0.2 % for eight lanes."""

APART_US: Final = 10_000_000
"""Between the sweeps of two lanes, so that no tick has to do them all."""


class Sweeps:
    """The sweeps of one lane."""

    def __init__(self, kdamond: int, spent_us: Callable[[], int]) -> None:
        """`spent_us`: CPU time of the thread that sweeps."""
        self.due_us = 0
        self._rest_us = SHORTEST_US
        self._offset_us = kdamond * APART_US
        self._spent_us = spent_us

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Read or write all files: the next time will cost as much."""
        before_us = self._spent_us()
        yield
        rest_us = REST * (self._spent_us() - before_us)
        self._rest_us = min(max(SHORTEST_US, rest_us), LONGEST_US)

    def put_off(self, now_us: int) -> None:
        """Note that all files have just been written."""
        self.due_us = now_us + self._rest_us + self._offset_us

    @contextmanager
    def sweeping(self, now_us: int) -> Iterator[None]:
        """Do a sweep; what it costs decides when the next one is due."""
        # Should it fail, the next one is not to come at once.
        self.due_us = now_us + SHORTEST_US
        with self.measuring():
            yield
        self.due_us = now_us + self._rest_us
