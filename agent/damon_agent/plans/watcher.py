"""Keeps the plan current: list, watch, bookmarks, 410 -> list again. A thread of its own.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from damon_agent.clock import Clock
from damon_agent.plans.backoff import Backoff
from damon_agent.plans.client import Api, Watch
from damon_agent.plans.errors import ApiError, ExpiredError, RefusedError
from damon_agent.plans.plan import Latest, Plan, apply, is_same, read
from damon_agent.plans.store import PlanStore
from damon_contract import quantities

_LOGGER: Final = logging.getLogger(__name__)
_NOT_FOUND: Final = 404
_ABSENT_AFTER_US: Final = 60_000_000
"""A starting API server answers 404 for custom resources for a while."""
_WATCH_S: Final = 290
"""client-go's watches end after 5 to 10 minutes; kube-apiserver's own limit is 30."""
_SHORTEST_WATCH_S: Final = 10
_JOIN_S: Final = 10.0


class Watcher:
    """Watches the node's own DamonNode and nothing else."""

    def __init__(
        self,
        api: Api,
        store: PlanStore,
        clock: Clock,
        *,
        on_change: Callable[[], None],
        backoff: Backoff | None = None,
    ) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._backoff = backoff or Backoff()
        self._latest = self._from_store()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watch: Watch | None = None
        self._missing_since_us: int | None = None
        self._thread = threading.Thread(target=self._run, name="plans", daemon=True)

    def latest(self) -> Latest:
        """Return what is known now; safe from any thread."""
        with self._lock:
            return self._latest

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and wait for the thread."""
        self._stopping.set()
        with self._lock:
            if self._watch is not None:
                self._watch.stop()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def _from_store(self) -> Latest:
        """Start with the stored plan, as old as it is: its age counts from the last contact."""
        stored = self._store.load()
        now_us = self._clock.now_us()
        if stored is None:
            return Latest(contact_us=now_us)
        plan, stored_s = stored
        # A clock that was set back must not make the plan younger than now.
        age_s = max(0.0, self._clock.wall_s() - stored_s)
        return Latest(known=True, plan=plan, contact_us=now_us - int(age_s * 1_000_000))

    def _run(self) -> None:
        version: str | None = None
        while not self._stopping.is_set():
            try:
                if version is None:
                    version = self._list()
                version = self._follow(version)
                self._backoff.succeeded()
            except ExpiredError:
                version = None
            except ApiError as error:
                if self._stopping.is_set():
                    return
                # What a broken watch may have missed, the watch from the same version makes up for.
                self._failed(error)
                if isinstance(error, RefusedError):
                    version = None
            except Exception as error:
                _LOGGER.exception("watching the plan failed unexpectedly")
                version = None
                self._failed(error)

    def _list(self) -> str:
        try:
            answer = self._api.list()
        except RefusedError as error:
            if error.status == _NOT_FOUND:
                self._resource_missing()
            raise
        self._missing_since_us = None
        items = answer.get("items")
        self._seen(items[0] if isinstance(items, list) and items else None)
        self._backoff.succeeded()
        return _version(answer)

    def _follow(self, version: str) -> str:
        """Watch from a version until the server ends it; return the version to go on from."""
        opened_us = self._clock.now_us()
        watch = self._api.watch(version, self._watch_s())
        with self._lock:
            self._watch = watch
        try:
            self._contact()
            for event in () if self._stopping.is_set() else watch:
                item = event["object"]
                version = _version(item) or version
                match event.get("type"):
                    case "BOOKMARK":
                        self._contact()
                    case "DELETED":
                        self._seen(None)
                    case _:
                        self._seen(item)
        finally:
            with self._lock:
                self._watch = None
            watch.close()
        if not self._stopping.is_set():
            self._contact()
            if self._clock.now_us() - opened_us < 1_000_000:
                # A proxy that ends every watch at once must not be asked in a loop.
                self._stopping.wait(self._backoff.first_s)
        return version

    def _watch_s(self) -> int:
        """Keep a watch shorter than the plan's life: its end is a sign of life too."""
        plan = self.latest().plan
        if plan is None:
            return _WATCH_S
        age_us = quantities.microseconds(plan.spec.settings.safety.max_plan_age)
        return max(_SHORTEST_WATCH_S, min(_WATCH_S, age_us // 3_000_000))

    def _seen(self, item: dict[str, Any] | None) -> None:
        before = self.latest()
        if item is not None and is_same(before, item):
            # Only the status has changed: most events are the echo of our own reports.
            self._contact()
            return
        found = None if item is None else read(item)
        after = apply(before, found)
        changed = (after.known, after.plan, after.invalid) != (
            before.known,
            before.plan,
            before.invalid,
        )
        if isinstance(found, Plan):
            if after.plan != before.plan or not before.known:
                self._store.save(found, self._clock.wall_s())
        elif found is None:
            self._store.remove()
        else:
            _LOGGER.warning("the plan is not readable, the last one stays: %s", found.message)
        with self._lock:
            self._latest = after
        self._contact()
        if changed:
            self._on_change()

    def _contact(self) -> None:
        self._store.confirm(self._clock.wall_s())
        with self._lock:
            returned = bool(self._latest.trouble)
            self._latest = replace(self._latest, contact_us=self._clock.now_us(), trouble="")
        if returned:
            _LOGGER.info("the API server is back")
            self._on_change()

    def _failed(self, error: Exception) -> None:
        trouble = str(error)
        with self._lock:
            first = not self._latest.trouble
            self._latest = replace(self._latest, trouble=trouble)
        if first:
            _LOGGER.warning("the API server is out of reach, the last plan stays: %s", trouble)
        self._stopping.wait(self._backoff.failed())

    def _resource_missing(self) -> None:
        """Take a lasting 404 for what it says: the CRD is gone, and with it every plan."""
        now_us = self._clock.now_us()
        if self._missing_since_us is None:
            self._missing_since_us = now_us
        elif now_us - self._missing_since_us >= _ABSENT_AFTER_US:
            self._seen(None)


def _version(item: dict[str, Any]) -> str:
    metadata = item.get("metadata")
    return str(metadata.get("resourceVersion", "")) if isinstance(metadata, dict) else ""
