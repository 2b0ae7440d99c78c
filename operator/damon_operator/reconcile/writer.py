"""Brings DamonNodes to what the plans want: a few at a time, each on its own when it fails."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from damon_contract.watches import Backoff
from damon_operator.errors import NotFound, PlanAltered, Unavailable
from damon_operator.facts import Written, digest, read_written
from damon_operator.planner.tally import PLAN_ALTERED, PLAN_FAILED, WRITE_FAILED
from damon_operator.reconcile.port import Port, damon_node
from damon_operator.reconcile.world import Apply, Delete, World, is_stored
from damon_operator.reflector import Reflector

_log = logging.getLogger(__name__)


@dataclass
class Writer:
    """Writes DamonNodes.

    A node's name is all that is queued; what it needs is asked when its turn comes, so that many
    changes during an outage become one write, of the latest plan.
    """

    world: World
    written: Reflector[Written]
    """The DamonNodes as the API server has them, our own writes included."""
    port: Port
    backoff: Backoff
    sleep: Callable[[float], Awaitable[None]]
    workers: int = 8
    applied: int = 0
    """Plans the API server has taken so far."""
    deleted: int = 0
    """DamonNodes taken away so far."""
    failed: int = 0
    """Attempts that came to nothing."""
    _queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _queued: set[str] = field(default_factory=set)
    _busy: set[str] = field(default_factory=set)
    _again: set[str] = field(default_factory=set)
    _failures: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many nodes wait for a write, those in the back-off included."""
        return len(self._queued | self._busy | self._waiting.keys())

    def push(self, node: str) -> None:
        """Have a node looked at; one that failed keeps its place in the back-off."""
        if node in self._busy:
            self._again.add(node)
        elif node not in self._queued and node not in self._waiting:
            self._queued.add(node)
            self._queue.put_nowait(node)

    async def run(self) -> None:
        """Work for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.workers):
                    group.create_task(self._work())
        finally:
            for task in self._waiting.values():
                task.cancel()

    async def _work(self) -> None:
        while True:
            node = await self._queue.get()
            self._queued.discard(node)
            self._busy.add(node)
            reason = PLAN_FAILED
            try:
                action = self.world.action(node)
                reason = WRITE_FAILED
                await self._carry_out(node, action)
            except PlanAltered as error:
                self._retry(node, error, PLAN_ALTERED)
            except Exception as error:  # noqa: BLE001 - whatever it is, it costs this node alone
                self._retry(node, error, reason)
            else:
                self._failures.pop(node, None)
            finally:
                self._busy.discard(node)
            if node in self._again:
                self._again.discard(node)
                self.push(node)

    async def _carry_out(self, node: str, action: Apply | Delete | None) -> None:
        match action:
            case Apply():
                answer = await self.written.write(node, self.port.apply_node(damon_node(action)))
                stored = read_written(answer or {})
                if not is_stored(
                    stored, action.node, action.spec.hash, digest(action.exempt), action.revision
                ):
                    # A webhook, or the CRD of another version, changed or added something.
                    raise PlanAltered(node)
                self.world.recovered(node)
                self.applied += 1
                _log.info(
                    "applied node=%s tuning=%s mode=%s pods=%d hash=%s",
                    node, action.spec.tuning, action.spec.mode, len(action.spec.pods),
                    action.spec.hash,
                )  # fmt: skip
            case Delete(name, uid):
                await self.written.write(node, self._delete(name, uid))
                self.world.recovered(node)
                self.deleted += 1
                _log.info("deleted node=%s", node)
            case None:
                self.world.rests(node)

    async def _delete(self, name: str, uid: str) -> None:
        try:
            await self.port.delete_node(name, uid)
        except NotFound:
            _log.debug("already gone node=%s", name)

    def _retry(self, node: str, error: Exception, reason: str) -> None:
        self.failed += 1
        failures = self._failures[node] = self._failures.get(node, 0) + 1
        asked = error.retry_after_s if isinstance(error, Unavailable) else 0.0
        delay_s = self.backoff.delay_s(failures, asked)
        _log.warning(
            "write failed node=%s failures=%d retry_s=%.1f error=%s",
            node, failures, delay_s, error,
        )  # fmt: skip
        self.world.failed(node, reason)
        self._waiting[node] = asyncio.create_task(self._later(node, delay_s))

    async def _later(self, node: str, delay_s: float) -> None:
        await self.sleep(delay_s)
        del self._waiting[node]
        self.push(node)
