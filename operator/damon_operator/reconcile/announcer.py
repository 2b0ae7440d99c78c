"""Tells the owners of pods what is wrong with their annotations, once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from damon_contract.watches import Backoff
from damon_operator.errors import ApiError, Conflict, Unavailable
from damon_operator.planner.plan import PodNote
from damon_operator.reconcile.port import Now, Port, pod_event

_log = logging.getLogger(__name__)

_ATTEMPTS = 10
"""With the back-off some minutes; then the next note gets its turn."""


@dataclass
class Announcer:
    """Creates Events, one after the other, each once per pod and note."""

    port: Port
    backoff: Backoff
    sleep: Callable[[float], Awaitable[None]]
    now: Now
    instance: str
    pause_s: float = 0.05
    """Between two Events: a thousand bad annotations must not crowd out plans."""
    _told: dict[str, dict[str, set[PodNote]]] = field(default_factory=dict)
    _pending: asyncio.Queue[PodNote] = field(default_factory=asyncio.Queue)

    def tell(self, node: str, notes: Iterable[PodNote]) -> None:
        """Announce the notes of a node's pods that are new; forget those of pods that left."""
        before = self._told.pop(node, {})
        now: dict[str, set[PodNote]] = {}
        for note in notes:
            known = before.get(note.uid, set())
            if note not in known:
                self._pending.put_nowait(note)
            now.setdefault(note.uid, set(known)).add(note)
        if now:
            self._told[node] = now

    async def run(self) -> None:
        """Work for ever."""
        while True:
            note = await self._pending.get()
            await self._create(note)
            await self.sleep(self.pause_s)

    async def _create(self, note: PodNote) -> None:
        body = pod_event(note, instance=self.instance, now=self.now())
        failures = 0
        while True:
            try:
                await self.port.create_event(note.namespace, body)
            except Conflict:
                _log.debug("told before pod=%s/%s", note.namespace, note.name)
            except Unavailable as error:
                failures += 1
                if failures >= _ATTEMPTS:
                    _log.warning(
                        "event dropped pod=%s/%s error=%s", note.namespace, note.name, error
                    )
                    return
                await self.sleep(self.backoff.delay_s(failures, error.retry_after_s))
                continue
            except ApiError as error:
                # The namespace is going away, or Events are forbidden: nobody is there to read it.
                self._dropped(note, error)
            else:
                _log.info("told pod=%s/%s reason=%s", note.namespace, note.name, note.note.reason)
            return

    def _dropped(self, note: PodNote, error: ApiError) -> None:
        _log.warning("event dropped pod=%s/%s error=%s", note.namespace, note.name, error)
