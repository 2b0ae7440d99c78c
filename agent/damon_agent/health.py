"""Answers the kubelet's probes: one thread, and nobody who connects can keep it from the next.

Without `http.server`, which answers one client after the other: whoever connects and says nothing
would have the kubelet restart the agent.
"""

import contextlib
import logging
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Final

from damon_agent.errors import StartError

_LOGGER: Final = logging.getLogger(__name__)
_MOST: Final = 32
"""Connections that are open at once; the oldest is closed for one more."""
_REQUEST_BYTES: Final = 4096
_REFUSED_S: Final = 0.1
"""Pause when there is no descriptor for a connection."""
_JOIN_S: Final = 1.0


class Server:
    """Answers GET of each path in `checks` with 200 or 503, everything else with 404."""

    def __init__(self, port: int, checks: Mapping[str, Callable[[], bool]]) -> None:
        """Listen on all addresses, IPv4 and IPv6; raise StartError if that is not possible."""
        self._checks = checks
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        try:
            self._socket = socket.create_server(("", port), family=family, dualstack_ipv6=both)
        except OSError as error:
            raise StartError(f"--health-port {port}: {error.strerror}; choose another") from error
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        self._open: dict[socket.socket, None] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join(_JOIN_S)
        for connection in (*self._open, self._socket):
            connection.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select():
                try:
                    if key.fileobj is self._socket:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket):
                        self._answer(key.fileobj)
                except OSError as error:
                    _LOGGER.debug("health: %s", error)
                    self._ended.wait(_REFUSED_S)

    def _accept(self) -> None:
        connection, _ = self._socket.accept()
        connection.setblocking(False)
        self._open[connection] = None
        self._selector.register(connection, selectors.EVENT_READ)
        if len(self._open) > _MOST:
            self._close(next(iter(self._open)))

    def _answer(self, connection: socket.socket) -> None:
        """Answer a request, which comes in one piece; whoever is still there has been answered."""
        if connection not in self._open:
            return  # closed by an event before this one
        try:
            words = connection.recv(_REQUEST_BYTES).decode("latin-1").split(" ", 2)
            check = self._checks.get(words[1]) if words[0] == "GET" and len(words) > 1 else None
            status = "404 Not Found"
            if check is not None:
                status = "200 OK" if check() else "503 Service Unavailable"
            text = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            connection.send(text.encode("latin-1"))
        except OSError as error:
            _LOGGER.debug("health: %s", error)
        finally:
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        del self._open[connection]
        self._selector.unregister(connection)
        connection.close()
