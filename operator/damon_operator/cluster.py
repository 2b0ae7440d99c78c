"""The one place that talks to the API server, by the `kubernetes` client.

Credentials, TLS and the rotation of tokens are the client's; bodies stay raw JSON, because the
client's typed models cost five times the CPU of `json.loads`. Every failure leaves as one of
`errors.ApiError`. Nothing here can modify a pod: there is no method for it.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException

from damon_contract import names
from damon_operator import errors
from damon_operator.resources import DAMON_NODES, DAMON_TUNINGS, Page, Raw, Resource

__all__ = ["Cluster", "ConfigException", "Credentials", "connect"]

_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_REQUEST_S: Final = 60.0
"""API servers give up on ordinary requests after 60 s."""
_CONNECT_S: Final = 10.0
_WATCH_S: Final = 290
"""Length of a watch; below the 5 minutes after which many load balancers cut connections."""

_Query = Sequence[tuple[str, str]]
_config: Any = config
_ApiClient: Any = ApiClient


class Credentials(NamedTuple):
    """How to reach the API server: what kopf is told, so that both are the same user."""

    server: str
    ca_path: str | None
    insecure: bool
    authorization: str | None
    """Value of the Authorization header."""
    certificate_path: str | None
    private_key_path: str | None


class Cluster:
    """The API server, as far as the operator needs it."""

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration
        self._client = _ApiClient(configuration)
        self._client.user_agent = "damon-operator"

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def credentials(self) -> Credentials:
        """Return the credentials as they are now, a rotated token included."""
        c = self._configuration
        return Credentials(
            server=c.host,
            ca_path=c.ssl_ca_cert,
            insecure=not c.verify_ssl,
            authorization=await c.get_api_key_with_prefix("BearerToken"),
            certificate_path=c.cert_file,
            private_key_path=c.key_file,
        )

    async def page(self, resource: Resource, *, limit: int, after: str) -> Page:
        """Return a page of a list: see `resources.Source`."""
        query = [("limit", str(limit)), *_selector(resource)]
        if after:
            query.append(("continue", after))
        listed = await self._call("GET", resource.path, query=query)
        metadata = listed.get("metadata") or {}
        return Page(
            items=listed.get("items") or [],
            resource_version=str(metadata.get("resourceVersion") or ""),
            next=str(metadata.get("continue") or ""),
        )

    async def watch(
        self, resource: Resource, *, version: str, idle_s: float
    ) -> AsyncGenerator[Raw, None]:
        """Yield watch events: see `resources.Source`."""
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(_WATCH_S)),
            *_selector(resource),
        ]
        limits = aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=idle_s)
        async with self._request("GET", resource.path, query=query, limits=limits) as response:
            request = f"watch {resource.path}"
            with _transport(request):
                while line := await response.content.readline():
                    yield _parsed(request, line)

    async def apply_node(self, body: Raw) -> Raw:
        """Server-side apply a DamonNode as the operator's; return the object as stored."""
        name = body["metadata"]["name"]
        return await self._call(
            "PATCH",
            f"{DAMON_NODES.path}/{name}",
            query=[("fieldManager", names.OPERATOR_FIELD_MANAGER), ("force", "true")],
            body=body,
            content_type=_APPLY,
        )

    async def delete_node(self, name: str, uid: str) -> None:
        """Delete a DamonNode if it still is the one with this uid."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        await self._call("DELETE", f"{DAMON_NODES.path}/{name}", body=body)

    async def write_tuning_status(self, name: str, uid: str, status: Raw) -> None:
        """Replace the status of a DamonTuning if it still is the one with this uid."""
        await self._call(
            "PATCH",
            f"{DAMON_TUNINGS.path}/{name}/status",
            query=[("fieldManager", names.OPERATOR_FIELD_MANAGER)],
            body={"metadata": {"uid": uid}, "status": status},
            content_type=_MERGE,
        )

    async def create_event(self, namespace: str, body: Raw) -> None:
        """Create an Event of events.k8s.io/v1; Conflict when one of that name exists."""
        await self._call("POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", body=body)

    async def read_lease(self, namespace: str, name: str) -> Raw:
        """Return a Lease."""
        return await self._call("GET", f"{_leases(namespace)}/{name}")

    async def create_lease(self, namespace: str, body: Raw) -> Raw:
        """Create a Lease; Conflict when somebody else was faster."""
        return await self._call("POST", _leases(namespace), body=body)

    async def replace_lease(self, namespace: str, name: str, body: Raw) -> Raw:
        """Replace a Lease; Conflict when its resourceVersion moved on."""
        return await self._call("PUT", f"{_leases(namespace)}/{name}", body=body)

    async def delete_lease(self, namespace: str, name: str) -> None:
        """Delete a Lease."""
        await self._call("DELETE", f"{_leases(namespace)}/{name}")

    async def read_deployment(self, namespace: str, name: str) -> Raw:
        """Return a Deployment; NotFound when there is none."""
        return await self._call("GET", f"{_deployments(namespace)}/{name}")

    async def delete_deployment(self, namespace: str, name: str) -> None:
        """Delete a Deployment; it is there until the last of its pods has gone."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        await self._call("DELETE", f"{_deployments(namespace)}/{name}", body=body)

    async def delete_tuning(self, name: str) -> None:
        """Delete a DamonTuning."""
        await self._call("DELETE", f"{DAMON_TUNINGS.path}/{name}")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: _Query = (),
        body: Raw | None = None,
        content_type: str = _JSON,
    ) -> dict[str, Any]:
        limits = aiohttp.ClientTimeout(total=_REQUEST_S, sock_connect=_CONNECT_S)
        async with self._request(
            method, path, query=query, body=body, content_type=content_type, limits=limits
        ) as response:
            request = f"{method} {path}"
            with _transport(request):
                data = await response.read()
            return _parsed(request, data)

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: _Query,
        limits: aiohttp.ClientTimeout,
        body: Raw | None = None,
        content_type: str = _JSON,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; the response has a status below 300 and is released at the end."""
        request = f"{method} {path}"
        with _transport(request):
            method, url, headers, payload, _ = await self._client.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params={"Accept": _JSON, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = await self._client.call_api(
                method, url, headers, payload, _request_timeout=limits
            )
        response: aiohttp.ClientResponse = answer.response
        try:
            if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                with _transport(request):
                    data = await response.read()
                raise _refusal(request, response, data)
            yield response
        finally:
            response.close()  # after the last byte the connection is back in the pool already


@asynccontextmanager
async def connect(kubeconfig: str | None) -> AsyncIterator[Cluster]:
    """Open the API server a kubeconfig names, or the one this pod runs in when there is none.

    Raise ConfigException when neither can be read.
    """
    configuration = Configuration()
    refresher = None
    if kubeconfig is None:
        _config.load_incluster_config(client_configuration=configuration)
    else:
        loader = await _config.load_kube_config(
            config_file=kubeconfig, client_configuration=configuration, persist_config=False
        )
        # Ends at once where nothing expires; in-cluster tokens are read anew by the client.
        refresher = asyncio.create_task(
            _config.refresh_token(loader, client_configuration=configuration)
        )
    cluster = Cluster(configuration)
    try:
        yield cluster
    finally:
        if refresher is not None:
            refresher.cancel()
        await cluster.close()


@contextmanager
def _transport(request: str) -> Iterator[None]:
    """Turn whatever the transport raises into Unavailable."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        # ValueError: a line longer than the client's buffer of 4 MiB; OSError: the token file.
        reason = f"{type(error).__name__} {error}".strip()[:200]
        raise errors.Unavailable(request, 0, reason) from error


def _parsed(request: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise errors.Unavailable(request, 200, f"answer is no JSON: {data[:80]!r}") from error
    if not isinstance(value, dict):
        raise errors.Unavailable(request, 200, f"answer is no object: {data[:80]!r}")
    return value


def _refusal(request: str, response: aiohttp.ClientResponse, data: bytes) -> errors.ApiError:
    """Return the error an answer stands for; bodies of proxies are not always a Status."""
    try:
        said: object = json.loads(data)
    except ValueError:
        said = None
    status: Mapping[str, Any] = said if isinstance(said, dict) else {}
    code = response.status
    reason = str(status.get("reason") or response.reason or "")
    message = str(status.get("message") or "")[:1000]
    if code == HTTPStatus.GONE:
        return errors.Gone(request, code, reason, message)
    if code == HTTPStatus.NOT_FOUND:
        return errors.NotFound(request, code, reason, message)
    if code == HTTPStatus.CONFLICT:
        return errors.Conflict(request, code, reason, message)
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR or code == HTTPStatus.TOO_MANY_REQUESTS:
        try:
            retry_after_s = min(60.0, float(response.headers.get("Retry-After") or 0))
        except ValueError:
            retry_after_s = 0.0  # an HTTP date; the back-off is good enough
        return errors.Unavailable(request, code, reason, message, retry_after_s=retry_after_s)
    return errors.Refused(request, code, reason, message)


def _selector(resource: Resource) -> _Query:
    return [("fieldSelector", resource.field_selector)] if resource.field_selector else []


def _leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _deployments(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"
