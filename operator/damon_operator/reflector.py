"""A copy of one API collection in memory, kept true by list and watch.

Ours instead of a framework's because of one property: what was deleted while the watch was broken
is reported as deleted by the next list. Generic over where lists and watches come from; what
follows when one of them ends is decided by `damon_contract.watches`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Generic, TypeVar, cast

from damon_contract.watches import (
    IDLE_S,
    Backoff,
    Ended,
    after_list,
    after_watch,
    retry_after_s,
)
from damon_operator.errors import ApiError, BadObject, NotFound, Unavailable, Unusable
from damon_operator.listing import LeftOut
from damon_operator.resources import ListerWatcher, Raw, Resource

F = TypeVar("F")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How a reflector goes about it."""

    page_limit: int = 500
    """Objects per page: what the API server has to hold at once for us."""
    idle_s: float = IDLE_S
    """A watch that is silent for longer is broken."""
    burst: int = 64
    """Events after which other tasks get their turn."""


@dataclass
class Reflector(Generic[F]):
    """The facts of one collection, by key, and the task that keeps them."""

    resource: Resource
    source: ListerWatcher
    read: Callable[[Raw, F | None], F]
    """Makes a fact of a raw object; raises BadObject."""
    key: str
    """The field of metadata by which facts are kept: name, or uid where names are not unique."""
    changed: Callable[[F | None, F | None], None]
    """Called with (old, new) for every difference; None where there is none."""
    backoff: Backoff
    clock: Callable[[], float]
    """Monotonic seconds."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    pace: Pace = Pace()
    unreadable: Callable[[Raw, str], None] = lambda _metadata, _why: None
    """Called with the metadata of an object that can't be read, and why."""
    facts: dict[str, F] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Why each object is left out that can't be read."""
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after the first complete list."""
    heard: float = float("-inf")
    """When the task last made a step, successful or not; one that stands still has died."""
    relists: int = 0
    """Complete lists so far."""
    watches: int = 0
    """Watches opened so far."""
    failures: int = 0
    """Lists and watches that failed so far."""
    _missing: bool = False
    """Whether the API server does not serve the resource at all."""
    _version: str = ""
    """Where to watch from; "": list first."""
    _unheard: set[str] = field(default_factory=set)
    """Objects that are being written, and of which the stream has told nothing since."""
    _unconfirmed: set[str] = field(default_factory=set)
    """Objects that are known by an answer and not yet by the stream. If that breaks, the server may
    come back without them, restored from a backup: then only a list tells."""

    async def run(self) -> None:
        """List, then watch, for ever; list again whenever the place to go on from is lost."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                step = after_watch(await self._watch(), failures)
            except ApiError as error:
                step = after_list(failures, _asked_s(error))
                self._complain(error)
            except Exception:  # noqa: BLE001 - it is logged with its trace
                # Nothing that a server sends may end the operator, whatever we did not think of.
                _log.exception("stream failed unexpectedly resource=%s", self.resource.name)
                step = after_list(failures, 0.0)
            self.heard = self.clock()
            failures = step.failures
            if step.lists or (failures and self._unconfirmed):
                self._version = ""
            if failures:
                self.failures += 1
                await self.sleep(self.backoff.delay_s(failures, step.asked_s))

    def _complain(self, error: ApiError) -> None:
        """Log a failed list; of a resource that is not served, once until it is again."""
        missing = isinstance(error, NotFound)
        if missing and not self._missing:
            _log.error(
                "not served resource=%s: its CRD is missing. What was known of it is kept until it "
                "is back: `kubectl apply -f crds/`, or upgrade the release",
                self.resource.name,
            )
        elif not missing:
            _log.warning("list failed resource=%s error=%s", self.resource.name, error)
        self._missing = missing

    async def write(self, name: str, request: Awaitable[Raw | None]) -> Raw | None:
        """Wait for the answer to a write of ours, and take it for a report of the object.

        The answer is the object as stored, None for one that is gone. If the stream has told of the
        object in the meantime, the stream is believed: it may know more than the answer.
        """
        self._unheard.add(name)
        try:
            answer = await request
            if name in self._unheard:
                if answer is None:
                    self._drop(name)
                else:
                    self._put(answer)
                self._unconfirmed.add(name)
        finally:
            self._unheard.discard(name)
        return answer

    async def _list(self) -> None:
        """Replace all facts by the server's.

        Facts go in one by one, and out only after the last page: what an incomplete list does not
        mention may still be there. A 410 for a continue token leaves nothing half done either.
        """
        seen: set[str] = set()
        self._unconfirmed.clear()

        def take(raw: object) -> None:
            name = self._put(raw)
            if name is not None:
                seen.add(name)

        after = ""
        while True:
            page = await self.source.page(
                self.resource, limit=self.pace.page_limit, after=after, take=take
            )
            self.heard = self.clock()
            if not page.next:
                break
            after = page.next
        if not page.resource_version:
            raise Unavailable(f"GET {self.resource.path}", HTTPStatus.OK, "a list of no version")
        for name in {*self.facts, *self.left_out} - seen:
            self._drop(name)
        self._unheard.clear()  # a list tells of what it does not mention, too
        self._version = page.resource_version
        self.relists += 1
        self._missing = False
        self.synced.set()
        _log.info(
            "listed resource=%s objects=%d left_out=%d version=%s",
            self.resource.name, len(self.facts), len(self.left_out), self._version,
        )  # fmt: skip

    async def _watch(self) -> Ended:
        """Follow events until the stream ends, and move the version on; return how it ended."""
        start, taken = self.clock(), 0
        self.watches += 1
        error: ApiError | None = None
        try:
            async with aclosing(
                self.source.watch(self.resource, version=self._version, idle_s=self.pace.idle_s)
            ) as events:
                async for event in events:
                    self.heard = self.clock()
                    self._version = self._take(event) or self._version
                    taken += 1
                    if taken % self.pace.burst == 0:
                        await asyncio.sleep(0)  # buffered lines would never let others run
        except ApiError as caught:
            error = caught
        ended = Ended(
            status=HTTPStatus.OK if error is None or taken else error.status,
            brought=taken > 0,
            lasted_s=self.clock() - start,
            broken=error is not None,
            unusable=isinstance(error, Unusable),
            asked_s=_asked_s(error),
        )
        if error is not None:
            _log.warning("watch ended resource=%s error=%s", self.resource.name, error)
        return ended

    def _take(self, event: Raw) -> str:
        """Apply one watch event; return its resourceVersion, "" when it has none."""
        kind, raw = event.get("type"), event.get("object")
        request = f"watch {self.resource.path}"
        if kind == "ERROR" and isinstance(raw, dict):
            details = raw.get("details")
            asked = details.get("retryAfterSeconds") if isinstance(details, dict) else None
            reason = f"{raw.get('code')} {raw.get('reason')}"
            message = str(raw.get("message") or "")
            asked_s = retry_after_s(asked)
            raise Unusable(request, HTTPStatus.OK, reason, message, retry_after_s=asked_s)
        metadata = _metadata(raw)
        if metadata is None:
            raise Unusable(request, HTTPStatus.OK, f"no event: {str(event)[:80]}")
        if kind in ("ADDED", "MODIFIED"):
            self._put(raw)
        elif kind == "DELETED":
            name = self._name(metadata)
            if name is not None:
                self._drop(name)
        elif kind != "BOOKMARK":
            _log.warning("unknown event resource=%s type=%s", self.resource.name, str(kind)[:40])
        return str(metadata.get("resourceVersion") or "")

    def _put(self, raw: object) -> str | None:
        """Take a report of an object; return its key, None when it has none."""
        metadata = _metadata(raw)
        name = self._name(metadata or {})
        if metadata is None or name is None:
            return None
        self._told(name)
        if isinstance(raw, LeftOut):
            self._leave_out(name, metadata, raw.why)
            return name
        old = self.facts.get(name)
        try:
            new = self.read(cast("Raw", raw), old)
        except BadObject as error:
            self._leave_out(name, metadata, error.why)
        except Exception as error:  # noqa: BLE001 - it is logged with its trace
            _log.exception("an object of an unforeseen kind resource=%s", self.resource.name)
            self._leave_out(name, metadata, repr(error)[:200])
        else:
            self.left_out.pop(name, None)
            if new != old:
                self.facts[name] = new
                self.changed(old, new)
        return name

    def _leave_out(self, name: str, metadata: Raw, why: str) -> None:
        """Go on without an object that can't be read."""
        self._drop(name)
        self.left_out[name] = why
        _log.warning("left out resource=%s name=%s why=%s", self.resource.name, name, why)
        self.unreadable(metadata, why)

    def _drop(self, name: str) -> None:
        self._told(name)
        self.left_out.pop(name, None)
        old = self.facts.pop(name, None)
        if old is not None:
            self.changed(old, None)

    def _told(self, name: str) -> None:
        self._unheard.discard(name)
        self._unconfirmed.discard(name)

    def _name(self, metadata: Raw) -> str | None:
        name = metadata.get(self.key)
        if isinstance(name, str) and name:
            return name
        _log.warning("object without %s resource=%s", self.key, self.resource.name)
        return None


def _metadata(raw: object) -> Raw | None:
    found = raw.metadata if isinstance(raw, LeftOut) else None
    if isinstance(raw, dict):
        found = raw.get("metadata")
    return found if isinstance(found, dict) else None


def _asked_s(error: ApiError | None) -> float:
    return error.retry_after_s if isinstance(error, Unavailable) else 0.0
