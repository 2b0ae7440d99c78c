"""Keeps the plan current by list and watch. A thread of its own.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from damon_agent.clock import Clock
from damon_agent.plans.client import Api, Watch
from damon_agent.plans.errors import ApiError, RefusedError, UnusableError
from damon_agent.plans.plan import (
    Latest,
    Plan,
    Said,
    apply,
    identity,
    read,
    said,
    silenced,
)
from damon_agent.plans.store import PlanStore
from damon_contract import quantities
from damon_contract.watches import WATCH_S, Backoff, Ended, after_list, after_watch

_LOGGER: Final = logging.getLogger(__name__)
_ABSENT_AFTER_US: Final = 60_000_000
"""A starting API server answers 404 for custom resources for a while."""
_NOT_SERVED: Final = (
    "the API server does not serve DamonNodes: their CRD is missing, and with it every plan. If "
    "that lasts a minute everything is given back; to go on, `kubectl apply -f crds/`, or upgrade "
    "the release"
)
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
        on_silenced: Callable[[], None] = lambda: None,
        on_listed: Callable[[Said], None] = lambda _stands: None,
        backoff: Backoff | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._on_silenced = on_silenced
        """Called when the object says that this agent is silent."""
        self._on_listed = on_listed
        """Called with what the object says after each list."""
        self._backoff = backoff or Backoff(random.random)
        self._latest = self._from_store()
        self._identity: tuple[str, int, bytes] | None = None
        """Of the object as it was last seen."""
        self._version = ""
        """Where to watch from; "": list first."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._sleep = sleep or self._stopping.wait
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
            return Latest(contact_us=now_us, said=None)
        plan, stored_s = stored
        # A clock that was set back must not make the plan younger than now.
        age_s = max(0.0, self._clock.wall_s() - stored_s)
        contact_us = now_us - int(age_s * 1_000_000)
        return Latest(known=True, plan=plan, contact_us=contact_us, said=None)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                if not self._version:
                    self._version = self._list()
                step = after_watch(self._follow(), failures)
            except ApiError as error:
                self._failed(error)
                step = after_list(failures, error.retry_after_s)
            except Exception as error:
                _LOGGER.exception("watching the plan failed unexpectedly")
                self._failed(error)
                step = after_list(failures, 0.0)
            failures = step.failures
            if step.lists:
                self._version = ""
            if failures:
                self._sleep(self._backoff.delay_s(failures, step.asked_s))

    def _list(self) -> str:
        try:
            answer = self._api.list()
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                self._resource_missing()
            else:
                # A server that is away says nothing of it, and answers 404 again when it starts.
                self._missing_since_us = None
            raise
        self._missing_since_us = None
        version, items = _version(answer), answer["items"]
        if not version:
            raise UnusableError("a list of no version")
        item = items[0] if items else None
        self._seen(item)
        self._on_listed(said(item))
        return version

    def _follow(self) -> Ended:
        """Watch from the version and move it on; return how the watch ended.

        Only what it brings is a sign of life: a server that does not know the version may accept
        the watch and stay silent.
        """
        opened_us = self._clock.now_us()
        status, brought, error = 0, False, None
        watch: Watch | None = None
        try:
            watch = self._api.watch(self._version, self._watch_s())
            status = HTTPStatus.OK
            with self._lock:
                self._watch = watch
            for event in () if self._stopping.is_set() else watch:
                self._take(event)
                brought = True
        except ApiError as caught:
            error, status = caught, status or caught.status
            if not self._stopping.is_set():
                self._failed(error)
        finally:
            with self._lock:
                self._watch = None
            if watch is not None:
                watch.close()
        return Ended(
            status,
            brought,
            lasted_s=(self._clock.now_us() - opened_us) / 1_000_000,
            broken=error is not None,
            unusable=isinstance(error, UnusableError),
            asked_s=error.retry_after_s if error is not None else 0.0,
        )

    def _take(self, event: dict[str, Any]) -> None:
        item = event["object"]
        match event.get("type"):
            case "BOOKMARK":
                self._contact()
            case "DELETED":
                self._seen(None)
            case "ADDED" | "MODIFIED":
                self._seen(item)
            case kind:
                _LOGGER.warning("an event of the unknown type %.40r", kind)
        self._version = _version(item) or self._version

    def _watch_s(self) -> int:
        """Keep a watch shorter than the plan's life: one that brings nothing leads to a list."""
        plan = self.latest().plan
        if plan is None:
            return WATCH_S
        age_us = quantities.microseconds(plan.spec.settings.safety.max_plan_age)
        return max(_SHORTEST_WATCH_S, min(WATCH_S, age_us // 3_000_000))

    def _seen(self, item: object, *, heard: bool = True) -> None:
        """Take the object as the API server has it; None: it does not exist.

        `heard`: the API server has told so, and is within reach.
        """
        if silenced(item):
            self._take_back(said(item))
        before = self.latest()
        seen = None if item is None else identity(item)
        if seen is not None and seen == self._identity:
            # Only the status has changed: most events are the echo of our own reports.
            self._contact()
            return
        found = None if item is None else read(item)
        after = apply(before, found)
        stands = said(item)
        if before.said is None or before.said.uid != stands.uid:
            after = replace(after, said=stands)
        changed = (after.known, after.plan, after.invalid, after.said) != (
            before.known,
            before.plan,
            before.invalid,
            before.said,
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
        self._identity = seen
        if heard:
            self._contact()
        if changed:
            self._on_change()

    def _take_back(self, stands: Said) -> None:
        """Go on from what the operator said in this agent's place; it goes with the next status."""
        self._on_silenced()
        with self._lock:
            self._latest = replace(self._latest, said=stands)
        self._on_change()

    def _contact(self) -> None:
        self._store.confirm(self._clock.wall_s())
        with self._lock:
            returned = self._latest.trouble
            self._latest = replace(self._latest, contact_us=self._clock.now_us(), trouble="")
        if returned:
            _LOGGER.info(
                "DamonNodes are served again"
                if returned == _NOT_SERVED
                else "the API server is back"
            )
            self._on_change()

    def _failed(self, error: Exception) -> None:
        missing = isinstance(error, RefusedError) and error.status == HTTPStatus.NOT_FOUND
        trouble = _NOT_SERVED if missing else str(error)
        with self._lock:
            before = self._latest.trouble
            self._latest = replace(self._latest, trouble=trouble)
        if missing and before != trouble:
            _LOGGER.warning("%s", trouble)
        elif not before:
            _LOGGER.warning("the API server is out of reach, the last plan stays: %s", trouble)

    def _resource_missing(self) -> None:
        """Take a lasting 404 for what it says: the CRD is gone, and with it every plan."""
        now_us = self._clock.now_us()
        if self._missing_since_us is None:
            self._missing_since_us = now_us
        elif now_us - self._missing_since_us >= _ABSENT_AFTER_US:
            self._seen(None, heard=False)


def _version(item: dict[str, Any]) -> str:
    metadata = item.get("metadata")
    return str(metadata.get("resourceVersion", "")) if isinstance(metadata, dict) else ""
