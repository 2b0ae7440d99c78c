"""A small HTTP server that answers lists and watches as a script says, and both programs for it."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cluster_objects import planned_node

from damon_agent.clock import SystemClock
from damon_agent.plans.client import Api
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher
from damon_contract.access import Access
from damon_contract.watches import Backoff
from damon_operator.cluster import Cluster
from damon_operator.facts import read_written
from damon_operator.reflector import Pace, Reflector
from damon_operator.resources import DAMON_NODES

NODE = "worker-1"
IDLE_S = 0.3
"""Silence after which a watch is broken, in these tests."""

Answer = Callable[["Handler"], None]


def damon_node(version: str, mode: str = "Observe") -> dict[str, Any]:
    metadata = {"name": NODE, "uid": "u1", "generation": 1, "resourceVersion": version}
    return {**planned_node(mode=mode, hash=mode), "metadata": metadata}


class Handler(BaseHTTPRequestHandler):
    """One connection; `part` sends, `end` ends the answer as a server does."""

    protocol_version = "HTTP/1.1"
    server: "Script"

    def do_GET(self) -> None:
        self.server.answer(self)

    def do_CONNECT(self) -> None:
        self.server.journal.append(f"CONNECT {self.path}")
        self.send_error(502)

    def begin(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def part(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def cut(self) -> None:
        self.close_connection = True

    def say(self, *events: object) -> None:
        for event in events:
            self.part(json.dumps(event).encode() + b"\n")

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Script(ThreadingHTTPServer):
    """What was asked and waited for, in order, and what is answered; well when nothing is left."""

    lists: list[Answer] = field(default_factory=list)
    watches: list[Answer] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    context: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    version: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    down: bool = False
    """Answers nobody until the next pause, however often a client's transport tries."""
    daemon_threads = True

    def __post_init__(self) -> None:
        self.address_family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        super().__init__((self.host, 0), Handler)
        if self.context is not None:
            self.socket = self.context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def answer(self, handler: Handler) -> None:
        self.authorizations.append(handler.headers.get("Authorization"))
        _, _, query = handler.path.partition("?")
        if self.down:
            handler.cut()
            return
        if "watch=" in query:
            version = query.split("resourceVersion=")[1].partition("&")[0]
            self.journal.append(f"watch {version}")
            (self.watches.pop(0) if self.watches else self._watch)(handler)
        else:
            self.journal.append("list")
            (self.lists.pop(0) if self.lists else self._list)(handler)

    def _list(self, handler: Handler) -> None:
        self.version += 10
        version = str(self.version)
        items = [damon_node(version)]
        handler.begin()
        handler.part(
            json.dumps({"metadata": {"resourceVersion": version}, "items": items}).encode()
        )
        handler.end()

    def _watch(self, handler: Handler) -> None:
        handler.begin()
        while not self.over.wait(IDLE_S / 5):
            handler.say({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "99"}}})
        handler.cut()

    def pause(self, seconds: float) -> None:
        """Note a pause instead of making it; one that is short is the back-off's own."""
        self.down = False
        self.journal.append("pause" if seconds < 5 else f"pause {seconds:g}")

    def handle_error(self, *_: object) -> None:
        """A client may go away in the middle of an answer."""


BACKOFF = Backoff(lambda: 0.0, first_s=0.5, most_s=4.0)


def make_agent(script: Script, directory: Path) -> tuple[Watcher, Api]:
    url = f"http://127.0.0.1:{script.server_port}"
    api = Api(Access(url), NODE, idle_s=IDLE_S)
    store, clock = PlanStore(directory), SystemClock()
    watcher = Watcher(
        api, store, clock, on_change=lambda: None, backoff=BACKOFF, sleep=script.pause
    )
    return watcher, api


def make_reflector(script: Script, cluster: Cluster) -> Reflector[Any]:
    async def pause(seconds: float) -> None:
        script.pause(seconds)
        await asyncio.sleep(0)

    return Reflector(
        resource=DAMON_NODES,
        source=cluster,
        read=read_written,
        key="name",
        changed=lambda _old, _new: None,
        backoff=BACKOFF,
        clock=time.monotonic,
        sleep=pause,
        pace=Pace(idle_s=IDLE_S),
    )


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)


def _agent(script: Script, directory: Path, condition: Callable[[], bool]) -> None:
    watcher, api = make_agent(script, directory)
    watcher.start()
    _wait(condition)
    watcher.stop()
    api.close()


def _operator(script: Script, _directory: Path, condition: Callable[[], bool]) -> None:
    async def run() -> None:
        cluster = Cluster(Access(f"http://127.0.0.1:{script.server_port}"))
        task = asyncio.create_task(make_reflector(script, cluster).run())
        await asyncio.to_thread(_wait, condition)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await cluster.close()

    asyncio.run(run())


@contextmanager
def serving(**fields):
    script = Script(**fields)
    thread = threading.Thread(target=script.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        script.shutdown()
        script.server_close()
        thread.join()


@pytest.fixture(name="serving")
def serving_fixture():
    return serving


@pytest.fixture(name="script")
def script_fixture():
    with serving() as script:
        yield script


@pytest.fixture(name="agent")
def agent_fixture():
    return make_agent


@pytest.fixture(name="reflector")
def reflector_fixture():
    return make_reflector


@pytest.fixture(name="program", params=[_agent, _operator], ids=["agent", "operator"])
def program_fixture(request, tmp_path):
    """Run one of the programs against a script until the journal is as long as expected."""

    def run(script: Script, entries: int) -> list[str]:
        request.param(script, tmp_path, lambda: len(script.journal) >= entries)
        return script.journal[:entries]

    return run


def _ask_as_agent(access: Access) -> str:
    api = Api(access, NODE)
    try:
        return str(api.list()["metadata"]["resourceVersion"])
    finally:
        api.close()


def _ask_as_operator(access: Access) -> str:
    async def ask() -> str:
        cluster = Cluster(access)
        try:
            page = await cluster.page(DAMON_NODES, limit=5, after="", take=lambda _: None)
        finally:
            await cluster.close()
        return page.resource_version

    return asyncio.run(ask())


def _ask_as_kopf(access: Access) -> str:
    async def ask() -> str:
        cluster = Cluster(access)
        session = cluster.new_session()
        async with session, session.get(f"{access.server}{DAMON_NODES.path}") as response:
            return str((await response.json(content_type=None))["metadata"]["resourceVersion"])

    return asyncio.run(ask())


@pytest.fixture(name="ask", params=[_ask_as_agent, _ask_as_operator, _ask_as_kopf])
def ask_fixture(request):
    """List once, as one of the programs does, with connections of its own; return the version."""
    return request.param
