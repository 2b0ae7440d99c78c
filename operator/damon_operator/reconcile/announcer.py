"""Tells the owners of objects what is wrong with them, once, and one namespace after the other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from damon_contract.watches import Backoff
from damon_operator.errors import ApiError, Conflict, Unavailable
from damon_operator.planner.plan import ObjectNote
from damon_operator.reconcile.port import Now, Port, event, event_namespace

_log = logging.getLogger(__name__)

_ATTEMPTS: Final = 10
"""With the back-off some minutes; then the note is given up."""
_MOST_OF_A_NAMESPACE: Final = 100
"""Notes of one namespace that wait at once."""
_MOST: Final = 10_000
"""Notes that wait at once; beyond it only namespaces of which none waits may add one."""

Waiting = dict[tuple[str, str], tuple[ObjectNote, int]]
"""The notes of one namespace, by pod uid and reason, with the attempts made so far."""


@dataclass
class Announcer:
    """Creates Events, each once per pod and note, as long as the note is true.

    Namespaces take turns, so that whoever changes annotations all the time keeps only the own
    neighbours waiting. A note that finds no place is left out until its node is planned again.
    """

    port: Port
    backoff: Backoff
    sleep: Callable[[float], Awaitable[None]]
    now: Now
    instance: str
    pause_s: float = 0.05
    """Between two Events: a thousand bad annotations must not crowd out plans."""
    left_out: int = 0
    """Notes that found no place so far."""
    _true: dict[str, frozenset[ObjectNote]] = field(default_factory=dict)
    """By node: the notes that are true now, and told or waiting."""
    _waiting: dict[str, Waiting] = field(default_factory=dict)
    """By namespace, the one whose turn it is first."""
    _number: int = 0
    _telling: int = 0
    _failures: int = 0
    """Attempts in a row that the API server could not serve."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, node: str, notes: Iterable[ObjectNote]) -> None:
        """Announce the notes of a node's pods that are new; forget those that are true no more."""
        before, now = self._true.pop(node, frozenset()), frozenset(notes)
        for note in before - now:
            waiting, _ = self._waiting.get(note.namespace, {}).get(_key(note), (None, 0))
            if waiting == note:
                self._take(note.namespace, _key(note))
        kept = now & before | {note for note in sorted(now - before) if self._put(note, 0)}
        if kept:
            self._true[node] = frozenset(kept)

    def announce(self, note: ObjectNote) -> None:
        """Announce what has just become so; what finds no place is left to the conditions."""
        self._put(note, 0)

    @property
    def waiting(self) -> int:
        """How many notes wait, or are being told."""
        return self._number + self._telling

    async def run(self) -> None:
        """Work for ever."""
        while True:
            while self._waiting:
                namespace, waiting = next(iter(self._waiting.items()))
                note, attempts = self._take(namespace, next(iter(waiting)))
                if namespace in self._waiting:  # others have their turn before its next note
                    self._waiting[namespace] = self._waiting.pop(namespace)
                self._telling = 1
                try:
                    await self._create(note, attempts + 1)
                finally:
                    self._telling = 0
                await self.sleep(self.pause_s)
            self._wake.clear()
            await self._wake.wait()

    def _put(self, note: ObjectNote, attempts: int) -> bool:
        waiting = self._waiting.get(note.namespace, {})
        if len(waiting) >= (_MOST_OF_A_NAMESPACE if self._number < _MOST else 1):
            self.left_out += 1
            return False
        if _key(note) not in waiting:
            self._number += 1
            waiting[_key(note)] = (note, attempts)
            self._waiting[note.namespace] = waiting
            self._wake.set()
        return True

    def _take(self, namespace: str, key: tuple[str, str]) -> tuple[ObjectNote, int]:
        waiting = self._waiting[namespace]
        taken = waiting.pop(key)
        self._number -= 1
        if not waiting:
            del self._waiting[namespace]
        return taken

    async def _create(self, note: ObjectNote, attempts: int) -> None:
        body = event(note, instance=self.instance, now=self.now())
        try:
            await self.port.create_event(event_namespace(note), body)
        except Conflict:
            _log.debug("told before %s", _named(note))
        except Unavailable as error:
            self._failures += 1
            if attempts >= _ATTEMPTS or not self._put(note, attempts):
                self._given_up(note, error)
            await self.sleep(self.backoff.delay_s(self._failures, error.retry_after_s))
            return
        except ApiError as error:
            # The namespace is going away, or Events are forbidden: nobody is there to read it.
            self._given_up(note, error)
        else:
            _log.info("told %s reason=%s", _named(note), note.note.reason)
        self._failures = 0

    def _given_up(self, note: ObjectNote, error: ApiError) -> None:
        _log.warning("event dropped %s error=%s", _named(note), error)


def _named(note: ObjectNote) -> str:
    return f"{note.note.kind.lower()}={f'{note.namespace}/{note.name}'.lstrip('/')}"


def _key(note: ObjectNote) -> tuple[str, str]:
    return note.uid, note.note.reason
