"""Work by key: each key on its own when it fails, and none of them twice at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from damon_contract.watches import Backoff
from damon_operator.errors import Unavailable


class Failure(NamedTuple):
    """An attempt that came to nothing."""

    key: str
    error: Exception
    failures: int
    """In a row, this one included."""
    retry_s: float
    """Until the next attempt."""


@dataclass
class WorkQueue:
    """Keys whose work is to be done.

    A key is all that is queued; what it needs is asked when its turn comes, so that many changes
    during an outage become one piece of work. A key whose work fails waits in a back-off of its
    own, and the others go on.
    """

    work: Callable[[str], Awaitable[None]]
    """Does what a key needs by now; whatever it raises is a failure of this key alone."""
    tell: Callable[[Failure], None]
    """Hears of each failure."""
    backoff: Backoff
    sleep: Callable[[float], Awaitable[None]]
    workers: int
    """How many keys are worked on at once."""
    failed: int = 0
    """Attempts that came to nothing so far."""
    _queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _queued: set[str] = field(default_factory=set)
    _busy: set[str] = field(default_factory=set)
    _again: set[str] = field(default_factory=set)
    _failures: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many keys are not done, those in the back-off included."""
        return len(self._queued | self._busy | self._waiting.keys())

    def push(self, key: str) -> None:
        """Have a key worked on; one that failed keeps its place in the back-off."""
        if key in self._busy:
            self._again.add(key)
        elif key not in self._queued and key not in self._waiting:
            self._queued.add(key)
            self._queue.put_nowait(key)

    async def run(self) -> None:
        """Work for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.workers):
                    group.create_task(self._work())
        finally:
            for task in self._waiting.values():
                task.cancel()
            left = self._waiting.keys() | self._busy
            for keys in (self._waiting, self._busy, self._again):
                keys.clear()
            for key in left:  # for the next run
                self.push(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._queued.discard(key)
            self._busy.add(key)
            try:
                await self.work(key)
            except Exception as error:  # noqa: BLE001 - whatever it is, it costs this key alone
                self._retry(key, error)
            else:
                self._failures.pop(key, None)
            self._busy.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.push(key)

    def _retry(self, key: str, error: Exception) -> None:
        self.failed += 1
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        asked_s = error.retry_after_s if isinstance(error, Unavailable) else 0.0
        retry_s = self.backoff.delay_s(failures, asked_s)
        self.tell(Failure(key, error, failures, retry_s))
        self._waiting[key] = asyncio.create_task(self._later(key, retry_s))

    async def _later(self, key: str, retry_s: float) -> None:
        await self.sleep(retry_s)
        del self._waiting[key]
        self.push(key)
