"""The one place of `kubectl damon` that talks to the API server, over urllib3.

Bodies stay raw JSON. Every failure leaves as one of `errors.CliError`, in words for a person.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3

from damon_cli.errors import (
    CliError,
    ForbiddenError,
    KubeconfigError,
    NotFoundError,
    NotInstalledError,
    RefusedError,
    UnreachableError,
    UsageError,
)
from damon_cli.kubeconfig import Connection
from damon_contract import names
from damon_contract.access import AccessError
from damon_contract.connections import pool
from damon_contract.watches import IDLE_S, WATCH_S, retry_after_s

Raw = dict[str, Any]

_JSON: Final = "application/json"
_TABLE: Final = "application/json;as=Table;g=meta.k8s.io;v=v1, application/json"
_ANY: Final = "*/*"
_TEXT_BYTES: Final = 16 * 2**20
_CONNECT_S: Final = 5.0
_CONNECTIONS: Final = 4
_READ_S: Final = 60.0
_PAGE: Final = 500
OURS: Final = f"/apis/{names.API_VERSION}"
TUNINGS: Final = f"{OURS}/{names.TUNING_PLURAL}"
DAMON_NODES: Final = f"{OURS}/{names.NODE_PLURAL}"


class WatchEndedError(UnreachableError):
    """A watch that is over before its time, or whose version is too old: list again."""


class Client:
    """The API server of one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pool: urllib3.PoolManager | None = None

    @property
    def namespace(self) -> str:
        """Where namespaced objects are looked for."""
        return self.connection.namespace

    def get(self, path: str) -> Raw:
        """Return an object; raise NotFoundError when there is none."""
        return _object(self._answer("GET", path), path)

    def find(self, path: str) -> Raw | None:
        """Return an object, or None when there is none."""
        try:
            return self.get(path)
        except NotFoundError:
            return None

    def items(self, path: str, *, labels: str = "", fields: str = "") -> Iterator[Raw]:
        """Yield the objects of a list, page by page."""
        for page in self.pages(path, labels=labels, fields=fields):
            yield from page.get("items") or ()

    def pages(
        self,
        path: str,
        *,
        labels: str = "",
        fields: str = "",
        table: bool = False,
        size: int = _PAGE,
    ) -> Iterator[Raw]:
        """Yield the pages of a list; of a table, with what `kubectl get -o wide` prints."""
        after = ""
        while True:
            query: dict[str, str] = {"limit": str(size)}
            query |= {"labelSelector": labels} if labels else {}
            query |= {"fieldSelector": fields} if fields else {}
            query |= {"continue": after} if after else {}
            accept = _TABLE if table else _JSON
            page = _object(
                self._answer("GET", f"{path}?{urlencode(query, errors='replace')}", accept=accept),
                path,
            )
            yield page
            after = str((page.get("metadata") or {}).get("continue") or "")
            if not after:
                return

    def watch(
        self, path: str, version: str, *, fields: str = "", timeout_s: float = WATCH_S
    ) -> Iterator[Raw]:
        """Yield watch events until the server ends the watch; raise WatchEndedError."""
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, int(timeout_s))),
        }
        query |= {"fieldSelector": fields} if fields else {}
        read_s = min(IDLE_S, timeout_s + 5)
        response = self._open("GET", f"{path}?{urlencode(query, errors='replace')}", read_s=read_s)
        rest = b""
        try:
            while part := response.read1(65536):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    event = _object(line, path)
                    if event.get("type") == "ERROR":
                        raise WatchEndedError(f"the watch of {path} is over")
                    yield event
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise WatchEndedError(f"the watch of {path} broke off: {error}") from error
        finally:
            response.close()

    def send(
        self, method: str, path: str, body: Mapping[str, Any], *, content_type: str = _JSON
    ) -> Raw:
        """Send a body; return the answer. Raise RefusedError with the API server's words."""
        return _object(self._answer(method, path, body=body, content_type=content_type), path)

    def create(self, collection: str, body: Mapping[str, Any]) -> Raw:
        """Create an object in a collection; return it as the API server keeps it."""
        return self.send("POST", collection, body)

    def delete(self, path: str, *, grace_s: int | None = None) -> None:
        """Delete an object; one that is gone already is fine. `grace_s` None: as long as it says.

        A pod on a node goes once its kubelet has ended it: this does not wait for that.
        """
        query = "" if grace_s is None else f"?gracePeriodSeconds={grace_s}"
        with suppress(NotFoundError):
            self._answer("DELETE", path + query)

    def text(self, path: str, *, most_bytes: int = _TEXT_BYTES, read_s: float = _READ_S) -> str:
        """Return what is no JSON, such as a log; what is beyond `most_bytes` is left out."""
        response = self._open("GET", path, accept=_ANY, read_s=read_s)
        try:
            return response.read(most_bytes).decode(errors="replace")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(f"{path}: the answer broke off: {error}") from error
        finally:
            response.close()  # the rest of it is not read, so its connection cannot serve again

    def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            self._pool.clear()

    def _answer(
        self,
        method: str,
        target: str,
        *,
        body: Mapping[str, Any] | None = None,
        accept: str = _JSON,
        content_type: str = _JSON,
    ) -> bytes:
        response = self._open(method, target, body=body, accept=accept, content_type=content_type)
        try:
            return response.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(f"the answer of the API server broke off: {error}") from error
        finally:
            response.release_conn()

    def _open(
        self,
        method: str,
        target: str,
        *,
        body: Mapping[str, Any] | None = None,
        accept: str = _JSON,
        content_type: str = _JSON,
        read_s: float = _READ_S,
    ) -> urllib3.BaseHTTPResponse:
        access = self.connection.access
        headers = urllib3.HTTPHeaderDict({"Accept": accept, "User-Agent": "kubectl-damon"})
        headers.extend(self.connection.headers)
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            if authorization := access.authorization():
                headers["Authorization"] = authorization
            if self._pool is None:
                self._pool = pool(access, _CONNECTIONS)
            response = self._pool.request(
                method,
                access.server + target,
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, AccessError, OSError) as error:
            raise _unreachable(self.connection, error) from error
        except ValueError:  # its message may have the token in it
            raise KubeconfigError(
                f"no request can be made of context {self.connection.context}",
                "look for characters that HTTP does not allow in its server, token and names",
            ) from None
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            try:
                answer = response.read(65536)
            except (urllib3.exceptions.HTTPError, OSError):
                answer = b""
            finally:
                response.release_conn()
            asked_s = retry_after_s(response.headers.get("Retry-After"))
            raise _refusal(method, target.partition("?")[0], response.status, answer, asked_s)
        return response


def of_namespace(namespace: str, plural: str, *, group: str = "/api/v1") -> str:
    """Return the path of a collection in a namespace; of all namespaces when that is empty."""
    return (
        f"{group}/namespaces/{_segment(namespace)}/{plural}" if namespace else f"{group}/{plural}"
    )


def object_path(collection: str, name: str) -> str:
    """Return the path of an object in a collection."""
    return f"{collection}/{_segment(name)}"


def _segment(name: str) -> str:
    """Return a name as a part of a path; raise UsageError if it would lead elsewhere."""
    if name in {"", ".", ".."}:
        raise UsageError(f"{name!r} is no name of an object")
    return quote(name, safe="", errors="replace")


def _unreachable(connection: Connection, error: Exception) -> UnreachableError:
    cause = error.args[-1] if error.args and not isinstance(error, AccessError) else error
    return UnreachableError(
        f"no answer from {connection.access.server} (context {connection.context}): {cause}",
        "is it the right context? --context and --kubeconfig choose another",
    )


def _refusal(method: str, path: str, status: int, answer: bytes, asked_s: float = 0.0) -> CliError:
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        said = {}
    said = said if isinstance(said, dict) else {}
    message = str(said.get("message") or answer[:200].decode(errors="replace").strip() or status)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        remedy = f"`kubectl auth can-i --list` says what you may; needed is: {method} {path}"
        return ForbiddenError(message, remedy)
    if status == HTTPStatus.NOT_FOUND:
        # Only a Status about an object has its name: else the whole resource is unknown.
        named = (said.get("details") or {}).get("name")
        return _absent(message, path) if named else _unknown(path)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        why = f"the API server cannot answer now: {status} {message}"
        return UnreachableError(why, retry_after_s=asked_s)
    if status == HTTPStatus.GONE:
        return WatchEndedError(message)
    return RefusedError(message, status)


def _absent(message: str, path: str) -> NotFoundError:
    _, inside, rest = path.partition("/namespaces/")
    if not inside or "/" not in rest:
        return NotFoundError(message)
    namespace = rest.partition("/")[0]
    return NotFoundError(f"{message} in namespace {namespace}", "-n chooses another namespace")


def _unknown(path: str) -> NotInstalledError:
    if path.startswith(OURS):
        return NotInstalledError(
            "this cluster has no damon-operator: its CRDs are not installed",
            "install the chart, or choose another context with --context",
        )
    return NotInstalledError(f"this API server does not know {path}")


def _object(data: bytes, path: str) -> Raw:
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreachableError(f"{path}: the answer is no JSON: {error}") from error
    if not isinstance(answer, dict):
        raise UnreachableError(f"{path}: the answer is no JSON object")
    return answer
