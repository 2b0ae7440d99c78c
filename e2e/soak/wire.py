"""The network between one program and the API server: it can be cut, and it can fall silent."""

import asyncio
import contextlib
import logging
from typing import Final

_EVENTS: Final = logging.getLogger("soak.events")


class Wire:
    """A TCP relay on a port of its own. `cut` and `mend` it; `silence` what is connected now."""

    def __init__(self, upstream_port: int) -> None:
        self.port = 0
        self._upstream_port = upstream_port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._is_cut = False

    async def up(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """End all."""
        self.cut()
        if self._server is not None:
            self._server.close()

    def cut(self) -> None:
        """Break what is connected, and every connection that comes."""
        self._is_cut = True
        _EVENTS.info("the wire of port %d is cut", self.port)
        for connection in list(self._connections):
            connection.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False
        _EVENTS.info("the wire of port %d is mended", self.port)

    def silence(self) -> int:
        """Let nothing through on what is connected now, for ever, and leave it open."""
        _EVENTS.info("%d connections of port %d fall silent", len(self._connections), self.port)
        for connection in self._connections:
            connection.silent = True
        return len(self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            theirs = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(reader, writer, *theirs)
        self._connections.add(connection)
        try:
            await connection.relay()
        finally:
            connection.abort()
            self._connections.discard(connection)


class _Connection:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> None:
        self.silent = False
        self._ways = ((reader, upstream_writer), (upstream_reader, writer))

    async def relay(self) -> None:
        """Carry bytes both ways until the program, or while not silent the server, hangs up."""
        there, back = (asyncio.create_task(self._carry(*way)) for way in self._ways)
        await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        if self.silent and not there.done():
            await asyncio.wait((there,))
        for task in (there, back):
            task.cancel()
        await asyncio.gather(there, back, return_exceptions=True)

    def abort(self) -> None:
        """Break it."""
        for _, writer in self._ways:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not self.silent:
                    writer.write(data)
                    await writer.drain()
