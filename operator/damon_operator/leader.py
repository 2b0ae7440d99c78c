"""Of several replicas one works: whoever holds a Lease.

Our own election, over the same port as everything else: the one in `kubernetes.aio` ends when a
request fails while it waits, and trusts the wall clock. As in client-go a candidate never compares
clocks with the holder: a lease has run out when it has not changed for its own duration by the
candidate's monotonic clock.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol

from damon_operator.errors import ApiError, Conflict, LeaseLost, NotFound
from damon_operator.resources import Raw

_log = logging.getLogger(__name__)


class Leases(Protocol):
    """The API server's leases, as `cluster.Cluster` offers them."""

    async def read_lease(self, namespace: str, name: str) -> Raw:
        """Return a Lease; NotFound when there is none."""

    async def create_lease(self, namespace: str, body: Raw) -> Raw:
        """Create a Lease; Conflict when there is one."""

    async def replace_lease(self, namespace: str, name: str, body: Raw) -> Raw:
        """Replace a Lease; Conflict when it changed since it was read."""


@dataclass
class Elector:
    """A candidate for one Lease."""

    leases: Leases
    namespace: str
    name: str
    identity: str
    clock: Callable[[], float]
    """Monotonic seconds."""
    now: Callable[[], datetime]
    lease_s: float = 15.0
    retry_s: float = 2.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _seen: object = None
    _seen_at: float = 0.0

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then work until cancelled; raise LeaseLost when it is lost."""
        await self._acquire()
        working = asyncio.ensure_future(work())
        holding = asyncio.ensure_future(self._hold())
        try:
            await asyncio.wait({working, holding}, return_when=asyncio.FIRST_COMPLETED)
            for task in (holding, working):
                if task.done():
                    task.result()
        finally:
            for task in (working, holding):
                task.cancel()
            await asyncio.gather(working, holding, return_exceptions=True)
            await self._release()

    async def _acquire(self) -> None:
        _log.info("waiting for lease=%s/%s identity=%s", self.namespace, self.name, self.identity)
        while True:
            try:
                if await self._try():
                    _log.info("leading lease=%s/%s", self.namespace, self.name)
                    return
            except ApiError as error:
                _log.warning("lease not reachable error=%s", error)
            await self.sleep(self.retry_s)

    async def _hold(self) -> NoReturn:
        """Renew the lease; raise LeaseLost well before others may take it."""
        renewed_at = self.clock()
        while True:
            await self.sleep(self.retry_s)
            left_s = renewed_at + self.lease_s * 2 / 3 - self.clock()
            if left_s <= 0:
                raise LeaseLost(f"lease {self.namespace}/{self.name} was not renewed in time")
            asked_at = self.clock()
            try:
                async with asyncio.timeout(left_s):
                    held = await self._try()
            except (ApiError, TimeoutError) as error:
                _log.warning("lease not renewed error=%s", error)
                continue
            if held:
                renewed_at = asked_at
            elif isinstance(self._seen, tuple) and self._seen[0] != self.identity:
                raise LeaseLost(
                    f"lease {self.namespace}/{self.name} was taken by {self._seen[0]!r}"
                )

    async def _try(self) -> bool:
        """Take or renew the lease; return whether it is ours now."""
        try:
            lease = await self.leases.read_lease(self.namespace, self.name)
        except NotFound:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": self._spec({}),
            }
            return await self._written(self.leases.create_lease(self.namespace, body))
        spec = lease.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        record = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if record != self._seen:
            self._seen, self._seen_at = record, self.clock()
        duration_s = float(spec.get("leaseDurationSeconds") or self.lease_s)
        if holder not in {"", self.identity} and self.clock() < self._seen_at + duration_s:
            return False
        body = {**lease, "spec": self._spec(spec)}
        return await self._written(self.leases.replace_lease(self.namespace, self.name, body))

    async def _written(self, request: Awaitable[Raw]) -> bool:
        try:
            await request
        except Conflict:
            return False  # somebody was faster; the next look tells who
        return True

    async def _release(self) -> None:
        """Let the next one start at once, if the lease still is ours."""
        try:
            async with asyncio.timeout(self.retry_s):
                lease = await self.leases.read_lease(self.namespace, self.name)
                spec = lease.get("spec") or {}
                if spec.get("holderIdentity") == self.identity:
                    free = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self.leases.replace_lease(
                        self.namespace, self.name, {**lease, "spec": free}
                    )
        except (ApiError, TimeoutError) as error:
            _log.info("lease not released error=%s", error)

    def _spec(self, before: Raw) -> dict[str, Any]:
        now = self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = before.get("holderIdentity") == self.identity
        changes = int(before.get("leaseTransitions") or 0)
        return {
            **before,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.lease_s)),
            "acquireTime": before.get("acquireTime") if ours else now,
            "renewTime": now,
            "leaseTransitions": changes if ours else changes + 1,
        }
