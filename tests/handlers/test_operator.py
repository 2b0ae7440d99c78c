import asyncio
import json
import logging
import os
import re
import signal
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from damon_operator import handlers
from damon_operator.__main__ import at_the_end, main, operate
from damon_operator.errors import StartError


async def test_a_change_of_a_tuning_is_followed(lab):
    async with lab.operator():
        await lab.started()
        lab.api.cluster.create(lab.tuning("all", mode="Enforce"))
        await lab.eventually(lambda: lab.planned() == {"web": 30})
        lab.api.cluster.patch("damontunings", "all", {"spec": {"mode": "Observe"}})
        await lab.eventually(lambda: lab.plan()["mode"] == "Observe")
        lab.api.cluster.delete("damontunings", "all")
        await lab.eventually(lambda: lab.plan() is None)


async def test_a_tuning_deleted_while_nobody_watched_is_gone_after_the_next_list(lab):
    lab.api.cluster.create(lab.tuning("all"))
    lab.api.cluster.create(lab.tuning("ghost", precedence=9))
    async with lab.operator():
        await lab.eventually(lambda: lab.plan() and lab.plan()["tuning"] == "ghost")
        await lab.started()
        lab.api.gap(("damontunings", "ghost", ""))
        await lab.eventually(lambda: lab.plan()["tuning"] == "all")


async def test_kopf_writes_nothing_into_any_object(lab):
    lab.api.cluster.create(lab.tuning("all"))
    async with lab.operator():
        await lab.eventually(lambda: lab.planned() == {"web": 30})
        lab.api.cluster.create(lab.pod("bad", "abc"))
        await lab.eventually(lambda: lab.planned() == {"web": 30, "bad": 50})
        await lab.eventually(lambda: lab.api.journal.writes("events"))
        lab.api.cluster.delete("damontunings", "all")
        await lab.eventually(lambda: lab.plan() is None)
    written = {(r.resource, r.subresource, r.user_agent) for r in lab.api.journal.writes()}
    assert written == {
        ("damonnodes", "", "damon-operator"),
        ("damontunings", "status", "damon-operator"),
        ("events", "", "damon-operator"),
    }
    metadata = lab.api.cluster.get("pods", "web")["metadata"]
    assert metadata["annotations"] == {"damon-operator.io/priority": "30"}
    assert "finalizers" not in metadata


async def test_after_an_outage_kopfs_door_and_our_streams_go_on(lab):
    lab.api.cluster.create(lab.tuning("all"))
    async with lab.operator() as task:
        await lab.eventually(lambda: lab.planned() == {"web": 30})
        await lab.started()
        await lab.api.down()
        lab.api.cluster.create(lab.pod("born", "40"))
        lab.api.cluster.patch("damontunings", "all", {"spec": {"mode": "Enforce"}})
        await lab.api.up()
        await lab.eventually(lambda: lab.planned() == {"web": 30, "born": 40})
        await lab.eventually(lambda: lab.plan()["mode"] == "Enforce")
        assert not task.done()


@pytest.mark.parametrize("status", [400, 409, 410, 422])
async def test_an_answer_that_ends_kopf_does_not_end_the_process(lab, caplog, status):
    """In an hour of faults both operators ended at a 410 that was the status of a watch."""
    caplog.set_level(logging.INFO)
    lab.api.cluster.create(lab.tuning("all"))
    async with lab.operator() as task:
        await lab.eventually(lambda: lab.planned() == {"web": 30})
        await lab.started()
        await lab.api.down()
        lab.api.faults.fail_next(1000, status, path="/damontunings")
        await lab.api.up()
        await lab.eventually(lambda: "because kopf gave up" in caplog.text)
        lab.api.faults.refusals.clear()
        lab.api.cluster.patch("damontunings", "all", {"spec": {"mode": "Enforce"}})
        await lab.eventually(lambda: lab.plan()["mode"] == "Enforce")
        assert not task.done()
        # What kopf leaves on the loop when it gives up would end the process half a minute later.
        assert not [timer for timer in asyncio.get_running_loop()._scheduled if kills(timer)]


def kills(timer):
    return timer._callback is signal.pthread_kill and not timer.cancelled()


def test_kopfs_retries_outlast_an_outage_of_minutes():
    delays = iter(handlers.settings().networking.error_backoffs)
    assert sum(next(delays) for _ in range(20)) > 300


@pytest.fixture(name="free_port")
def free_port_fixture(unused_tcp_port_factory):
    return unused_tcp_port_factory()


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize(("stalled_s", "status"), [(180.0, 200), (0.0, 500)])
async def test_liveness_is_the_heartbeat_of_our_streams(lab, free_port, address, stalled_s, status):
    async with lab.operator(liveness_port=free_port, stalled_s=stalled_s):
        await lab.started()
        url = f"http://{address}:{free_port}/healthz"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.status == status


async def test_a_liveness_port_that_is_taken_is_named(lab, free_port):
    async with lab.operator(liveness_port=free_port):
        await lab.started()
        with pytest.raises(StartError, match=f"--liveness-port {free_port}"):
            await operate(lab.settings(liveness_port=free_port))


def test_every_handler_has_an_id_of_ours():
    doors = handlers.Doors(None, "", None)
    registry = handlers.registry(doors)
    found = {
        str(handler.id)
        for kind in (registry._activities, registry._watching)
        for handler in kind.get_all_handlers()
    }
    assert found == {"start", "end", "login", "tuning"}
    others = (registry._changing, registry._spawning, registry._indexing, registry._webhooks)
    assert not [handler for kind in others for handler in kind.get_all_handlers()]


@pytest.mark.parametrize("form", ["logfmt", "json"])
async def test_the_process_starts_works_and_ends_when_told_to(lab, form):
    lab.api.cluster.create(lab.tuning("all"))
    arguments = ("--kubeconfig", str(lab.kubeconfig), "--liveness-port", "0", "--debounce-ms", "5")
    arguments += ("--log-format", form, "--log-level", "debug")
    process = await create_subprocess_exec(
        sys.executable, "-m", "damon_operator", *arguments, stderr=PIPE, env={**os.environ}
    )
    logged = b""
    try:
        await lab.eventually(lambda: lab.planned() == {"web": 30})
        # The plan may be there before kopf has looked at the tuning.
        async with asyncio.timeout(60):
            while b"DamonTuning/all" not in logged and (line := await process.stderr.readline()):
                logged += line
    finally:
        process.send_signal(signal.SIGTERM)
        logged += (await process.communicate())[1]
    assert process.returncode == 0, logged.decode()
    assert b"Traceback" not in logged
    lines = logged.decode().splitlines()
    if form == "json":
        said = [json.loads(line) for line in lines]
        assert {"kopf", "damon_operator"} <= {line["logger"].split(".")[0] for line in said}
        assert {"applied"} <= {line["msg"] for line in said if line["level"] == "info"}
        assert any(line.get("object") == "DamonTuning/all" for line in said), "kopf names it"
    else:
        head = re.compile(
            r'time=[-0-9]+T[0-9:.]+Z level=\w+ logger=[\w.]+ msg=("(\\.|[^"\\])*"|\S+)'
        )
        assert all(head.match(line) for line in lines)
        assert any("msg=applied node=" in line for line in lines)


def test_streams_that_kopf_has_left_open_are_no_error_at_the_end(caplog):
    @asynccontextmanager
    async def block():
        waiter = asyncio.create_task(asyncio.sleep(60))
        try:
            yield
        finally:
            waiter.cancel()
            with suppress(asyncio.CancelledError):
                await waiter

    async def stream():
        async with block():
            yield

    async def broken():
        try:
            yield
        finally:
            raise ValueError("of our own making")

    open_streams = []

    async def end():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(at_the_end)
        open_streams.extend((*(stream() for _ in range(20)), broken()))
        for opened in open_streams:
            await anext(opened)
        loop.call_exception_handler({"message": "something else"})

    asyncio.run(end())
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors[0] == "something else"
    assert ["broken" in error for error in errors[1:]] == [True]


def test_without_an_api_server_to_talk_to_it_says_so(monkeypatch, caplog):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["--liveness-port", "0"]) == 2
    assert "--kubeconfig" in caplog.text


async def test_a_uid_without_a_name_is_no_reason_not_to_start(lab, monkeypatch):
    def nobody():
        raise OSError("No username set in the environment")

    monkeypatch.setattr("getpass.getuser", nobody)
    async with lab.operator() as running:
        lab.api.cluster.create(lab.tuning("t"))
        await lab.eventually(lambda: lab.planned() or running.done())
        assert lab.planned() == {"web": 30}
