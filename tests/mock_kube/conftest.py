"""The embedded API server, or with `--kubeconfig FILE` a real one that judges the same tests.

What a test says of an answer is then what kube-apiserver says. Tests that are marked `embedded` are
about what only the embedded server has: faults on demand, its store, calls without HTTP.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cluster_objects import CRDS
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config

from damon_mock.kube import bodies, rules
from damon_mock.kube.discovery import VERSION
from damon_mock.kube.registry import Registry
from damon_mock.kube.resources import Catalogue
from damon_mock.kube.server import ApiServer
from damon_mock.kube.threads import ApiThread

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "judged.damon-operator.io"
"""A group of its own, so that no operator on the real cluster governs what the tests create."""
WAIT_S = 60
"""How long a real cluster may take for what its controllers do, as the garbage collector."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kubeconfig", type=Path, help="run tests/mock_kube against this cluster's API server"
    )


def pytest_configure(config: pytest.Config) -> None:
    line = "embedded: about what only the embedded API server has; a real one cannot judge it"
    config.addinivalue_line("markers", line)


def _kubeconfig(config: pytest.Config) -> Path | None:
    """Return the real cluster's kubeconfig, if this run has one."""
    return config.getoption("kubeconfig", None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _kubeconfig(config):
        embedded = [item for item in items if item.get_closest_marker("embedded")]
        config.hook.pytest_deselected(items=embedded)
        items[:] = [item for item in items if item not in embedded]


class Client:
    """Raw HTTP: what is tested is the protocol, not a client's reading of it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.created: list[str] = []
        self.warnings: list[str] = []
        self._url = url
        self._catalogue = Catalogue()

    def serve(self, definition: Any) -> None:
        """Know the paths of what a CustomResourceDefinition defines."""
        self._catalogue.install(definition)

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
            method, self._url + path, data=data, headers=sent, params=query
        ) as response:
            is_json = response.content_type == "application/json"
            answer = await (response.json() if is_json else response.text())
            self.warnings = response.headers.getall("Warning", [])
            if response.status == 201 and "dryRun" not in query:
                name = answer["metadata"]["name"]
                self.created.append(path if path.endswith(f"/{name}") else f"{path}/{name}")
            return response.status, answer

    async def get(self, path: str, **query: Any) -> Any:
        status, body = await self.call("GET", path, **query)
        assert status == 200, body
        return body

    async def create(self, body: Any) -> Any:
        """Create an object; its status, if it has one, by a write of its own."""
        resource = self._catalogue.of(body)
        space = body["metadata"].get("namespace", "default")
        prefix = f"/apis/{resource.api_version}" if resource.group else "/api/v1"
        path = f"{prefix}/namespaces/{space}" if resource.namespaced else prefix
        status, answer = await self.call("POST", f"{path}/{resource.plural}", body)
        assert status == 201, answer
        if "status" in body:
            where, change = f"{self.created[-1]}/status", {"status": body["status"]}
            status, answer = await self.patch(where, change)
            assert status == 200, answer
        return answer

    async def patch(self, path: str, body: Any, kind: str = "merge-patch+json", **query: Any):
        return await self.call("PATCH", path, body, kind=f"application/{kind}", **query)

    async def apply(self, path: str, body: Any, manager: str, *, force: bool = False):
        query = {"fieldManager": manager, **({"force": "true"} if force else {})}
        return await self.patch(path, body, "apply-patch+yaml", **query)

    async def version(self) -> str:
        """Return the version the cluster is at."""
        listed = await self.get("/api/v1/namespaces/default/configmaps")
        version: str = listed["metadata"]["resourceVersion"]
        return version

    async def delete(self, path: str) -> None:
        status, answer = await self.call("DELETE", path, gracePeriodSeconds=0)
        assert status in {200, 202}, answer

    @asynccontextmanager
    async def watch(self, path: str, **query: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        params = {"watch": "1", "timeoutSeconds": "20", **query}
        async with self.session.get(self._url + path, params=params) as response:
            yield response

    async def until(self, path: str, wanted: int) -> None:
        """Wait until a path answers so: the real cluster's controllers take their time."""
        async with asyncio.timeout(WAIT_S):
            while True:
                status, _ = await self.call("GET", path)
                if status == wanted:
                    return
                await asyncio.sleep(0.05)

    async def gone(self, path: str) -> None:
        """Wait until there is no such object."""
        await self.until(path, 404)

    async def clear(self) -> None:
        """Take away what the test created."""
        for path in reversed(self.created):
            status, _ = await self.call("DELETE", path, gracePeriodSeconds=0)
            if status == 200:
                await self.gone(path)


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
    """Return our CRDs, in the group of the tests."""
    found = []
    for file in sorted(CRDS.glob("*.yaml")):
        for body in bodies.all_from_yaml(file.read_text()):
            body["metadata"]["name"] = f"{body['spec']['names']['plural']}.{GROUP}"
            body["spec"]["group"] = GROUP
            found.append(body)
    return found


@dataclass(frozen=True)
class Judge:
    """A real API server, as its administrator sees it."""

    url: str
    context: ssl.SSLContext

    @classmethod
    def of(cls, kubeconfig: Path) -> "Judge":
        chosen = kubernetes_client.Configuration()
        kubernetes_config.load_kube_config(str(kubeconfig), client_configuration=chosen)
        context = ssl.create_default_context(cafile=chosen.ssl_ca_cert)
        context.load_cert_chain(chosen.cert_file, chosen.key_file)
        return cls(str(chosen.host), context)

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.context))

    async def minor(self) -> str:
        async with self.session() as session:
            answer: str = (await Client(self.url, session).get("/version"))["minor"]
            return answer

    async def install(self, definitions: list[Any]) -> None:
        """Create the definitions anew, for an earlier run may have left others; wait for them."""
        await self.remove(definitions)
        async with self.session() as session:
            client = Client(self.url, session)
            for definition in definitions:
                await client.create(definition)
                plural = definition["spec"]["names"]["plural"]
                await client.until(f"/apis/{GROUP}/v1alpha1/{plural}", 200)

    async def remove(self, definitions: list[Any]) -> None:
        async with self.session() as session:
            client = Client(self.url, session)
            client.created = [f"{DEFINITIONS}/{d['metadata']['name']}" for d in definitions]
            await client.clear()


@pytest.fixture(scope="session")
def judge(request, definitions) -> Iterator[Judge | None]:
    """The real API server with our definitions; None if the embedded one is asked."""
    kubeconfig = _kubeconfig(request.config)
    if kubeconfig is None:
        yield None
        return
    judge = Judge.of(kubeconfig)
    if (minor := asyncio.run(judge.minor())) != VERSION["minor"]:
        pytest.skip(f"the embedded API is one of Kubernetes 1.{VERSION['minor']}, not of 1.{minor}")
    asyncio.run(judge.install(definitions))
    yield judge
    asyncio.run(judge.remove(definitions))


@pytest.fixture
async def api(judge, cel, definitions) -> AsyncIterator[ApiServer | None]:
    if judge:
        yield None
        return
    async with ApiServer(registry=Registry(rules=cel)) as server:
        for definition in definitions:
            server.cluster.create(definition)
        yield server


@pytest.fixture
async def http(judge, api, definitions) -> AsyncIterator[Client]:
    url = judge.url if judge else api.url
    async with judge.session() if judge else aiohttp.ClientSession() as session:
        client = Client(url, session)
        for definition in definitions:
            client.serve(definition)
        yield client
        if judge:
            await client.clear()


@pytest.fixture
def kubeconfig(request, definitions, judge, tmp_path) -> Iterator[Path]:
    """A kubeconfig for synchronous clients."""
    if judge:
        yield _kubeconfig(request.config)
        return
    with ApiThread() as server:
        for definition in definitions:
            server.call(server.server.cluster.create, definition)
        yield server.server.write_kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture
def pod():
    def make(name: str, node: str = "", **metadata: Any) -> dict[str, Any]:
        spec = {
            "containers": [{"name": "main", "image": "none"}],
            # Neither a real scheduler nor a real kubelet shall take it.
            "schedulerName": "nobody",
        }
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
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "DamonTuning",
            "metadata": {"name": name},
            "spec": spec,
        }

    return make
