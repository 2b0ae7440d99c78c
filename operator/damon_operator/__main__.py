"""Entry: read the settings, build the objects, run."""

import asyncio
import logging
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import kopf

from damon_operator import handlers, logs
from damon_operator.cluster import Cluster, connect
from damon_operator.errors import StartError
from damon_operator.leader import Elector
from damon_operator.listening import health, listening
from damon_operator.reconcile import Service
from damon_operator.settings import Settings, parse

_log = logging.getLogger("damon_operator")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until it is told to stop; return the exit status."""
    settings = parse(arguments)
    logs.to_stderr(settings.log_level, settings.log_format)
    try:
        return asyncio.run(operate(settings))
    except StartError as error:
        _log.error("%s", error)
        return 2


async def operate(settings: Settings) -> int:
    """Run the operator until it is told to stop; return the exit status.

    kopf ends an operator, and every task with it, at answers that it does not expect, such as 410
    as the status of a watch, or any other error within one. Then all begins anew, as it would after
    a restart of the container, whose kubelet makes it wait for up to five minutes.
    """
    for pause_s in handlers.Patience():
        try:
            return await _operate(settings)
        except StartError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever kopf lets out
            _log.warning("begins again in %d s, because kopf gave up error=%r", pause_s, str(error))
        await asyncio.sleep(pause_s)
    raise AssertionError("patience has no end")


async def _operate(settings: Settings) -> int:
    """Run the operator until it is told to stop, or until kopf gives up."""
    async with connect(settings.kubeconfig) as cluster:
        service = Service(
            port=cluster,
            tempo=settings.tempo,
            instance=settings.identity,
            accounts=settings.accounts,
            policy=settings.policy,
            namespace=settings.lease_namespace,
            clock=time.monotonic,
            now=partial(datetime.now, UTC),
            random=random.random,
        )
        doors = handlers.Doors(
            work=_work(settings, cluster, service),
            server=cluster.access.server,
            new_session=cluster.patient_session,
        )
        async with _liveness(settings, service), _metrics(settings, service):
            await kopf.operator(
                registry=handlers.registry(doors),
                settings=handlers.settings(),
                clusterwide=True,
                standalone=True,
                # Else kopf makes one up from the user's name: in an image a bare uid has none.
                identity=settings.identity,  # type: ignore[arg-type]  # a NewType of str, not exported
                stop_flag=doors.stop,
            )
    asyncio.get_running_loop().set_exception_handler(at_the_end)
    return 1 if doors.failure else 0


def at_the_end(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what the loop meets while it is closed; the streams that kopf has left open are no error.

    The loop closes all asynchronous generators side by side: one that finds another closed, which
    it was just leaving, fails ("generator didn't stop after athrow()"), and nothing depends on it.
    """
    if "asyncgen" in context and isinstance(context.get("exception"), RuntimeError):
        _log.debug("closed by the loop stream=%r", context["asyncgen"])
    else:
        loop.default_exception_handler(context)


@asynccontextmanager
async def _liveness(settings: Settings, service: Service) -> AsyncIterator[None]:
    """Answer liveness probes while the block runs, if there is a port for them.

    Not by kopf's endpoint: that takes one address, and so one of IPv4 and IPv6.
    """
    if not settings.liveness_port:
        yield
        return
    port, application = settings.liveness_port, health(service.stalled)
    async with listening(application, port, "", option="--liveness-port"):
        yield


@asynccontextmanager
async def _metrics(settings: Settings, service: Service) -> AsyncIterator[None]:
    """Serve metrics while the block runs, if there is a port for them."""
    if not settings.metrics_port:
        yield
        return
    # Late: without a port, neither this nor what it stands on is in memory.
    from damon_operator import metrics  # noqa: PLC0415

    async with metrics.served(settings.metrics_port, settings.metrics_address, service) as port:
        _log.info("metrics port=%d", port)
        yield


def _work(settings: Settings, cluster: Cluster, service: Service) -> Callable[[], Awaitable[None]]:
    if not settings.leader_elect:
        return service.run
    elector = Elector(
        leases=cluster,
        namespace=settings.lease_namespace,
        name=settings.lease_name,
        identity=settings.identity,
        clock=time.monotonic,
        now=partial(datetime.now, UTC),
        lease_s=settings.tempo.lease_s,
        retry_s=settings.tempo.lease_retry_s,
    )
    return lambda: elector.lead(service.run)


if __name__ == "__main__":
    sys.exit(main())
