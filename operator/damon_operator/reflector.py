"""A copy of one API collection in memory, kept true by list and watch.

Ours instead of a framework's because of one property: what was deleted while the watch was broken
is reported as deleted by the next list. Generic over where lists and watches come from.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from damon_operator.backoff import Backoff
from damon_operator.errors import ApiError, BadObject, Unavailable
from damon_operator.resources import Raw, Resource, Source

F = TypeVar("F")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How a reflector goes about it."""

    page_limit: int = 500
    """Objects per page; 500 pods are about 4 MB of JSON."""
    idle_s: float = 90.0
    """A watch that is silent for longer is broken: API servers send a bookmark every minute."""
    short_s: float = 1.0
    """A watch that ends sooner without a word counts as a failure."""
    burst: int = 64
    """Events after which other tasks get their turn."""


@dataclass
class Reflector(Generic[F]):
    """The facts of one collection, by key, and the task that keeps them."""

    resource: Resource
    source: Source
    read: Callable[[Raw, F | None], F]
    """Makes a fact of a raw object; raises BadObject."""
    key: Callable[[Raw], str]
    """Identity of a raw object."""
    changed: Callable[[F | None, F | None], None]
    """Called with (old, new) for every difference; None where there is none."""
    backoff: Backoff
    clock: Callable[[], float]
    """Monotonic seconds."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    pace: Pace = Pace()
    facts: dict[str, F] = field(default_factory=dict)
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

    async def run(self) -> None:
        """List, then watch, for ever; list again whenever the place to go on from is lost."""
        version, failures = "", 0
        while True:
            try:
                if not version:
                    version = await self._list()
                version = await self._watch(version)
                failures = 0
            except _BrokenWatch as broken:
                version = broken.version
                failures = 1 if broken.progressed else failures + 1
                await self._pause("watch", failures, broken.error)
            except ApiError as error:
                failures += 1
                await self._pause("list", failures, error)

    async def _list(self) -> str:
        """Replace all facts by the server's; return the version to watch from.

        Facts go in page by page, and out only after the last page: what an incomplete list does not
        mention may still be there. A 410 for a continue token leaves nothing half done either.
        """
        seen: set[str] = set()
        after = ""
        while True:
            page = await self.source.page(self.resource, limit=self.pace.page_limit, after=after)
            self.heard = self.clock()
            for raw in page.items:
                name = self._put(raw)
                if name is not None:
                    seen.add(name)
            if not page.next:
                break
            after = page.next
        for name in [name for name in self.facts if name not in seen]:
            self._drop(name)
        self.relists += 1
        self.synced.set()
        _log.info(
            "listed resource=%s objects=%d version=%s",
            self.resource.name, len(self.facts), page.resource_version,
        )  # fmt: skip
        return page.resource_version

    async def _watch(self, version: str) -> str:
        """Follow events until the server ends the stream; return the version to go on from."""
        start, taken = self.clock(), 0
        self.watches += 1
        try:
            async with aclosing(
                self.source.watch(self.resource, version=version, idle_s=self.pace.idle_s)
            ) as events:
                async for event in events:
                    self.heard = self.clock()
                    version = self._take(event) or version
                    taken += 1
                    if taken % self.pace.burst == 0:
                        await asyncio.sleep(0)  # buffered lines would never let others run
            self.heard = self.clock()
            if not taken and self.heard - start < self.pace.short_s:
                raise Unavailable(f"watch {self.resource.path}", 200, "ended at once")
        except ApiError as error:
            progressed = taken > 0 or self.clock() - start >= self.pace.short_s
            go_on = "" if _lost(error) else version
            raise _BrokenWatch(go_on, error, progressed=progressed) from error
        return version

    def _take(self, event: Raw) -> str:
        """Apply one watch event; return its resourceVersion, "" when it has none.

        After an ERROR, of 410 or anything else, or an event that is none, there is no going on: the
        same place would bring the same again.
        """
        kind, raw = event.get("type"), event.get("object")
        request = f"watch {self.resource.path}"
        if not isinstance(raw, dict):
            raise _UnusableEvent(request, 200, "malformed event")
        if kind == "ERROR":
            code, reason = raw.get("code"), str(raw.get("reason"))
            status = code if isinstance(code, int) else 0
            raise _UnusableEvent(request, status, reason, str(raw.get("message") or ""))
        if kind in {"ADDED", "MODIFIED"}:
            self._put(raw)
        elif kind == "DELETED":
            name = self._name(raw)
            if name is not None:
                self._drop(name)
        elif kind != "BOOKMARK":
            _log.warning("unknown event resource=%s type=%s", self.resource.name, str(kind)[:40])
        metadata = raw.get("metadata")
        return str(metadata.get("resourceVersion") or "") if isinstance(metadata, dict) else ""

    def _put(self, raw: Raw) -> str | None:
        name = self._name(raw)
        if name is None:
            return None
        old = self.facts.get(name)
        try:
            new = self.read(raw, old)
        except BadObject as error:
            _log.warning("unreadable object resource=%s error=%s", self.resource.name, error)
            self._drop(name)
            return None
        if new != old:
            self.facts[name] = new
            self.changed(old, new)
        return name

    def _drop(self, name: str) -> None:
        old = self.facts.pop(name, None)
        if old is not None:
            self.changed(old, None)

    def _name(self, raw: Raw) -> str | None:
        try:
            return str(self.key(raw))
        except (KeyError, TypeError) as error:
            _log.warning("object without identity resource=%s error=%r", self.resource.name, error)
            return None

    async def _pause(self, what: str, failures: int, error: ApiError) -> None:
        self.heard = self.clock()
        self.failures += 1
        asked = error.retry_after_s if isinstance(error, Unavailable) else 0.0
        delay_s = self.backoff.delay_s(failures, asked)
        _log.warning(
            "%s failed resource=%s failures=%d retry_s=%.1f error=%s",
            what, self.resource.name, failures, delay_s, error,
        )  # fmt: skip
        await self.sleep(delay_s)


def _lost(error: ApiError) -> bool:
    """Return whether a watch has lost its place, so that only a new list helps.

    No answer, a broken stream, or a server too busy leave the place as it was. Anything else may be
    about the place itself: 410, a version the server calls invalid, or one from the future after
    etcd was restored from a backup, which is answered with 504 for ever.
    """
    if isinstance(error, _UnusableEvent):
        return True
    return not (isinstance(error, Unavailable) and error.status in {0, 200, 429, 503})


class _UnusableEvent(Unavailable):
    """The stream said something after which only a new list helps."""


class _BrokenWatch(Exception):  # noqa: N818 - a turn of the loop, not an error of a caller's
    """A watch that failed; it goes on from `version`, or from a new list when that is empty."""

    def __init__(self, version: str, error: ApiError, *, progressed: bool) -> None:
        super().__init__(str(error))
        self.version = version
        self.error = error
        self.progressed = progressed
