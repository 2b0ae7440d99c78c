"""A collection in memory with a watch history, and the ways in which one lets a client down."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest

from damon_contract.watches import Backoff
from damon_operator.errors import ApiError, BadObject, Gone, Unavailable
from damon_operator.reflector import Pace, Reflector
from damon_operator.resources import Page, Resource


@dataclass
class Collection:
    """Objects are {"metadata": {"name", "resourceVersion"}, "value"}."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    version: int = 1
    oldest: int = 0
    """Watches and pages from before this version are told 410."""
    down: bool = False
    expired_as_status: bool = False
    ends_at_once: bool = False
    refuses: ApiError | None = None
    """Answer to watches from a version other than the newest."""
    before_page: list = field(default_factory=list)
    """Called one by one before pages are served."""
    requests: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    backup: tuple[int, int, dict[str, Any], list[dict[str, Any]]] = (1, 0, {}, [])
    restores: int = 0
    stopped: bool = False
    """Does not answer the next request."""

    def put(self, name: str, value: Any = 0) -> None:
        kind = "MODIFIED" if name in self.objects else "ADDED"
        self._record(kind, {"metadata": {"name": name}, "value": value})
        self.objects[name] = self.history[-1]["object"]

    def delete(self, name: str) -> None:
        del self.objects[name]
        self._record("DELETED", {"metadata": {"name": name}, "value": None})

    def bookmark(self) -> None:
        self._record("BOOKMARK", {"metadata": {}})

    def save(self) -> None:
        """Make a backup."""
        self.backup = (self.version, self.oldest, dict(self.objects), list(self.history))

    def restore(self) -> None:
        """Go back to the last backup: versions are counted again from there."""
        self.version, self.oldest, objects, history = self.backup
        self.objects, self.history = dict(objects), list(history)
        self.restores += 1
        self.stopped = True
        self.wake()

    def is_back(self) -> bool:
        """Whether the server was stopped until now."""
        stopped, self.stopped = self.stopped, False
        return stopped

    def compact(self) -> None:
        """Forget the history and end all watches: everybody has to list again."""
        self.version += 1
        self.oldest = self.version
        self.history.clear()
        self.wake()

    def wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def _record(self, kind: str, body: dict[str, Any]) -> None:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.history.append({"type": kind, "object": body, "at": self.version})
        self.wake()

    async def page(self, _resource: Resource, *, limit: int, after: str, take) -> Page:
        self.requests.append(f"page {after}".strip())
        await asyncio.sleep(0)
        if self.before_page:
            self.before_page.pop(0)()
        if self.down or self.is_back():
            raise Unavailable("GET", 0, "down")
        version, start = (after or f"{self.version}|").split("|")
        if not self.oldest <= int(version) <= self.version:
            raise Gone("GET", 410, "Expired")
        names = sorted(name for name in self.objects if name > start)
        rest = f"{version}|{names[limit - 1]}" if len(names) > limit else ""
        for name in names[:limit]:
            take(self.objects[name])
        return Page(version, rest)

    async def watch(
        self, _resource: Resource, *, version: str, **_pace: float
    ) -> AsyncGenerator[dict[str, Any], None]:
        self.requests.append(f"watch {version}")
        at, restores = int(version), self.restores
        while True:
            news = self.news
            if self.restores != restores:
                raise Unavailable("watch", 200, "broken")
            if at > self.version:
                return  # as by a server without a watch cache: 200, and nothing
            if self.down or self.is_back():
                raise Unavailable("watch", 0, "down")
            if self.refuses is not None and at != self.version:
                raise self.refuses
            if at < self.oldest:
                if self.expired_as_status:
                    raise Gone("watch", 410, "Gone")
                yield {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
                return
            for event in [e for e in self.history if e["at"] > at]:
                at = event["at"]
                yield event
            if self.ends_at_once:
                return
            await news.wait()


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def read(raw, _before):
    if raw["value"] == "bad":
        raise BadObject("Thing", raw["metadata"]["name"], "bad")
    return raw["value"]


@dataclass
class Rig:
    server: Collection
    time: Time
    reflector: Reflector[Any]
    changes: list[tuple[Any, Any]]

    async def until(self, condition) -> None:
        """Let tasks run until something holds; a test that hangs here has failed."""
        for _ in range(5000):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came to hold")

    async def settle(self) -> None:
        """Let tasks run on until they wait."""
        for _ in range(20):
            await asyncio.sleep(0)

    def truth(self) -> dict[str, Any]:
        return {n: o["value"] for n, o in self.server.objects.items() if o["value"] != "bad"}

    async def caught_up(self) -> None:
        await self.until(lambda: self.reflector.facts == self.truth())


def make_rig() -> Rig:
    server, time, changes = Collection(), Time(), []
    reflector = Reflector(
        resource=Resource("things", "/things"),
        source=server,
        read=read,
        key="name",
        changed=lambda old, new: changes.append((old, new)),
        backoff=Backoff(lambda: 0.0, first_s=1, most_s=8),
        clock=time.clock,
        sleep=time.sleep,
        pace=Pace(page_limit=2, burst=3),
    )
    return Rig(server, time, reflector, changes)


@pytest.fixture(name="new_rig", scope="session")
def new_rig_fixture():
    return make_rig


@pytest.fixture(name="rig")
async def rig_fixture():
    """A reflector that runs against a collection of three."""
    rig = make_rig()
    for name in "abc":
        rig.server.put(name, 1)
    task = asyncio.create_task(rig.reflector.run())
    await rig.until(rig.reflector.synced.is_set)
    yield rig
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
