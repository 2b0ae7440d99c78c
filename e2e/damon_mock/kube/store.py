"""Objects with one global version, their history, and those who watch it.

Single-threaded: everything happens in the server's event loop. A stored body is never changed;
a write stores a new one, so readers may keep what they were given.
"""

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from damon_mock.kube.failures import ApiFailure, Body, expired_continue, expired_version

Key = tuple[str, str]
"""Namespace ("" for cluster-scoped objects) and name."""

_SNAPSHOTS: Final = 32


class Revision:
    """One version of one object, with its JSON made once."""

    __slots__ = ("_encoded", "body", "version")

    def __init__(self, body: Body, version: int) -> None:
        self.body = body
        self.version = version
        self._encoded: bytes | None = None

    @property
    def encoded(self) -> bytes:
        """Return the JSON."""
        if self._encoded is None:
            self._encoded = encode(self.body)
        return self._encoded


def encode(body: Any) -> bytes:
    """Return compact JSON in UTF-8."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Change:
    """One write, as watchers see it; `before` is None for ADDED."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    before: Revision | None
    after: Revision


class Subscription:
    """The changes of one collection, from the moment of subscribing."""

    def __init__(self, leave: Callable[["Subscription"], None]) -> None:
        self.changes: deque[Change] = deque()
        self.wake = asyncio.Event()
        self.dropped = False
        self.ended = False
        """Whether the watch closes in order, once all changes have been read."""
        self.failure: ApiFailure | None = None
        """What the watcher is told when it was dropped; None: the connection just breaks."""
        self._leave = leave

    def push(self, change: Change) -> None:
        """Deliver a change, unless the subscription was cut off."""
        if not self.dropped:
            self.changes.append(change)
            self.wake.set()

    def drop(self, failure: ApiFailure | None = None) -> None:
        """Cut it off: what was not read yet is lost, as when a connection breaks."""
        self.dropped = True
        self.failure = failure
        self.changes.clear()
        self.wake.set()
        self.close()

    def end(self) -> None:
        """Let it close in order after what has not been read yet."""
        self.ended = True
        self.wake.set()

    def close(self) -> None:
        """Unsubscribe."""
        self._leave(self)


class Collection:
    """All objects of one resource."""

    def __init__(self, history: int) -> None:
        self.objects: dict[Key, Revision] = {}
        self.history: deque[Change] = deque(maxlen=history)
        self.subscriptions: set[Subscription] = set()
        self.oldest = 0
        """A watch must start at this version or later."""

    def remember(self, change: Change) -> None:
        """Append to the history and tell the watchers."""
        if len(self.history) == self.history.maxlen:
            self.oldest = self.history[0].after.version
        self.history.append(change)
        for subscription in list(self.subscriptions):
            subscription.push(change)


class Store:
    """All collections. `history` is the number of changes each keeps for watches."""

    def __init__(self, *, history: int = 20_000) -> None:
        self.version = 1
        self._compacted = 0
        self._history = history
        self._collections: dict[str, Collection] = {}
        self._snapshots: OrderedDict[tuple[str, int], list[Revision]] = OrderedDict()

    def collection(self, name: str) -> Collection:
        """Return a collection, made at the first call."""
        if name not in self._collections:
            self._collections[name] = Collection(self._history)
            self._collections[name].oldest = self._compacted
        return self._collections[name]

    def collections(self) -> Iterator[tuple[str, Collection]]:
        """Iterate over all collections that exist."""
        return iter(list(self._collections.items()))

    def get(self, name: str, key: Key) -> Revision | None:
        """Return the newest version of an object."""
        return self.collection(name).objects.get(key)

    def put(self, name: str, key: Key, body: Body) -> Revision:
        """Store a body (which is now the store's) under the next version."""
        collection = self.collection(name)
        before = collection.objects.get(key)
        revision = self._stamp(body)
        collection.objects[key] = revision
        collection.remember(Change("MODIFIED" if before else "ADDED", before, revision))
        return revision

    def remove(self, name: str, key: Key, body: Body) -> Revision:
        """Remove an object; `body` is its last state, as the DELETED event shows it."""
        collection = self.collection(name)
        before = collection.objects.pop(key)
        revision = self._stamp(body)
        collection.remember(Change("DELETED", before, revision))
        return revision

    def _stamp(self, body: Body) -> Revision:
        self.version += 1
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return Revision(body, self.version)

    def ordered(self, name: str) -> list[Revision]:
        """Return all objects in the order of their keys."""
        objects = self.collection(name).objects
        return [objects[key] for key in sorted(objects)]

    def keep(self, name: str, revisions: list[Revision]) -> int:
        """Keep a list for its next pages; return the version it was taken at."""
        self._snapshots[name, self.version] = revisions
        self._snapshots.move_to_end((name, self.version))
        while len(self._snapshots) > _SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return self.version

    def kept(self, name: str, version: int) -> list[Revision]:
        """Return a kept list; 410 when it is gone."""
        try:
            return self._snapshots[name, version]
        except KeyError:
            raise expired_continue() from None

    def since(self, name: str, version: int) -> list[Change]:
        """Return the changes after a version; 410 when they are compacted."""
        collection = self.collection(name)
        if version < collection.oldest:
            raise expired_version(version, collection.oldest)
        newer: list[Change] = []
        for change in reversed(collection.history):
            if change.after.version <= version:
                break
            newer.append(change)
        return newer[::-1]

    def subscribe(self, name: str) -> Subscription:
        """Follow a collection from now on."""
        collection = self.collection(name)
        subscription = Subscription(collection.subscriptions.discard)
        collection.subscriptions.add(subscription)
        return subscription

    def end_subscriptions(self, name: str) -> None:
        """End the watches of a collection that is served no more, after what they have to tell."""
        for subscription in list(self.collection(name).subscriptions):
            subscription.end()

    def drop_subscriptions(self, *, expire: bool = False) -> None:
        """Cut all watchers off; `expire`: with an ERROR event of 410."""
        failure = expired_version(self.version, self.version + 1) if expire else None
        for _, collection in self.collections():
            for subscription in list(collection.subscriptions):
                subscription.drop(failure)

    def compact(self) -> None:
        """Forget history and kept lists; the next watch from an older version gets 410."""
        self._snapshots.clear()
        self.version += 1  # somebody else's write: or a watch from "now" would not be too old
        self._compacted = self.version
        for _, collection in self.collections():
            collection.history.clear()
            collection.oldest = self.version
