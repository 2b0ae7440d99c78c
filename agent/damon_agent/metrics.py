"""The small server that Prometheus gets `families` from.

This module and `families` alone know Prometheus, and are imported only if there is a port to listen
on: docs/adr/0010-metrics.md.
"""

import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.exposition import MetricsHandler
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import CollectorRegistry

from damon_agent.errors import StartError
from damon_agent.families import Seen, families

_LOGGER: Final = logging.getLogger(__name__)
_REQUEST_BYTES: Final = 16384
_REQUEST_S: Final = 2.0
"""How long a client may take to ask: Prometheus sends its request in one piece."""
_ANSWER_S: Final = 5.0
"""How long it may take to read the answer."""
_REFUSED_S: Final = 1.0
"""Before the next attempt when there is no descriptor for a connection."""
_JOIN_S: Final = 1.0


class Server:
    """Answers GET on one port, one client after the other, on one thread.

    Nobody but Prometheus asks: who is slow is cut off, and the next one waits so long.
    """

    def __init__(self, port: int, address: str, look: Callable[[], Seen]) -> None:
        """Listen; raise StartError if that is not possible. `look` is called from the thread."""
        registry = CollectorRegistry()
        registry.register(_Collector(look))
        self._handler = type("Handler", (_Handler,), {"registry": registry})
        everywhere = not address and socket.has_dualstack_ipv6()
        try:
            self._socket = socket.create_server(
                (address, port),
                family=socket.AF_INET6 if everywhere or ":" in address else socket.AF_INET,
                dualstack_ipv6=everywhere,
            )
        except OSError as error:
            where = f"--metrics-address {address!r} --metrics-port {port}"
            raise StartError(f"{where}: {error.strerror}; choose others, or port 0") from error
        self.port = int(self._socket.getsockname()[1])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; whoever is being answered may be cut off."""
        self._ended.set()
        # Wakes the thread: accept(2) on such a socket fails at once.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(_JOIN_S)
        self._socket.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                connection, client = self._socket.accept()
            except OSError as error:
                if not self._ended.wait(_REFUSED_S):
                    _LOGGER.warning("metrics: no connection can be accepted: %s", error)
                continue
            with connection:
                self._answer(connection, client)

    def _answer(self, connection: socket.socket, client: object) -> None:
        try:
            self._handler(connection, client, self)
        except OSError as error:
            _LOGGER.debug("metrics: client %s: %s", client, error)
        except Exception:
            # The thread must outlive any surprise: the next one who asks may be luckier.
            _LOGGER.exception("metrics can't be told")


class _Collector:
    def __init__(self, look: Callable[[], Seen]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        return families(self._look())


class _Handler(MetricsHandler):
    """One request per connection, within bounds of time and size."""

    timeout = _ANSWER_S
    server_version = "damon-agent"
    sys_version = ""

    def setup(self) -> None:  # type: ignore[explicit-override]  # typing.override is of 3.12
        super().setup()
        self.rfile = io.BufferedReader(io.BytesIO(_head(self.connection)))


def _head(connection: socket.socket) -> bytes:
    """Return a request's head; raise TimeoutError or ConnectionError when there is none."""
    deadline_s = time.monotonic() + _REQUEST_S
    head = b""
    while b"\r\n\r\n" not in head:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no request in time")
        connection.settimeout(left_s)
        part = connection.recv(_REQUEST_BYTES)
        head += part
        if not part or len(head) > _REQUEST_BYTES:
            # Never answer to the beginning of something: it may look like HTTP/0.9.
            raise ConnectionError(f"no request in {len(head)} bytes")
    connection.settimeout(_ANSWER_S)
    return head
