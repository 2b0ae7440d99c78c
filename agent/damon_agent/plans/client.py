"""Three requests about one DamonNode and two about its Lease, over urllib3.

Not by the `kubernetes` client: only its transport would be used, and the rest of it takes memory on
every node (docs/adr/0015-watch-rules.md).
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import urllib3

from damon_agent.plans.errors import RefusedError, UnreachableError, UnusableError
from damon_contract import names
from damon_contract.access import Access, AccessError
from damon_contract.connections import pool
from damon_contract.watches import IDLE_S, LINE_BYTES, retry_after_s

if TYPE_CHECKING:
    import ssl

_LOGGER: Final = logging.getLogger(__name__)
_PATH: Final = f"/apis/{names.API_VERSION}/{names.NODE_PLURAL}"
_MERGE: Final = "application/merge-patch+json"
_METADATA_ONLY: Final = (
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json;q=0.5"
)
_CONNECT_S: Final = 5.0
_CONNECTIONS: Final = 2
_READ_S: Final = 30.0


class Watch:
    """The stream of one watch; iterate over its events, `stop` it from any thread."""

    def __init__(
        self, response: urllib3.BaseHTTPResponse, *, seen: Callable[[object], None]
    ) -> None:
        self._response = response
        self._seen = seen
        """Called with the object of each event."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield events until the server ends the watch.

        Raise UnusableError for an ERROR event and for what is no event, UnreachableError for a
        broken or silent stream.
        """
        rest = b""
        try:
            while part := self._response.read1(65536):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if line.strip():
                        event = _event(line)
                        self._seen(event["object"])
                        yield event
                if len(rest) > LINE_BYTES:
                    raise UnusableError(f"a watch event of more than {LINE_BYTES} bytes")
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise UnreachableError(f"watch: {error}") from error
        if rest.strip():
            raise UnreachableError("watch: the stream broke off within an event")

    def stop(self) -> None:
        """Wake a reader that waits for the next event; it finds the stream at its end."""
        try:
            self._response.shutdown()
        except (ValueError, OSError, RuntimeError) as error:
            # Already at its end, or never connected.
            _LOGGER.debug("stopping the watch: %s", error)

    def close(self) -> None:
        """Give the connection back; it can't be used for anything else."""
        self._response.close()


class Api:
    """The DamonNode of one node, and the Lease in `namespace` that says its agent works."""

    def __init__(
        self,
        access: Access,
        node_name: str,
        *,
        namespace: str = "default",
        idle_s: float = IDLE_S,
    ) -> None:
        self._access = access
        self._name = node_name
        self.lease = names.agent_lease(node_name)
        """Name of the Lease."""
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace)}/leases"
        self._idle_s = idle_s
        self._selector = {"fieldSelector": f"metadata.name={node_name}"}
        self._context: ssl.SSLContext | None = None
        self._pool: urllib3.PoolManager | None = None
        self._known = ("", "")
        """uid and resourceVersion of the object, as the last answer or event had them."""

    def list(self) -> dict[str, Any]:
        """Return the list of this one object: it has one item or none."""
        answer = _object(_read(self._request("GET", f"{_PATH}?{urlencode(self._selector)}")))
        items = answer.get("items")
        # An empty list may be null; anything else without items says nothing about the object.
        if "items" not in answer or not (items is None or isinstance(items, list)):
            raise UnusableError("the answer is no list")
        self._note(items[0] if items else None)
        return answer

    def watch(self, resource_version: str, timeout_s: int) -> Watch:
        """Open a watch from a resource version; the server ends it after the time-out."""
        query = {
            **self._selector,
            "watch": "1",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": timeout_s,
        }
        response = self._request("GET", f"{_PATH}?{urlencode(query)}", read_s=self._idle_s)
        return Watch(response, seen=self._note)

    def patch_status(self, uid: str, status: dict[str, Any]) -> None:
        """Merge into the status of the object with this uid; a key whose value is None goes away.

        Merge patch: RFC 7386. RefusedError with status 404 when there is no such object any more,
        with 409 when it changed meanwhile: then try again. The API server does not compare the uid
        of a patch, but its resourceVersion.
        """
        query = urlencode({"fieldManager": names.AGENT_FIELD_MANAGER})
        target = f"{_PATH}/{quote(self._name)}/status"
        if self._known[0] != uid:
            self.list()
        known_uid, version = self._known
        if known_uid != uid:
            message = f"there is no DamonNode with uid {uid}"
            raise RefusedError(f"PATCH {target}", HTTPStatus.NOT_FOUND, message)
        body = {"metadata": {"resourceVersion": version}, "status": status}
        try:
            response = self._request("PATCH", f"{target}?{query}", body=body, accept=_METADATA_ONLY)
        except RefusedError as error:
            if error.status == HTTPStatus.CONFLICT:
                self._note(None)  # the next attempt lists
            raise
        self._note(_object(_read(response)))

    def renew(self, uid: str, moment: str, duration_s: int) -> None:
        """Renew the Lease; make it when there is none, as a dependant of the DamonNode `uid`.

        `moment` is metav1.MicroTime. A patch, because nobody else writes it.
        """
        spec: dict[str, Any] = {"renewTime": moment}
        try:
            target = f"{self._leases}/{quote(self.lease)}"
            answer = self._request("PATCH", target, body={"spec": spec}, accept=_METADATA_ONLY)
        except RefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            owner = {"apiVersion": names.API_VERSION, "kind": names.NODE_KIND}
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {
                    "name": self.lease,
                    "labels": names.AGENT_LEASE_LABELS,
                    "ownerReferences": [{**owner, "name": self._name, "uid": uid}],
                },
                "spec": {
                    **spec,
                    "holderIdentity": self._name,
                    "leaseDurationSeconds": duration_s,
                },
            }
            answer = self._request("POST", self._leases, body=body, accept=_METADATA_ONLY)
        _read(answer)

    def close(self) -> None:
        """Close all idle connections."""
        if self._pool is not None:
            self._pool.clear()

    def _note(self, item: object) -> None:
        """Remember which object this is, and which state of it."""
        metadata = item.get("metadata") if isinstance(item, dict) else None
        known = metadata if isinstance(metadata, dict) else {}
        if item is None or "uid" in known:  # a bookmark has no uid
            self._known = (str(known.get("uid", "")), str(known.get("resourceVersion", "")))

    def _request(
        self,
        method: str,
        target: str,
        *,
        body: dict[str, Any] | None = None,
        accept: str = "application/json",
        read_s: float = _READ_S,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; return the response, of which only the headers have been read."""
        headers = {"Accept": accept, "User-Agent": names.AGENT_FIELD_MANAGER}
        if body is not None:
            headers["Content-Type"] = _MERGE if method == "PATCH" else "application/json"
        what = f"{method} {target.partition('?')[0]}"
        try:
            if authorization := self._access.authorization():
                headers["Authorization"] = authorization
            response = self._connections().request(
                method,
                self._access.server + target,
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, AccessError, OSError, ValueError) as error:
            raise UnreachableError(f"{what}: {error}") from error
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            message = _read(response).decode(errors="replace")
            asked_s = retry_after_s(response.headers.get("Retry-After"))
            raise RefusedError(what, response.status, message, retry_after_s=asked_s)
        return response

    def _connections(self) -> urllib3.PoolManager:
        """Return the open connections; new ones when the authorities have been replaced."""
        context = self._access.context()
        if self._pool is None or context is not self._context:
            self.close()
            self._context, self._pool = context, pool(self._access, _CONNECTIONS)
        return self._pool


def connect(
    kubeconfig: Path | None, service_account: Path, node_name: str, namespace: str = "default"
) -> Api:
    """Return a client with the credentials of a kubeconfig, or of the pod it runs in.

    `service_account` is the directory with a pod's token and ca.crt, `namespace` that of the Lease.
    Nothing is sent yet. Raise UnreachableError when there are no credentials.
    """
    try:
        if kubeconfig is None:
            access = Access.of_pod(service_account, os.environ)
        else:
            access = _of_kubeconfig(kubeconfig)
    except (AccessError, OSError, ImportError) as error:
        raise UnreachableError(f"no credentials for the API server: {error}") from error
    return Api(access, node_name, namespace=namespace)


def _of_kubeconfig(path: Path) -> Access:
    # Late, and no dependency of the agent's: in a pod there is no kubeconfig.
    from kubernetes.client.configuration import Configuration  # noqa: PLC0415
    from kubernetes.config import ConfigException, load_kube_config  # noqa: PLC0415

    load: Callable[..., None] = load_kube_config  # untyped, as is all of the client's config
    configuration = Configuration(proxy="")  # else the client takes one from the environment
    try:
        load(str(path), client_configuration=configuration)
    except ConfigException as error:
        raise AccessError(str(error)) from error
    return Access.of_kubeconfig(configuration, os.environ)


def _event(line: bytes) -> dict[str, Any]:
    event = _object(line)
    item = event.get("object")
    if not isinstance(item, dict):
        raise UnusableError(f"not a watch event: {line[:80]!r}")
    if event.get("type") == "ERROR":
        details = item.get("details")
        asked = details.get("retryAfterSeconds") if isinstance(details, dict) else None
        message = f"watch: {item.get('code')} {item.get('reason')}: {item.get('message')}"
        raise UnusableError(message[:500], retry_after_s=retry_after_s(asked))
    return event


def _object(data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"no JSON: {data[:80]!r}: {error}"[:200]) from error
    if not isinstance(answer, dict):
        raise UnusableError(f"no JSON object: {data[:80]!r}")
    return answer


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the rest of an answer; one object and its list are never larger than an event."""
    try:
        data = response.read(LINE_BYTES + 1)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnreachableError(f"the answer broke off: {error}") from error
    else:
        if len(data) > LINE_BYTES:
            response.close()
            raise UnusableError(f"an answer of more than {LINE_BYTES} bytes")
        return data
    finally:
        response.release_conn()
