"""A wait for something in the cluster, which outlasts an API server that gives no answer meanwhile.

An API server that restarts or has too much to do is back soon; whoever waits ten minutes for
something else can wait for that as well.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from damon_cli import output
from damon_cli.errors import UnreachableError
from damon_contract.watches import Backoff

Clock = Callable[[], float]
Sleep = Callable[[float], object]
_T = TypeVar("_T")
_LEAST: Final = 3
"""Times in a row that it is asked at least: the last question of a wait may go unanswered too."""


def backoff() -> Backoff:
    """Return how long to pause before a question that was not answered is asked again."""
    return Backoff(random.random, most_s=10.0)


@dataclass
class Wait:
    """One wait: how long it lasts, and what it has last said it waits for."""

    until_s: float
    """By `clock`."""
    clock: Clock = time.monotonic
    sleep: Sleep = time.sleep
    _said: str = field(default="", init=False)

    @classmethod
    def lasting(
        cls, most_s: float, clock: Clock = time.monotonic, sleep: Sleep = time.sleep
    ) -> "Wait":
        """Return a wait that begins now."""
        return cls(clock() + most_s, clock, sleep)

    @property
    def left_s(self) -> float:
        """Return how much of the time is left; 0 or less when it is over."""
        return self.until_s - self.clock()

    def says(self, what: str) -> None:
        """Tell a person what is waited for, unless that is what was told last."""
        if what != self._said:
            self._said = what
            output.say(f"waiting: {what}")

    def answer(self, ask: Callable[[], _T]) -> _T:
        """Return what a question brings; ask again, after a pause, as long as there is no answer.

        Raise the last UnreachableError when the time is over. Every other error is an answer.
        """
        failures, pauses = 0, backoff()
        while True:
            try:
                return ask()
            except UnreachableError as error:
                failures += 1
                if self.left_s <= 0 and failures >= _LEAST:
                    raise
                if failures == 1:  # in other words each time, maybe; it is the same outage
                    self.says(error.message)
                self.sleep(pauses.delay_s(failures, error.retry_after_s))
