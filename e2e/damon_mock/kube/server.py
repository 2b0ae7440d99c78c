"""The server: HTTP on a loopback port, in the caller's event loop."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from damon_mock.kube import discovery, failures, kubeconfig, paths, verbs, watch
from damon_mock.kube.cluster import Cluster
from damon_mock.kube.failures import ApiFailure, Body, NoSuchPage
from damon_mock.kube.faults import Faults
from damon_mock.kube.journal import Journal, Request
from damon_mock.kube.kubelets import Kubelets
from damon_mock.kube.listing import ListOptions
from damon_mock.kube.paths import Target
from damon_mock.kube.registry import Registry
from damon_mock.kube.store import encode
from damon_mock.kube.tls import Authority
from damon_mock.kube.watch import BrokenError, Watch

if TYPE_CHECKING:
    from ssl import SSLContext


class ApiServer:
    """An API server with an empty cluster.

    `async with ApiServer() as api:` serves at `api.url` until the block ends. `api.cluster` is the
    cluster without HTTP, `api.journal` the requests, `api.faults` what goes wrong, `api.kubelets`
    what kubelets would answer. `port` 0 takes a free one and keeps it through down() and up(). With
    an `authority` it speaks TLS.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        registry: Registry | None = None,
        authority: Authority | None = None,
        bookmark_interval_s: float = 5.0,
    ) -> None:
        self.registry = registry or Registry()
        self.cluster = Cluster(self.registry)
        self.journal = Journal()
        self.faults = Faults()
        self.kubelets = Kubelets()
        self.host = host
        self.port = port
        self.authority = authority
        self._bookmark_interval_s = bookmark_interval_s
        self._web: web.Server | None = None
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.down()

    @property
    def url(self) -> str:
        """Return where it serves."""
        return f"{'https' if self.authority else 'http'}://{self.host}:{self.port}"

    def kubeconfig(self, *, token: str = "") -> Body:
        """Return a kubeconfig for this server."""
        return kubeconfig.document(
            self.url,
            authority_pem=self.authority.certificate_pem if self.authority else b"",
            token=token or next(iter(sorted(self.faults.tokens)), ""),
        )

    def write_kubeconfig(self, path: Path, *, token: str = "") -> Path:
        """Write a kubeconfig file; return its path."""
        return kubeconfig.write(path, self.kubeconfig(token=token))

    # -- up and down --------------------------------------------------------------------------

    async def up(self) -> None:
        """Listen; on the same port as before."""
        if self._listener:
            return
        loop = asyncio.get_running_loop()
        self._web = web.Server(self._handle, handler_cancellation=True, access_log=None)
        context: SSLContext | None = self.authority.server_context() if self.authority else None
        self._listener = await loop.create_server(
            self._web, self.host, self.port, ssl=context, reuse_address=True
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections and break those that exist; the cluster keeps its objects."""
        if not self._listener or not self._web:
            return
        self._listener.close()
        self._listener = None
        self.registry.store.drop_subscriptions()
        for connection in list(self._web.connections):
            if connection.transport:
                connection.transport.abort()
        await self._web.shutdown(timeout=1.0)

    # -- faults that concern watches ------------------------------------------------------------

    def drop_watches(self) -> None:
        """Break the connections of all watches."""
        self.registry.store.drop_subscriptions()

    def expire_watches(self) -> None:
        """End all watches with an ERROR event of 410 and compact."""
        self.registry.store.drop_subscriptions(expire=True)
        self.compact()

    def compact(self) -> None:
        """Forget the history: a watch from an older version, or a list's next page, gets 410."""
        self.registry.store.compact()

    def gap(self, *deleted: tuple[str, str, str]) -> None:
        """Delete objects (kind, name, namespace) so that no watch ever tells.

        All watches break, and the history of the deletions is compacted away.
        """
        self.drop_watches()
        for kind, name, namespace in deleted:
            self.cluster.delete(kind, name, namespace, grace_seconds=0)
        self.compact()

    # -- requests -------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        noted = Request(
            request.method,
            request.path,
            dict(request.query),
            request.headers.get("User-Agent", ""),
            request.content_type if "Content-Type" in request.headers else "",
            len(raw),
        )
        self.journal.requests.append(noted)
        try:
            response = await self._respond(request, noted, raw)
        except ApiFailure as failure:
            noted.status = failure.code
            return _json(failure.body(), failure.code, failure.headers)
        except NoSuchPage:
            noted.status = 404
            return web.Response(status=404, text="404 page not found\n")
        except (asyncio.CancelledError, ConnectionError, BrokenError):
            noted.status = noted.status or 499
            if request.transport:
                request.transport.abort()
            raise asyncio.CancelledError from None
        noted.status = response.status
        return response

    async def _respond(
        self, request: web.BaseRequest, noted: Request, raw: bytes
    ) -> web.StreamResponse:
        target: Target | None = None
        if paths.is_resource(noted.path):
            target = paths.target(noted.path, self.registry.catalogue)
            noted.resource, noted.name = target.resource.plural, target.name
            noted.subresource = target.subresource
        self.faults.before(noted, request.headers.get("Authorization", ""))
        accept = request.headers.get("Accept", "")
        if target is None:
            if noted.is_write:
                raise failures.method_not_allowed()
            found = discovery.document(noted.path, self.registry.catalogue)
            return web.Response(text=found) if isinstance(found, str) else _json(found)
        if target.subresource in paths.STREAMED:
            return self._streamed(target, noted)
        if noted.method == "GET" and noted.is_watch:
            return await self._watch(request, noted, target, accept)
        answer = verbs.answer(self.registry, target, noted, raw, accept)
        response = _encoded(self.faults.after(noted, answer.body), answer.status)
        for warning in answer.warnings:
            quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.add("Warning", f'299 - "{quoted}"')
        return response

    def _streamed(self, target: Target, noted: Request) -> web.Response:
        """Return what a kubelet, or a pod, would answer."""
        if noted.method != "GET":
            raise failures.method_not_allowed()
        name = target.name.partition(":")[0] if target.subresource == "proxy" else target.name
        pod = self.registry.read(target.resource, (target.namespace, name)).body
        if target.subresource == "proxy":
            found = self.kubelets.page(target.namespace, target.name, target.below)
            return web.Response(text=found)
        log = self.kubelets.log(pod, noted.query)
        return web.Response(status=204) if log is None else web.Response(text=log)

    async def _watch(
        self, request: web.BaseRequest, noted: Request, target: Target, accept: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Cache-Control": "no-cache, private"})
        response.content_type = "application/json"
        try:
            stream = Watch(
                self.registry.store,
                target,
                ListOptions.of(noted.query),
                verbs.form(target.resource, accept),
                bookmark_interval_s=self._bookmark_interval_s,
            )
        except ApiFailure as failure:
            if failure.code != 410 or self.faults.expired_as_status:
                raise
            return _encoded(watch.error_stream(failure))
        noted.status = 200
        chunks = stream.chunks()
        try:
            await response.prepare(request)
            async for chunk in chunks:
                if chunk:
                    await response.write(chunk)
            await response.write_eof()
        finally:
            await chunks.aclose()
        return response


def _encoded(body: bytes, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-cache, private"}
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _json(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    response = _encoded(encode(body), status)
    response.headers.update(headers or {})
    return response
