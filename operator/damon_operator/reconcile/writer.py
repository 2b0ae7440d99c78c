"""Brings DamonNodes to what the plans want: a few at a time, each on its own when it fails."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from damon_contract.watches import Backoff
from damon_operator.errors import NotFound, PlanAltered
from damon_operator.facts import Written, digest, read_written
from damon_operator.planner.tally import PLAN_ALTERED, PLAN_FAILED, WRITE_FAILED
from damon_operator.reconcile.port import Port, damon_node
from damon_operator.reconcile.queue import Failure, WorkQueue
from damon_operator.reconcile.world import Apply, Delete, World, is_stored
from damon_operator.reflector import Reflector

_log = logging.getLogger(__name__)

_WORKERS: Final = 8
"""DamonNodes that are written at once."""


@dataclass
class Writer:
    """Writes DamonNodes."""

    world: World
    written: Reflector[Written]
    """The DamonNodes as the API server has them, our own writes included."""
    port: Port
    backoff: Backoff
    sleep: Callable[[float], Awaitable[None]]
    applied: int = 0
    """Plans the API server has taken so far."""
    deleted: int = 0
    """DamonNodes taken away so far."""
    queue: WorkQueue = field(init=False)
    """The names of the nodes that are to be looked at."""

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self._write, _tell, self.backoff, self.sleep, _WORKERS)

    def push(self, node: str) -> None:
        """Have a node looked at."""
        self.queue.push(node)

    async def run(self) -> None:
        """Work for ever."""
        await self.queue.run()

    async def _write(self, node: str) -> None:
        reason = PLAN_FAILED
        try:
            action = self.world.action(node)
            reason = WRITE_FAILED
            await self._carry_out(node, action)
        except Exception as error:
            self.world.failed(node, PLAN_ALTERED if isinstance(error, PlanAltered) else reason)
            raise

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


def _tell(failure: Failure) -> None:
    _log.warning(
        "write failed node=%s failures=%d retry_s=%.1f error=%s",
        failure.key, failure.failures, failure.retry_s, failure.error,
    )  # fmt: skip
