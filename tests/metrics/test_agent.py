"""What an agent tells, within which bounds, and to whom it does not listen."""

import re
import socket
import threading
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
from told_node import seen

from damon_agent.endpoint import Endpoint
from damon_agent.errors import StartError
from damon_agent.families import families
from damon_agent.metrics import page
from damon_agent.plans.plan import Latest
from damon_contract.v1alpha1.node import DamonNodeStatus


def test_a_node_is_told_in_the_words_of_its_status(page):
    told = page(families(seen()))
    agent = "damon_agent_"
    assert told.value(f"{agent}condition", type="Ready") == 0
    assert told.value(f"{agent}condition", type="Degraded") == 1
    assert told.value(f"{agent}condition_reason", type="Ready", reason="NoSwap") == 1
    assert told.value(f"{agent}kernel_info", release="6.12.0", driver="lanes") == 1
    assert told.value(f"{agent}memory_capacity_bytes") == 8000
    assert told.value(f"{agent}memory_available_ratio") == 0.25
    assert told.value(f"{agent}swap_total_bytes") == 100
    assert told.value(f"{agent}swap_free_bytes") == 7
    assert told.value(f"{agent}hindered_pods", reason="Unreadable") == 0
    assert told.value(f"{agent}targets") == 7
    assert told.value(f"{agent}placed_pods") == 2
    assert told.value(f"{agent}unswappable_pods") == 1
    assert told.value(f"{agent}spared_pods") == 2
    assert told.value(f"{agent}unseen_pods") == 1
    assert told.value(f"{agent}memory_reclaim", takes="FilePages") == 1
    assert told.value(f"{agent}memory_reclaim_file_bytes_total") == 9 << 20
    assert told.value(f"{agent}memory_reclaim_working_set_bytes_total") == 4 << 20


def test_what_the_agent_did_is_counted(page):
    told = page(families(seen()))
    agent = "damon_agent_"
    assert told.value(f"{agent}tick_seconds_count") == 4
    assert told.value(f"{agent}tick_seconds_sum") == 0.5
    assert told.value(f"{agent}tick_failures_total") == 1
    assert told.value(f"{agent}exits_total") == 3
    assert told.value(f"{agent}grown_total") == 8
    assert told.value(f"{agent}commands_total", keyword="commit", outcome="accepted") == 5
    assert told.value(f"{agent}commands_total", keyword="commit", outcome="refused") == 0
    assert told.value(f"{agent}commands_under_way") == 1
    assert told.value(f"{agent}status_writes_total", outcome="accepted") == 6
    assert told.value(f"{agent}status_writes_total", outcome="failed") == 2
    assert told.value(f"{agent}plan_age_seconds") == 60
    assert told.value(f"{agent}plan_max_age_seconds") == 900


def test_without_a_plan_there_is_none_whose_age_could_be_told(page):
    told = page(families(seen(DamonNodeStatus(), latest=Latest(known=True))))
    assert told.value("damon_agent_targets") == 0
    assert told.value("damon_agent_plan_age_seconds") is None
    assert told.value("damon_agent_memory_capacity_bytes") is None
    assert told.value("damon_agent_spared_pods") is None


def test_each_metric_is_explained_and_none_that_does_not_exist(page):
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    told = {sample.name for sample in page(families(seen(by_pod=True))).samples}
    assert set(re.findall(r"damon_agent_\w+", text)) == told


# The server


@pytest.fixture(name="server")
def server_fixture():
    server = Endpoint("metrics", 0, page(seen), "127.0.0.1")
    server.start()
    yield server
    if not server._ended.is_set():
        server.stop()


def connect(server: Endpoint) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def answer(client: socket.socket) -> bytes:
    """Return what comes until the server hangs up."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_what_is_served_is_what_the_parser_of_prometheus_reads(server, scrape):
    assert scrape(server.port).value("damon_agent_targets") == 7
    newer = "application/openmetrics-text;version=1.0.0;q=0.1,text/plain;version=1.0.0;q=0.9"
    with connect(server) as client:
        client.sendall(f"GET /metrics HTTP/1.1\r\nHost: n\r\nAccept: {newer}\r\n\r\n".encode())
        said = answer(client)
    assert b"application/openmetrics-text" in said
    assert said.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /metr", id="half a request"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 40, id="TLS"),
        pytest.param(b"\r\n\r\n", id="an empty line"),
        pytest.param(b"POST /metrics HTTP/1.1\r\nContent-Length: 99\r\n\r\n", id="another verb"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000, id="headers without end"),
        pytest.param(b"GET /" + b"a" * 100_000, id="a path without end"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"a" * 60_000 + b"\r\n\r\n", id="too much"),
    ],
)
@pytest.mark.parametrize("leaves", [True, False], ids=["leaves", "stays"])
def test_a_bad_client_is_cut_off_and_the_next_one_served(server, scrape, said, leaves):
    threads = threading.active_count()
    client = connect(server)
    try:
        client.sendall(said)
        if leaves:
            client.close()
        assert scrape(server.port).value("damon_agent_targets") == 7
        if not leaves:
            assert b"damon_agent" not in answer(client)
    except (BrokenPipeError, ConnectionResetError):
        assert len(said) > 16384, "hung up in the middle of too much"
        assert scrape(server.port).value("damon_agent_targets") == 7
    finally:
        client.close()
    assert threading.active_count() == threads


def test_who_asks_letter_by_letter_is_cut_off_as_well(server, scrape, caplog):
    def trickle():
        try:
            while True:
                client.sendall(b"G")
                time.sleep(0.05)
        except OSError:
            return

    client = connect(server)
    trickling = threading.Thread(target=trickle, daemon=True)
    trickling.start()
    assert scrape(server.port).value("damon_agent_targets") == 7
    trickling.join(60)
    assert not trickling.is_alive()
    client.close()
    assert not caplog.records


def test_nobody_gets_a_second_answer_on_a_connection(server):
    with connect(server) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nConnection: keep-alive\r\n\r\n" * 2)
        assert answer(client).count(b"# TYPE damon_agent_targets ") == 1


def test_a_defect_of_ours_does_not_end_the_thread(scrape, caplog):
    looks = [ZeroDivisionError("a bug"), seen()]

    def look():
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    server = Endpoint("metrics", 0, page(look), "127.0.0.1")
    server.start()
    with pytest.raises(OSError, match=r"closed|reset"):
        scrape(server.port)
    assert scrape(server.port).value("damon_agent_targets") == 7
    assert "a bug" in caplog.text
    server.stop()


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "waiting"])
def test_after_a_stop_nobody_listens_and_no_thread_is_left(server, busy):
    with connect(server) if busy else nullcontext():
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            connect(server)
    server._thread.join(60)
    assert not server._thread.is_alive()


def test_a_port_that_is_taken_is_named(server):
    with pytest.raises(StartError, match=f"--metrics-port {server.port}: .*in use"):
        Endpoint("metrics", server.port, page(seen), "127.0.0.1")


def test_without_an_address_it_listens_on_all(scrape):
    server = Endpoint("metrics", 0, page(seen), "")
    server.start()
    assert scrape(server.port).value("damon_agent_targets") == 7
    if socket.has_dualstack_ipv6():
        with socket.create_connection(("::1", server.port), timeout=60) as client:
            client.sendall(ASKED)
            assert b"damon_agent_targets 7.0" in answer(client)
    server.stop()


ASKED = b"GET /metrics HTTP/1.1\r\nHost: n\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /metr", id="half a request"),
        pytest.param(ASKED, id="a request, and nobody reads the answer"),
    ],
)
@pytest.mark.parametrize("number", [30, 300])
def test_however_many_are_silent_who_asks_is_answered_at_once(server, scrape, said, number):
    before = set(threading.enumerate())
    with ExitStack() as silent:
        for _ in range(number):
            silent.enter_context(connect(server)).sendall(said)
        clients = len(server._clients)
        assert scrape(server.port).value("damon_agent_targets") == 7
        assert clients <= 32
        assert server._clients or said == ASKED, "nobody had to be waited for"
    assert set(threading.enumerate()) == before


def test_a_client_that_reads_slowly_gets_the_whole_answer_and_keeps_nobody(server, scrape):
    with connect(server) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        slow.sendall(ASKED)
        assert scrape(server.port).value("damon_agent_targets") == 7
        assert b"damon_agent_status_writes_total" in answer(slow)
