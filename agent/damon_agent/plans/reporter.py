"""Writes the status of the node's own DamonNode, and renews its Lease.

A thread of its own: the loop never waits.
"""

import logging
import random
import threading
from collections.abc import Callable
from http import HTTPStatus
from operator import itemgetter
from typing import Final

from damon_agent.clock import Clock
from damon_agent.plans.client import Api
from damon_agent.plans.errors import ApiError
from damon_agent.plans.heartbeat import Heartbeat
from damon_agent.plans.pace import INTERVAL_US, Urgency, urgency
from damon_agent.plans.plan import Said
from damon_agent.plans.wire import wire
from damon_contract.v1alpha1.node import DamonNodeStatus
from damon_contract.watches import Backoff

_LOGGER: Final = logging.getLogger(__name__)
_JOIN_S: Final = 10.0


class Reporter:
    """Keeps the status in the API equal to the one last reported, within the pace allowed."""

    def __init__(
        self,
        api: Api,
        clock: Clock,
        *,
        heartbeat: Heartbeat | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._heartbeat = heartbeat
        self._doubted = False
        """Somebody says that this agent is silent, and the Lease is not renewed since."""
        self._doubt_is_new = False
        """And no renewal was begun since: the next one does not wait for its time."""
        self._backoff = backoff or Backoff(random.random)
        self._failures = 0
        """In a row."""
        self._changed = threading.Condition()
        self._stopping = False
        self._wanted: tuple[str, DamonNodeStatus] | None = None
        self._written: tuple[str, DamonNodeStatus] | None = None
        self._next_us = 0
        """Not before this moment, after a failure."""
        self._last_us: int | None = None
        self._complaint = ""
        self.written = 0
        """Statuses the API server has taken so far."""
        self.failed = 0
        """Writes it has not."""
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def report(self, uid: str, status: DamonNodeStatus) -> None:
        """Want this status on the object with this uid; returns at once, the last call counts."""
        if self._heartbeat is not None:
            status = status.model_copy(update={"lease": self._heartbeat.lease})
        with self._changed:
            self._wanted = (uid, status)
            self._changed.notify()

    def doubt(self) -> None:
        """Hear that the operator has found this agent silent: first comes the Lease, then a status.

        Else the two would contradict each other for ever where the Lease cannot be renewed.
        """
        if self._heartbeat is None:
            return
        with self._changed:
            self._doubted = self._doubt_is_new = True
            self._changed.notify()

    def compare(self, stands: Said) -> None:
        """Hear what the status says; what differs from what was written last is written again.

        Such is an object that was restored from a backup. Figures that differ move sooner or later.
        """
        with self._changed:
            if self._written is None:
                return
            uid, status = self._written
            if stands != Said(uid, status.observed_hash, status.conditions):
                self._written = None
                self._changed.notify()

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def stop(self) -> None:
        """Stop writing and wait for the thread; what is not written yet is left."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def due_us(self) -> int | None:
        """Return when the wanted status is to be written; None: there is nothing to write."""
        if self._wanted is None or self._doubted:
            return None
        uid, status = self._wanted
        written = self._written[1] if self._written and self._written[0] == uid else None
        how = urgency(written, status)
        if how is Urgency.NONE:
            return None
        if self._last_us is None:
            return self._next_us
        return max(self._next_us, self._last_us + INTERVAL_US[how])

    def write(self) -> None:
        """Write the wanted status now, whatever the pace says; note what became of it."""
        with self._changed:
            wanted = self._wanted
        if wanted is None:
            return
        now_us = self._clock.now_us()
        self._last_us = now_us
        try:
            self._api.patch_status(wanted[0], wire(wanted[1]))
        except ApiError as error:
            self.failed += 1
            self._failures += 1
            delay_s = self._backoff.delay_s(self._failures, error.retry_after_s)
            self._next_us = now_us + int(delay_s * 1_000_000)
            self._complain(error)
            if error.status == HTTPStatus.NOT_FOUND:
                self._forget(wanted)
        else:
            self._failures = 0
            self._complaint = ""
            self._written = wanted
            self.written += 1

    def beat(self) -> None:
        """Renew the Lease now, if there is an object that it belongs to."""
        with self._changed:
            wanted, self._doubt_is_new = self._wanted, False
        if self._heartbeat is not None and wanted is not None and self._heartbeat.beat(wanted[0]):
            with self._changed:
                # A doubt that came meanwhile stays.
                self._doubted = self._doubt_is_new

    def _run(self) -> None:
        while (due := self._wait()) is not None:
            try:
                due()
            except Exception:
                # The thread must outlive any surprise; the next time was set before.
                _LOGGER.exception("writing to the API server failed unexpectedly")

    def _wait(self) -> Callable[[], None] | None:
        """Wait until something is due, and return it; None at the end."""
        with self._changed:
            while not self._stopping:
                now_us = self._clock.now_us()
                both = [(self.due_us(), self.write), (self._beat_us(), self.beat)]
                due = [(at_us, what) for at_us, what in both if at_us is not None]
                if not due:
                    self._changed.wait()
                    continue
                at_us, what = min(due, key=itemgetter(0))
                if at_us <= now_us:
                    return what
                self._changed.wait((at_us - now_us) / 1_000_000)
            return None

    def _beat_us(self) -> int | None:
        """Return when the Lease is to be renewed; None: there is none to renew."""
        if self._heartbeat is None or self._wanted is None:
            return None
        return 0 if self._doubt_is_new else self._heartbeat.due_us

    def _forget(self, wanted: tuple[str, DamonNodeStatus]) -> None:
        """Drop a status whose object is gone, unless another one was reported meanwhile."""
        with self._changed:
            if self._wanted is wanted:
                self._wanted = None

    def _complain(self, error: ApiError) -> None:
        """Log a trouble once, not at each attempt."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            _LOGGER.warning("the status is not written, retrying: %s", error)
