"""A port that answers one question per connection: the kubelet's probes, or Prometheus.

Without `http.server`, which answers one client after the other: whoever connects and says nothing
would keep a scrape waiting, or have the kubelet restart the agent.
"""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from damon_agent.errors import StartError

_LOGGER: Final = logging.getLogger(__name__)
_CONNECTIONS: Final = 32
"""Open at once."""
_REQUEST_BYTES: Final = 16384
_REQUEST_S: Final = 2.0
"""How long a client may take to ask: kubelet and Prometheus send their request in one piece."""
_ANSWER_S: Final = 5.0
"""How long it may take to read the answer."""
_REFUSED_S: Final = 1.0
"""Before the next attempt when there is no descriptor for a connection."""
_JOIN_S: Final = 1.0


class Endpoint:
    """Answers on one port, of IPv4 and IPv6 alike, on one thread that waits for nobody.

    A connection lives for seconds, whatever its client does. When there are too many, the oldest is
    cut off: who asks at once is answered in milliseconds, and so is never the oldest for long.
    """

    def __init__(
        self, name: str, port: int, answer: Callable[[bytes], bytes], address: str = ""
    ) -> None:
        """Listen; raise StartError if that is not possible.

        `name`: of the options and of the thread. `answer` is called from the thread, with a request
        up to the end of its head, and returns the whole response. `address`: "" is every address.
        """
        self._name = name
        self._answer = answer
        everywhere = not address and socket.has_dualstack_ipv6()
        try:
            self._socket = socket.create_server(
                (address, port),
                family=socket.AF_INET6 if everywhere or ":" in address else socket.AF_INET,
                dualstack_ipv6=everywhere,
            )
        except OSError as error:
            where = (f"--{name}-address {address!r} " if address else "") + f"--{name}-port {port}"
            raise StartError(f"{where}: {error.strerror}; choose another, or port 0") from error
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        self._clients: list[_Client] = []
        """The oldest first; only the thread knows them."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; whoever is being answered may be cut off."""
        self._ended.set()
        # Wakes the thread: such a socket counts as readable.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(_JOIN_S)
        self._socket.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._socket, selectors.EVENT_READ)
            while not self._ended.is_set():
                until_s = min((client.until_s for client in self._clients), default=None)
                pause_s = None if until_s is None else max(0.0, until_s - time.monotonic())
                for key, _ in ready.select(pause_s):
                    if key.data is None:
                        self._accept(ready)
                    elif key.data in self._clients:
                        self._go_on(ready, key.data)
                now_s = time.monotonic()
                for client in [client for client in self._clients if client.until_s <= now_s]:
                    self._drop(ready, client)
            for client in list(self._clients):
                self._drop(ready, client)

    def _accept(self, ready: selectors.BaseSelector) -> None:
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return  # it has left already
        except OSError as error:
            if not self._ended.wait(_REFUSED_S):
                _LOGGER.warning("%s: no connection can be accepted: %s", self._name, error)
            return
        if len(self._clients) >= _CONNECTIONS:
            self._drop(ready, self._clients[0])
        connection.setblocking(False)
        client = _Client(connection, until_s=time.monotonic() + _REQUEST_S)
        self._clients.append(client)
        ready.register(connection, selectors.EVENT_READ, client)

    def _go_on(self, ready: selectors.BaseSelector, client: "_Client") -> None:
        """Read what a client says, or write what it has not got yet."""
        try:
            if not client.answer:
                if not client.has_asked():
                    return
                client.answer = memoryview(self._answer(client.head))
                client.until_s = time.monotonic() + _ANSWER_S
                ready.modify(client.connection, selectors.EVENT_WRITE, client)
            client.answer = client.answer[client.connection.send(client.answer) :]
            if client.answer:
                return
        except BlockingIOError:
            return
        except OSError as error:
            _LOGGER.debug("%s: %s", self._name, error)
        except Exception:
            # The thread must outlive any surprise: the next one who asks may be luckier.
            _LOGGER.exception("%s: a request can't be answered", self._name)
        self._drop(ready, client)

    def _drop(self, ready: selectors.BaseSelector, client: "_Client") -> None:
        self._clients.remove(client)
        ready.unregister(client.connection)
        client.connection.close()


@dataclass(slots=True, eq=False)
class _Client:
    """One connection, with one request."""

    connection: socket.socket
    until_s: float
    """When it is cut off, on the monotonic clock."""
    head: bytes = b""
    """What has been said so far."""
    answer: bytes | memoryview = b""
    """What is still to be written."""

    def has_asked(self) -> bool:
        """Read; say whether the head of the request is whole. Raise OSError if it never will be."""
        part = self.connection.recv(_REQUEST_BYTES)
        self.head += part
        if b"\r\n\r\n" in self.head:
            return True
        if not part or len(self.head) > _REQUEST_BYTES:
            # Never answer to the beginning of something: it may look like HTTP/0.9.
            raise ConnectionError(f"no request in {len(self.head)} bytes")
        return False


def probes(checks: Mapping[str, Callable[[], bool]]) -> Callable[[bytes], bytes]:
    """Return what answers GET of each path in `checks` with 200 or 503, all else with 404."""

    def answer(head: bytes) -> bytes:
        method, path = (*head.decode("latin-1").split(" ", 2), "", "")[:2]
        check = checks.get(path) if method == "GET" else None
        status = "404 Not Found"
        if check is not None:
            status = "200 OK" if check() else "503 Service Unavailable"
        text = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        return text.encode("latin-1")

    return answer
