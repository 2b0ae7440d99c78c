"""The one place that talks to the API server, over aiohttp.

Bodies stay raw JSON: typed models cost five times the CPU of `json.loads`. Every failure leaves as
one of `errors.ApiError`. Nothing here can modify a pod: there is no method for it.
"""

import json
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from kubernetes.client.configuration import Configuration
from kubernetes.config import ConfigException, load_kube_config

from damon_contract import names
from damon_contract.access import SERVICE_ACCOUNT, Access, AccessError
from damon_contract.watches import LINE_BYTES, WATCH_S, retry_after_s
from damon_operator import errors
from damon_operator.listing import ListReader, left_out
from damon_operator.resources import DAMON_NODES, DAMON_TUNINGS, Page, Raw, Resource

_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_REQUEST_S: Final = 60.0
"""API servers give up on ordinary requests after 60 s."""
_CONNECT_S: Final = 10.0
_REFUSAL_BYTES: Final = 65536
"""Of the body of a refusal, which proxies fill as they like."""
MISSING_CRDS: Final = (
    "its CRD is missing; `kubectl apply -f crds/`, or upgrade the release, to go on"
)
_KIND: Final = re.compile(r'\{\s*"type"\s*:\s*"(ADDED|MODIFIED|DELETED)"')

_Query = Sequence[tuple[str, str]]
_load_kube_config: Any = load_kube_config


class Cluster:
    """The API server, as far as the operator needs it."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._session: aiohttp.ClientSession | None = None
        self._opened: tuple[aiohttp.ClientSession, ...] = ()
        """Those that may still be open: kopf does not close its own in every end."""
        self._context: object = None

    async def close(self) -> None:
        """Close all connections."""
        for session in self._opened:
            await session.close()

    def patient_session(self) -> aiohttp.ClientSession:
        """Return a session for kopf: as `new_session`, but what is not served is as no answer.

        kopf ends on a 404, and tries again for ever where nobody answers. CRDs that are missing, or
        are deleted, are somebody's to bring back; until then the operator waits.
        """
        return self.new_session(_served)

    def new_session(self, *further: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
        """Return a session of its own for the API server, closed with the cluster at the latest.

        The token is read anew for every request; the authorities are those of this moment.
        """
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.access.context()),
            # Compressed, a page of any size may come in one piece.
            headers={"User-Agent": "damon-operator", "Accept-Encoding": "identity"},
            middlewares=(*further, self._authorized),
            proxy=self.access.proxy,
        )
        self._opened = (*(each for each in self._opened if not each.closed), session)
        return session

    async def page(
        self, resource: Resource, *, limit: int, after: str, take: Callable[[object], None]
    ) -> Page:
        """Hand on the objects of a page of a list: see `resources.ListerWatcher`."""
        query = [("limit", str(limit)), *_selector(resource)]
        if after:
            query.append(("continue", after))
        request = f"GET {resource.path}"
        limits = aiohttp.ClientTimeout(total=_REQUEST_S, sock_connect=_CONNECT_S)
        async with self._request("GET", resource.path, query=query, limits=limits) as response:
            reader = ListReader(take, LINE_BYTES)
            try:
                with _transport(request, HTTPStatus.OK):
                    async for data in response.content.iter_any():
                        reader.feed(data)
                listed = reader.end()
            except ValueError as error:
                raise errors.Unavailable(request, 200, str(error)) from error
        metadata = listed.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        return Page(
            resource_version=str(metadata.get("resourceVersion") or ""),
            next=str(metadata.get("continue") or ""),
        )

    async def watch(
        self, resource: Resource, *, version: str, idle_s: float
    ) -> AsyncGenerator[Raw, None]:
        """Yield watch events: see `resources.ListerWatcher`."""
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(WATCH_S)),
            *_selector(resource),
        ]
        limits = aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=idle_s)
        async with self._request("GET", resource.path, query=query, limits=limits) as response:
            request = f"watch {resource.path}"
            async for line in _lines(request, response.content):
                yield _event(request, line)

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

    async def apply_node_status(self, body: Raw) -> Raw:
        """Server-side apply what the operator says in a DamonNode's status; return the object.

        Conflict when it has another resourceVersion by now than the body.
        """
        return await self._call(
            "PATCH",
            f"{DAMON_NODES.path}/{body['metadata']['name']}/status",
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

    async def write_tuning_status(self, name: str, version: str, status: Raw) -> Raw:
        """Replace the status of a DamonTuning that still has this resourceVersion; return it.

        Of what a patch says of metadata, resourceVersion is the only precondition: the API server
        sets uid itself before it compares.
        """
        return await self._call(
            "PATCH",
            f"{DAMON_TUNINGS.path}/{name}/status",
            query=[("fieldManager", names.OPERATOR_FIELD_MANAGER)],
            body={"metadata": {"resourceVersion": version}, "status": status},
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
            with _transport(request, HTTPStatus.OK):
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
            session = await self._current()
            response = await session.request(
                method,
                self.access.server + path,
                params=list(query),
                data=None if body is None else json.dumps(body),
                headers={"Accept": _JSON, "Content-Type": content_type},
                timeout=limits,
                allow_redirects=False,
            )
        try:
            if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                with _transport(request):
                    data = await response.content.read(_REFUSAL_BYTES)
                raise _refusal(request, response, data)
            yield response
        finally:
            response.close()  # after the last byte the connection is back in the pool already

    async def _current(self) -> aiohttp.ClientSession:
        """Return the session; a new one when the authorities have been replaced."""
        context = self.access.context()
        if self._session is None or context is not self._context:
            before = self._session
            # The new one first: whoever asks while the old one is closed gets it.
            self._context, self._session = context, self.new_session()
            if before is not None:
                await before.close()
        return self._session

    async def _authorized(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            authorization = self.access.authorization()
        except AccessError as error:
            raise aiohttp.ClientConnectionError(str(error)) from error
        if authorization is not None:
            request.headers["Authorization"] = authorization
        if self.access.server_name is not None:
            request.server_hostname = self.access.server_name
        return await handler(request)


@asynccontextmanager
async def connect(kubeconfig: str | None) -> AsyncIterator[Cluster]:
    """Open the API server a kubeconfig names, or the one this pod runs in when there is none.

    Raise StartError when neither can be read.
    """
    try:
        access = _access(kubeconfig)
    except (AccessError, ConfigException, OSError) as error:
        message = f"no API server: give --kubeconfig or run in a cluster: {error}"
        raise errors.StartError(message) from error
    cluster = Cluster(access)
    try:
        yield cluster
    finally:
        await cluster.close()


def _access(kubeconfig: str | None) -> Access:
    if kubeconfig is None:
        return Access.of_pod(SERVICE_ACCOUNT, os.environ)
    configuration = Configuration(proxy="")  # else the client takes one from the environment
    _load_kube_config(kubeconfig, client_configuration=configuration, persist_config=False)
    return Access.of_kubeconfig(configuration, os.environ)


async def _served(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if response.status == HTTPStatus.NOT_FOUND:
        response.close()
        raise aiohttp.ClientConnectionError(f"{request.url.path} is not served: {MISSING_CRDS}")
    return response


@contextmanager
def _transport(request: str, status: int = 0) -> Iterator[None]:
    """Turn whatever the transport raises into Unavailable; `status` when there was an answer."""
    try:
        yield
    except (aiohttp.ClientError, AccessError, TimeoutError, OSError) as error:
        reason = f"{type(error).__name__} {error}".strip()[:200]
        raise errors.Unavailable(request, status, reason) from error


async def _lines(request: str, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a stream; of one that is too long only its beginning."""
    pieces: list[bytes] = []
    size_bytes = 0
    with _transport(request, HTTPStatus.OK):
        async for data in content.iter_any():
            *ended, rest = data.split(b"\n")
            for line in ended:
                if size_bytes <= LINE_BYTES:
                    pieces.append(line)
                yield b"".join(pieces)
                pieces.clear()
                size_bytes = 0
            if size_bytes <= LINE_BYTES:
                pieces.append(rest)
            size_bytes += len(rest)
    if any(pieces):
        raise errors.Unavailable(request, HTTPStatus.OK, "the stream broke off within an event")


def _event(request: str, line: bytes) -> Raw:
    """Read an event; of one whose object can't be read, whose it is."""
    try:
        if len(line) > LINE_BYTES:
            raise ValueError(f"larger than {LINE_BYTES} bytes")  # noqa: TRY301 - as unreadable
        event = json.loads(line)
    except (ValueError, RecursionError) as error:
        text = line.decode(errors="replace")
        about = left_out(text, error)
        kind = _KIND.match(text)
        if kind is None or not about.metadata.get("resourceVersion"):
            raise errors.Unusable(request, 200, f"no event: {line[:80]!r}") from error
        return {"type": kind[1], "object": about}
    if not isinstance(event, dict):
        raise errors.Unusable(request, 200, f"no event: {line[:80]!r}")
    return event


def _parsed(request: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise errors.Unavailable(request, 200, f"answer is no JSON: {data[:80]!r}") from error
    if not isinstance(value, dict):
        raise errors.Unavailable(request, 200, f"answer is no object: {data[:80]!r}")
    return value


def _refusal(request: str, response: aiohttp.ClientResponse, data: bytes) -> errors.ApiError:
    """Return the error an answer stands for; bodies of proxies are not always a Status."""
    try:
        said: object = json.loads(data)
    except (ValueError, RecursionError):
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
        asked_s = retry_after_s(response.headers.get("Retry-After"))
        return errors.Unavailable(request, code, reason, message, retry_after_s=asked_s)
    return errors.Refused(request, code, reason, message)


def _selector(resource: Resource) -> _Query:
    stated = {"fieldSelector": resource.field_selector, "labelSelector": resource.label_selector}
    return [(name, value) for name, value in stated.items() if value]


def _leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _deployments(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"
