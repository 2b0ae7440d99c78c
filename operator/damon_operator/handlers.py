"""The doors: what kopf calls. None of them decides anything.

kopf watches DamonTunings, logs in, and starts and stops the work. What is done about a DamonTuning
follows from its reflector, as for every other object (docs/adr/0004). No handler returns anything
that kopf would write into an object.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
import kopf

from damon_contract import names

_log = logging.getLogger(__name__)

_SESSION: Final = timedelta(minutes=10)
"""How long kopf keeps a session: then the next one knows authorities that were replaced."""


@dataclass
class Doors:
    """What the handlers hand their calls to."""

    work: Callable[[], Awaitable[None]]
    """The work, from start-up to clean-up."""
    server: str
    """URL of the API server."""
    new_session: Callable[[], aiohttp.ClientSession]
    """Opens what kopf talks to it through; kopf closes it."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the work ended by itself: the process has to go."""
    failure: BaseException | None = None
    """What ended it."""
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the work."""
        self._task = asyncio.create_task(self._work())

    async def end(self) -> None:
        """Stop the work and wait until it has let go of everything."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        try:
            await self.work()
        except Exception as error:
            self.failure = error
            _log.exception("the work ended by itself")
            raise
        finally:
            self.stop.set()


def registry(doors: Doors) -> kopf.OperatorRegistry:
    """Return the handlers. Ids are explicit: kopf persists function names otherwise."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.startup(id="start", registry=handlers)
    async def start(**_: object) -> None:
        doors.start()

    @kopf.on.cleanup(id="end", registry=handlers)
    async def end(**_: object) -> None:
        await doors.end()

    @kopf.on.login(id="login", registry=handlers)
    async def login(**_: object) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(
            server=doors.server,
            aiohttp_session=doors.new_session(),
            expiration=datetime.now(UTC) + _SESSION,
        )

    @kopf.on.event(names.GROUP, names.VERSION, names.TUNING_PLURAL, id="tuning", registry=handlers)
    async def tuning(event: Mapping[str, Any], name: str, meta: kopf.Meta, **_: object) -> None:
        _log.info(
            "tuning changed tuning=%s event=%s generation=%s",
            name, event.get("type") or "listed", meta.get("generation"),
        )  # fmt: skip

    return handlers


def settings() -> kopf.OperatorSettings:
    """Return how kopf shall behave: read only, patient, and silent in the cluster."""
    wanted = kopf.OperatorSettings()
    wanted.posting.enabled = False
    wanted.scanning.disabled = True  # the CRD is there before us; no right to watch CRDs needed
    wanted.watching.chunk_size = 500
    wanted.watching.inactivity_timeout = 90
    wanted.networking.error_backoffs = Patience()
    # The kubelet kills a process that does not end. kopf's timer for that begins when kopf gives up
    # as well, and nothing stops it when the operator begins anew in the same process.
    wanted.process.ultimate_exiting_timeout = None
    # Nothing is persisted: there is no handler that would. Should there ever be one, its marks
    # must bear our name and not kopf's.
    wanted.persistence.finalizer = f"{names.GROUP}/finalizer"
    wanted.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    wanted.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=names.GROUP)
    return wanted


class Patience:
    """Delays between attempts that never run out: kopf's own end an operator after a minute."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 1, 2, 3, 5, 8, 13, 21), itertools.repeat(30))
