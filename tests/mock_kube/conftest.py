import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from damon_mock.kube import bodies, rules
from damon_mock.kube.registry import Registry
from damon_mock.kube.server import ApiServer

CRDS = Path(__file__).parents[2] / "crds"


class Client:
    """Raw HTTP: what is tested is the protocol, not a client's reading of it."""

    def __init__(self, api: ApiServer, session: aiohttp.ClientSession) -> None:
        self.api = api
        self.session = session

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {**({"Content-Type": kind} if data else {}), **(headers or {})}
        async with self.session.request(
            method, self.api.url + path, data=data, headers=sent, params=query
        ) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, path: str, **query: Any) -> Any:
        status, body = await self.call("GET", path, **query)
        assert status == 200, body
        return body

    async def patch(self, path: str, body: Any, kind: str = "merge-patch+json", **query: Any):
        return await self.call("PATCH", path, body, kind=f"application/{kind}", **query)

    async def apply(self, path: str, body: Any, manager: str, *, force: bool = False):
        query = {"fieldManager": manager, **({"force": "true"} if force else {})}
        return await self.patch(path, body, "apply-patch+yaml", **query)

    @asynccontextmanager
    async def watch(self, path: str, **query: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        params = {"watch": "1", "timeoutSeconds": "20", **query}
        async with self.session.get(self.api.url + path, params=params) as response:
            yield response


async def next_event(response: aiohttp.ClientResponse) -> tuple[str, Any]:
    line = await response.content.readline()
    assert line, "the stream ended"
    event = json.loads(line)
    return event["type"], event["object"]


@pytest.fixture
def read():
    return next_event


@pytest.fixture(scope="session")
def cel():
    return rules.available()


@pytest.fixture(scope="session")
def definitions():
    files = sorted(CRDS.glob("*.yaml"))
    return [body for file in files for body in bodies.all_from_yaml(file.read_text())]


@pytest.fixture
async def api(cel, definitions) -> AsyncIterator[ApiServer]:
    async with ApiServer(registry=Registry(rules=cel)) as server:
        for definition in definitions:
            server.cluster.create(definition)
        yield server


@pytest.fixture
async def http(api: ApiServer) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(api, session)


@pytest.fixture
def pod():
    def make(name: str, node: str = "", **metadata: Any) -> dict[str, Any]:
        spec = {"containers": [{"name": "main", "image": "none"}]}
        if node:
            spec["nodeName"] = node
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", **metadata},
            "spec": spec,
        }

    return make


@pytest.fixture
def tuning():
    def make(name: str = "one", **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "damon-operator.io/v1alpha1",
            "kind": "DamonTuning",
            "metadata": {"name": name},
            "spec": spec,
        }

    return make
