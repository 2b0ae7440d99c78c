"""When the API server first said something: watches on threads of their own."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import urllib3
from harness.api import Api, Body, Refused

_JOIN_S: Final = 30.0
_PAUSE_S: Final = 0.1


class Sightings:
    """Watches a resource; notes when each key that `keys` finds in its objects was first seen."""

    def __init__(
        self, api: Api, plural: str, namespace: str, keys: Callable[[Body], Iterable[str]]
    ) -> None:
        self._api = api
        self._plural = plural
        self._namespace = namespace
        self._keys = keys
        self._thread = threading.Thread(target=self._watch, name=f"watch-{plural}", daemon=True)
        self._over = False
        self.first_s: dict[str, float] = {}
        """Key -> monotonic seconds."""

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over = True
        self._thread.join(_JOIN_S)

    def _watch(self) -> None:
        while not self._over:
            try:
                for body in self._api.watch(self._plural, self._namespace):
                    now_s = time.monotonic()
                    for key in self._keys(body):
                        self.first_s.setdefault(key, now_s)
            except (Refused, urllib3.exceptions.HTTPError):
                time.sleep(_PAUSE_S)
            # A watch is over every few seconds; the next begins with what there is.
