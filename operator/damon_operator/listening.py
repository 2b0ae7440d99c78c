"""Answers HTTP on a port, on IPv4 and IPv6 alike: a cluster may have only one of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from damon_operator.errors import StartError

_CONNECTIONS: Final = 32
"""Open at once; whoever comes beyond that is turned away."""
_CONNECTION_S: Final = 10.0
"""Life of a connection, whatever its client does. Prometheus gives up after 10 s by default."""


@asynccontextmanager
async def listening(
    application: web.Application,
    port: int,
    address: str,
    *,
    option: str,
    connection_s: float = _CONNECTION_S,
) -> AsyncIterator[int]:
    """Serve an application while the block runs; yield the port. Raise StartError if that can't be.

    `address`: "" is every address of this machine. `option`: what chose the port.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        assert runner.server is not None
        loop = asyncio.get_running_loop()
        try:
            take = _bounded(runner.server, connection_s)
            server = await loop.create_server(take, address or None, port)
        except OSError as error:
            where = f"{option} {port}" + (f" on address {address!r}" if address else "")
            raise StartError(f"{where}: {error.strerror}; choose another, or port 0") from error
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
    finally:
        await runner.cleanup()


def health(stalled: Callable[[], tuple[str, ...]]) -> web.Application:
    """Return what answers a liveness probe: 200 while all streams move, 500 otherwise."""

    async def answer(_: web.Request) -> web.Response:
        still = stalled()
        if still:
            return web.Response(status=500, text=f"no progress: {', '.join(still)}\n")
        return web.Response(text="moving\n")

    application = web.Application()
    application.router.add_get("/healthz", answer)
    return application


def _bounded(server: web.Server, connection_s: float) -> Callable[[], asyncio.Protocol]:
    """Return what takes connections: a few at once, and none for long."""
    loop = asyncio.get_running_loop()

    def take() -> asyncio.Protocol:
        if len(server.connections) >= _CONNECTIONS:
            return _TurnedAway()
        connection = server()
        loop.call_later(connection_s, connection.force_close)
        return connection

    return take


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # type: ignore[explicit-override]  # typing.override is of 3.12
        transport.close()
