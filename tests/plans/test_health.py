"""The kubelet's probes are answered, whoever else connects."""

import http.client
import socket

import pytest

from damon_agent.endpoint import Endpoint, probes
from damon_agent.errors import StartError


@pytest.fixture
def sound():
    """Whether the check holds; the test decides."""
    return [True]


@pytest.fixture
def server(sound):
    server = Endpoint("health", 0, probes({"/livez": lambda: sound[0]}))
    server.start()
    yield server
    server.stop()
    assert not server._thread.is_alive()


def asked(server, path="/livez", host="127.0.0.1", method="GET"):
    connection = http.client.HTTPConnection(host, server.port, timeout=10)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_check_that_holds_is_200_and_one_that_does_not_503(server, sound):
    assert asked(server) == 200
    sound[0] = False
    assert asked(server) == 503


@pytest.mark.parametrize(
    ("path", "method"), [("/", "GET"), ("/livez", "POST"), ("/livez/x", "GET")]
)
def test_everything_else_is_not_found(server, path, method):
    assert asked(server, path, method=method) == 404


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 on this machine")
def test_it_listens_on_ipv6_as_well(server):
    assert asked(server, host="::1") == 200


def test_connections_that_say_nothing_keep_nobody_waiting(server):
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    try:
        assert [asked(server) for _ in range(10)] == [200] * 10
        assert len(server._clients) <= 32
    finally:
        for connection in silent:
            connection.close()
    assert asked(server) == 200


@pytest.mark.parametrize("request_bytes", [b"", b"\x00\xff", b"GET", b"GET  HTTP/1.1\r\n\r\n"])
def test_nonsense_ends_nothing(server, request_bytes):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        connection.recv(4096)
    assert asked(server) == 200


def test_a_port_that_is_taken_is_named(server):
    with pytest.raises(StartError, match=f"--health-port {server.port}"):
        Endpoint("health", server.port, probes({}))
