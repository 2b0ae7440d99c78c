"""Watch streams: what is there, then every change, bookmarks in between."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from damon_mock.kube import listing
from damon_mock.kube.failures import ApiFailure, Body
from damon_mock.kube.listing import ListOptions
from damon_mock.kube.paths import Target
from damon_mock.kube.resources import POD
from damon_mock.kube.selectors import Predicate
from damon_mock.kube.store import Change, Revision, Store, Subscription, encode

Form = Callable[[Revision], bytes]
"""How the client wants objects: as they are, or as tables."""


class BrokenError(Exception):
    """The stream was cut off by a fault: the connection must break."""


class Watch:
    """One watch. Made and subscribed in one step, so that it misses nothing."""

    def __init__(
        self,
        store: Store,
        target: Target,
        options: ListOptions,
        form: Form,
        *,
        bookmark_interval_s: float,
    ) -> None:
        self._store = store
        self._resource = target.resource
        self._options = options
        self._form = form
        self._interval_s = bookmark_interval_s
        self._matches = listing.predicate(target, options)
        self._from = listing.number(options.version) if options.version else 0
        self._first = self._opening()
        self._subscription: Subscription = store.subscribe(self._resource.collection)

    def _opening(self) -> list[bytes]:
        version = self._from
        if version == 0:
            return [
                _line("ADDED", self._form(revision))
                for revision in self._store.ordered(self._resource.collection)
                if self._matches(revision.body)
            ]
        return self._lines(self._store.since(self._resource.collection, version))

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the stream; raises BrokenError when a fault breaks it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (self._options.timeout_s or 1800)
        next_bookmark = loop.time() + self._interval_s
        subscription = self._subscription
        try:
            yield b"".join(self._first)
            while True:
                if subscription.dropped:
                    if subscription.failure is None:
                        raise BrokenError
                    yield _line("ERROR", encode(subscription.failure.body()))
                    return
                subscription.wake.clear()
                changes = list(subscription.changes)
                subscription.changes.clear()
                if changes and (chunk := b"".join(self._lines(changes))):
                    yield chunk
                    continue
                if subscription.ended:
                    return
                if loop.time() >= end:
                    yield self._bookmark()
                    return
                if loop.time() >= next_bookmark:
                    next_bookmark = loop.time() + self._interval_s
                    yield self._bookmark()
                await _wait(subscription, min(end, next_bookmark))
        finally:
            subscription.close()

    def _lines(self, changes: Sequence[Change]) -> list[bytes]:
        lines = (
            _selected(change, self._matches, self._form)
            for change in changes
            if change.after.version > self._from  # from the future: nothing until that is reached
        )
        return [line for line in lines if line]

    def _bookmark(self) -> bytes:
        """Return a bookmark; empty where none is asked for, or while the watch is in the future.

        cacheWatcher.process() in apiserver/pkg/storage/cacher sends nothing of a version below the
        one that was asked for, bookmarks included.
        """
        if not self._options.bookmarks or self._store.version < self._from:
            return b""
        metadata: Body = {"resourceVersion": str(self._store.version)}
        resource = self._resource
        body = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        if resource is POD:  # Go's empty struct, as it is encoded
            body |= {"spec": {"containers": None}, "status": {}}
        return _line("BOOKMARK", encode(body))


async def _wait(subscription: Subscription, until: float) -> None:
    try:
        async with asyncio.timeout_at(until):
            await subscription.wake.wait()
    except TimeoutError:
        return


def _line(kind: str, encoded: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), encoded)


def _selected(change: Change, matches: Predicate, form: Form) -> bytes:
    """Return the event a watcher with a selector sees; empty when it sees none."""
    now = change.type != "DELETED" and matches(change.after.body)
    before = change.before is not None and matches(change.before.body)
    if now:
        return _line("MODIFIED" if before else "ADDED", form(change.after))
    if not before:
        return b""
    if change.type == "DELETED":
        return _line("DELETED", form(change.after))
    assert change.before is not None
    return _line("DELETED", form(_last_seen(change.before, change.after)))


def _last_seen(before: Revision, after: Revision) -> Revision:
    """Return the object as it last matched, under the version at which it stopped matching."""
    metadata = {**before.body["metadata"], "resourceVersion": str(after.version)}
    return Revision({**before.body, "metadata": metadata}, after.version)


def error_stream(failure: ApiFailure) -> bytes:
    """Return the stream that tells of a failure by an event."""
    return _line("ERROR", encode(failure.body()))
