"""The doors: what kopf calls. None of them decides anything, and none returns anything to kopf
that it would write into an object.

kopf watches DamonTunings, logs in, starts and stops the work, and answers liveness probes. Pods
and nodes do not pass through here: docs/adr/0004-kopf-doors-and-own-reflectors.md says why.
"""  # noqa: D205 - two sentences before the reasons

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import kopf

from damon_contract import names

_log = logging.getLogger(__name__)


class Credentials(Protocol):
    """How to reach the API server: `cluster.Credentials`."""

    @property
    def server(self) -> str: ...  # noqa: D102
    @property
    def ca_path(self) -> str | None: ...  # noqa: D102
    @property
    def insecure(self) -> bool: ...  # noqa: D102
    @property
    def authorization(self) -> str | None: ...  # noqa: D102
    @property
    def certificate_path(self) -> str | None: ...  # noqa: D102
    @property
    def private_key_path(self) -> str | None: ...  # noqa: D102


@dataclass
class Doors:
    """What the handlers hand their calls to."""

    work: Callable[[], Awaitable[None]]
    """The work, from start-up to clean-up."""
    look: Callable[[], None]
    """Told that some DamonTuning changed."""
    stalled: Callable[[], tuple[str, ...]]
    """The streams that stand still."""
    credentials: Callable[[], Awaitable[Credentials]]
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
    async def login(**_: object) -> kopf.ConnectionInfo:
        return connection(await doors.credentials())

    @kopf.on.probe(id="streams", registry=handlers)
    async def streams(**_: object) -> str:
        stalled = doors.stalled()
        if stalled:
            # Permanent: kopf answers 500. Anything else it would try again within the probe.
            raise kopf.PermanentError(f"no progress: {', '.join(stalled)}")
        return "moving"

    @kopf.on.event(names.GROUP, names.VERSION, names.TUNING_PLURAL, id="look", registry=handlers)
    async def look(**_: object) -> None:
        doors.look()

    return handlers


def settings() -> kopf.OperatorSettings:
    """Return how kopf shall behave: read only, patient, and silent in the cluster."""
    wanted = kopf.OperatorSettings()
    wanted.posting.enabled = False
    wanted.scanning.disabled = True  # the CRD is there before us; no right to watch CRDs needed
    wanted.watching.chunk_size = 500
    wanted.watching.inactivity_timeout = 90
    wanted.networking.error_backoffs = _Patience()
    wanted.process.ultimate_exiting_timeout = 25  # below a pod's 30 s of grace
    # Nothing is persisted: there is no handler that would. Should there ever be one, its marks
    # must bear our name and not kopf's.
    wanted.persistence.finalizer = f"{names.GROUP}/finalizer"
    wanted.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    wanted.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=names.GROUP)
    return wanted


def connection(credentials: Credentials) -> kopf.ConnectionInfo:
    """Return the credentials as kopf takes them."""
    scheme, token, *_ = *(credentials.authorization or "").split(maxsplit=1), "", ""
    return kopf.ConnectionInfo(
        server=credentials.server,
        ca_path=credentials.ca_path,
        insecure=credentials.insecure,
        scheme=scheme or None,
        token=token.strip() or None,
        certificate_path=credentials.certificate_path,
        private_key_path=credentials.private_key_path,
    )


class _Patience:
    """Delays between attempts that never run out: kopf's own end an operator after a minute."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 1, 2, 3, 5, 8, 13, 21), itertools.repeat(30))
