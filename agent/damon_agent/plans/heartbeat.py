"""Says that the agent works, by a Lease that it renews (docs/adr/0020). No thread of its own."""

import logging
import random
from collections.abc import Callable
from typing import Final

from damon_agent.clock import Clock, micro_time
from damon_agent.plans.client import Api
from damon_agent.plans.errors import ApiError
from damon_contract.watches import Backoff

_LOGGER: Final = logging.getLogger(__name__)
RENEW_US: Final = 20_000_000
"""Between two renewals, up to a tenth less: agents that start together do not stay together."""
DURATION_S: Final = 60
"""What the Lease says: without renewal for so long its agent is not to be believed."""
_LOOK_AGAIN_US: Final = 5_000_000
"""While there is nothing to say: the loop stands still, or there is no plan."""


class Heartbeat:
    """Renews the Lease in time, as long as the agent works."""

    def __init__(
        self,
        api: Api,
        clock: Clock,
        *,
        works: Callable[[], bool],
        random: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._clock = clock
        self._works = works
        self._random = random
        self._backoff = Backoff(random, most_s=RENEW_US / 1_000_000)
        self._failures = 0
        """In a row."""
        self.lease = api.lease
        """Name of the Lease."""
        self.due_us = 0
        """When the next renewal is due."""

    def beat(self, uid: str) -> bool:
        """Renew the Lease of the agent of the DamonNode with this uid; say whether it is."""
        now_us = self._clock.now_us()
        self.due_us = now_us + _LOOK_AGAIN_US
        if not self._works():
            return False
        try:
            self._api.renew(uid, micro_time(self._clock.wall_s()), DURATION_S)
        except ApiError as error:
            if not self._failures:
                _LOGGER.warning("the Lease is not renewed, retrying: %s", error)
            self._failures += 1
            delay_s = self._backoff.delay_s(self._failures, error.retry_after_s)
            self.due_us = now_us + int(delay_s * 1_000_000)
            return False
        self._failures = 0
        self.due_us = now_us + int(RENEW_US * (1 - self._random() / 10))
        return True


class Pulse:
    """Whether the loop turns: its count of ticks has to move."""

    def __init__(self, ticks: Callable[[], int], clock: Clock, patience_us: int) -> None:
        self._ticks = ticks
        self._clock = clock
        self._patience_us = patience_us
        self._seen = ticks()
        self._since_us = clock.now_us()

    def beats(self) -> bool:
        """Say whether a tick has ended within the patience; from any thread."""
        ticks, now_us = self._ticks(), self._clock.now_us()
        if ticks != self._seen:
            self._seen, self._since_us = ticks, now_us
        return now_us - self._since_us < self._patience_us
