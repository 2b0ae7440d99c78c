"""Keeps the status of every DamonTuning, each on its own when it can't be written."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from damon_contract.v1alpha1.totals import Totals
from damon_contract.v1alpha1.tuning import AnnotationBounds, DamonTuningStatus
from damon_contract.watches import Backoff
from damon_operator.errors import NotFound
from damon_operator.facts import Tuning
from damon_operator.planner.status import tuning_status
from damon_operator.reconcile.port import Now, Port, rfc3339
from damon_operator.reconcile.queue import Failure, WorkQueue
from damon_operator.reconcile.world import World
from damon_operator.reflector import Reflector
from damon_operator.settings import Tempo
from damon_operator.stored_status import replacement

_log = logging.getLogger(__name__)

_WORKERS: Final = 4
"""Statuses that are written at once: one that a slow webhook holds up does not hold up all."""


@dataclass
class Statuses:
    """Writes the status of the DamonTunings that the world calls stale."""

    world: World
    tunings: Reflector[Tuning]
    port: Port
    announce: Callable[[Tuning, DamonTuningStatus], None]
    """Hears of each status that was written, and of its tuning as it was before."""
    policy: AnnotationBounds | None
    """What the admission policy of the chart lets owners ask for."""
    tempo: Tempo
    backoff: Backoff
    sleep: Callable[[float], Awaitable[None]]
    now: Now
    written: int = 0
    """Statuses the API server has taken so far."""
    _stale: asyncio.Event = field(default_factory=asyncio.Event)
    _figures: set[str] = field(default_factory=set)
    """Tunings whose status differs in figures alone; they wait for their minute."""
    _ripe: set[str] = field(default_factory=set)
    """Those whose minute has come."""
    queue: WorkQueue = field(init=False)
    """The names of the DamonTunings whose status is to be looked at."""

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self._write, _tell, self.backoff, self.sleep, _WORKERS)

    def wake(self) -> None:
        """Have what is stale written soon: more may follow what has just changed."""
        self._stale.set()

    def forget(self, name: str) -> None:
        """Forget that figures of a DamonTuning wait: they are written, or it is gone."""
        self._figures.discard(name)
        self._ripe.discard(name)

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            for part in (self.queue.run, self._collect, self._ripen_figures):
                group.create_task(part())

    async def _collect(self) -> None:
        while True:
            await self._stale.wait()
            await self.sleep(self.tempo.status_s)
            self._stale.clear()
            stale, self.world.stale = self.world.stale, set()
            for name in sorted(stale):
                self.queue.push(name)

    async def _ripen_figures(self) -> None:
        """Let figures be written once in a while: thousands of agents tell new ones."""
        while True:
            await self.sleep(self.tempo.figures_s)
            self._ripe |= self._figures
            for name in sorted(self._ripe):
                self.queue.push(name)

    async def _write(self, name: str) -> None:
        tuning = self.world.tunings.get(name)
        if tuning is None:
            return
        now, tally = rfc3339(self.now()), self.world.tally(name)
        status = tuning_status(tuning, tally, now=now, policy=self.policy)
        if status == tuning.status:
            self.forget(name)
            return
        if _but_figures(status) == _but_figures(tuning.status) and name not in self._ripe:
            self._figures.add(name)
            return
        body = replacement(tuning.stored, status.model_dump(mode="json", by_alias=True))
        try:
            await self.tunings.write(
                name, self.port.write_tuning_status(name, tuning.version, body)
            )
        except NotFound:
            return  # deleted: its stream tells soon
        self.written += 1
        self.forget(name)
        self.announce(tuning, status)
        _log.info(
            "status tuning=%s governed=%d applied=%d degraded=%d",
            name, status.nodes.governed, status.nodes.applied, status.nodes.degraded,
        )  # fmt: skip


def _tell(failure: Failure) -> None:
    _log.warning(
        "status not written tuning=%s failures=%d retry_s=%.1f error=%r",
        failure.key, failure.failures, failure.retry_s, failure.error,
    )  # fmt: skip


def _but_figures(status: DamonTuningStatus | None) -> DamonTuningStatus | None:
    return status and status.model_copy(update={"totals": Totals(pods=status.totals.pods)})
