"""The operator's metrics as Prometheus gets them: over HTTP, from the whole program."""

import asyncio
import signal
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from damon_operator import listening
from damon_operator.__main__ import main
from damon_operator.settings import parse


@pytest.fixture(name="port")
def port_fixture(unused_tcp_port_factory):
    return unused_tcp_port_factory()


async def scrape(port: int) -> dict[str, float]:
    """Return what is served, {} while nobody answers; labels are part of the name."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/metrics") as response,
        ):
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            text = await response.text()
    except aiohttp.ClientConnectionError:
        return {}
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def until(port: int, holds) -> dict[str, float]:
    async with asyncio.timeout(60):
        while True:
            if (found := await scrape(port)) and holds(found):
                return found
            await asyncio.sleep(0.02)


async def test_metrics_are_served_on_both_families(lab, port):
    async with lab.operator(metrics_port=port):
        await lab.started()
        for address in ("127.0.0.1", "[::1]"):
            url = f"http://{address}:{port}/metrics"
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                assert response.status == 200


async def test_what_was_planned_and_written_is_told(lab, port):
    lab.api.cluster.create(lab.tuning("all", mode="Enforce"))
    async with lab.operator(metrics_port=port):
        await lab.started()
        await lab.eventually(lambda: lab.planned() == {"web": 30})
        told = await until(port, lambda found: found["damon_operator_governed_nodes"] == 1)
        lab.api.cluster.create(lab.pod("other"))
        await lab.eventually(lambda: lab.planned() == {"web": 30, "other": 30})
        after = await until(port, lambda found: found["damon_operator_pods annotation"] == 2)
    assert told["damon_operator_leader"] == 1
    assert told["damon_operator_unreported_nodes"] == 1
    assert told["damon_operator_held_back_nodes NoReport"] == 1
    assert told["damon_operator_stream_objects pods"] == 1
    assert told["damon_operator_stream_objects damontunings"] == 1
    assert told["damon_operator_stream_lists_total nodes"] == 1
    assert told["damon_operator_stream_watches_total nodes"] >= 1
    assert told["damon_operator_stream_failures_total nodes"] == 0
    assert told["damon_operator_plan_seconds_sum"] > 0
    writes = "damon_operator_plan_writes_total applied"
    assert after[writes] > told[writes] >= 1


async def test_an_outage_shows_in_the_failures_of_the_streams(lab, port):
    async with lab.operator(metrics_port=port):
        await lab.started()
        await until(port, lambda found: found.get("damon_operator_stream_watches_total pods"))
        await lab.api.down()
        failures = "damon_operator_stream_failures_total pods"
        await until(port, lambda found: found[failures] >= 2)
        await lab.api.up()
        told = await scrape(port)
    assert told["damon_operator_leader"] == 1


async def test_of_two_replicas_one_leads_and_both_say_which(lab, unused_tcp_port_factory):
    ports = [unused_tcp_port_factory() for _ in range(2)]
    async with (
        lab.operator("one", leader_elect=True, metrics_port=ports[0]),
        lab.operator("two", leader_elect=True, metrics_port=ports[1]),
    ):
        async with asyncio.timeout(60):
            told = [{}, {}]
            while not all(told) or sum(found["damon_operator_leader"] for found in told) != 1:
                told = [await scrape(port) for port in ports]
        standby = min(told, key=len)
        assert standby == {"damon_operator_leader": 0}
        await lab.started(2)


@pytest.mark.parametrize("served", [True, False], ids=["on", "off"])
async def test_without_a_port_there_is_no_socket_and_no_import(lab, port, served, listening):
    lab.api.cluster.create(lab.tuning("all"))
    arguments = ["--kubeconfig", str(lab.kubeconfig), "--liveness-port", "0"]
    arguments += ["--metrics-port", str(port if served else 0)]
    program = (
        "import sys; from damon_operator.__main__ import main; code = main(sys.argv[1:]); "
        "print('prometheus_client' in sys.modules); sys.exit(code)"
    )
    process = await create_subprocess_exec(
        sys.executable, "-c", program, *arguments, stdout=PIPE, stderr=PIPE
    )
    try:
        await lab.eventually(lambda: lab.planned() == {"web": 30})
        ports = listening(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        said, logged = await process.communicate()
    assert process.returncode == 0, logged.decode()
    assert ports == ({port} if served else set())
    assert said.decode().strip() == str(served)


async def test_a_port_that_is_taken_ends_the_operator_with_its_name(lab, port, caplog):
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", port):
        arguments = ["--kubeconfig", str(lab.kubeconfig), "--metrics-port", str(port)]
        arguments += ["--metrics-address", "127.0.0.1", "--liveness-port", "0"]
        assert await asyncio.to_thread(main, arguments) == 2
    assert f"--metrics-port {port}" in caplog.text


@asynccontextmanager
async def answering(connection_s: float):
    """Listen as the operator does, but for the life of a connection; yield the port."""
    application, address = listening.health(lambda: ()), "127.0.0.1"
    async with listening.listening(
        application, 0, address, option="", connection_s=connection_s
    ) as port:
        yield port


async def is_moving(port: int) -> bool:
    """Whether it answers; a connection that has its end may not be counted off yet."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
                    return await response.text() == "moving\n"
            await asyncio.sleep(0.02)


async def test_one_client_too_many_is_turned_away():
    async with answering(connection_s=3600) as port:
        silent = [
            await asyncio.open_connection("127.0.0.1", port) for _ in range(listening._CONNECTIONS)
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        for _, each in (*silent, (reader, writer)):
            each.close()
        assert await is_moving(port)


async def test_a_bad_client_is_cut_off_and_the_next_one_served():
    async with answering(connection_s=0.5) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        for number, (_, writer) in enumerate(silent):
            writer.write((b"", b"GET /metr", b"\x16\x03\x01\x02", b"A" * 9000)[number % 4])
        async with asyncio.timeout(60):
            for reader, writer in silent:
                assert b"moving" not in await reader.read()
                writer.close()
        assert await is_moving(port)


@pytest.mark.parametrize(
    ("arguments", "environment", "port"),
    [
        ([], {}, 0),
        ([], {"METRICS_PORT": "9000"}, 9000),
        (["--metrics-port", "9001"], {"METRICS_PORT": "9000"}, 9001),
        (["--metrics-port", "0"], {"METRICS_PORT": "9000"}, 0),
    ],
)
def test_the_port_is_a_setting_and_off_by_default(arguments, environment, port):
    assert parse(arguments, environment).metrics_port == port


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_what_is_no_port_is_refused(port, capsys):
    with pytest.raises(SystemExit):
        parse(["--metrics-port", port], {})
    assert "--metrics-port" in capsys.readouterr().err
