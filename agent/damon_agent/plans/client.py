"""Three requests about one DamonNode, by the `kubernetes` client.

Credentials, TLS and token rotation are the client's business. Answers stay raw JSON: its typed
models would cost the agent memory.
"""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3

from damon_agent.plans.errors import ExpiredError, RefusedError, UnreachableError
from damon_agent.plans.kube import (
    ApiClient,
    ApiException,
    ConfigException,
    Configuration,
    InClusterConfigLoader,
)
from damon_contract import names

_LOGGER: Final = logging.getLogger(__name__)
_PATH: Final = f"/apis/{names.GROUP}/{names.VERSION}/{names.NODE_PLURAL}"
_METADATA_ONLY: Final = (
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json;q=0.5"
)
_CONNECT_S: Final = 5.0
_READ_S: Final = 30.0
_GONE: Final = 410


class Watch:
    """The stream of one watch; iterate over its events, `stop` it from any thread."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield events until the server ends the watch.

        Raise ExpiredError for an ERROR event with code 410, UnreachableError for a broken stream.
        """
        rest = b""
        try:
            while part := self._response.read1(65536):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield _event(line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise UnreachableError(f"watch: {error}") from error

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
    """The DamonNode of one node."""

    def __init__(self, api: ApiClient, node_name: str) -> None:
        self._api = api
        self._name = node_name
        self._selector = {"fieldSelector": f"metadata.name={node_name}"}

    def list(self) -> dict[str, Any]:
        """Return the list of this one object: it has one item or none."""
        response = self._request("GET", f"{_PATH}?{urlencode(self._selector)}")
        return _object(response)

    def watch(self, resource_version: str, timeout_s: int) -> Watch:
        """Open a watch from a resource version; the server ends it after the time-out."""
        query = {
            **self._selector,
            "watch": "1",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": timeout_s,
        }
        # A server that is gone without a word is noticed by TCP keep-alive, or by this.
        return Watch(self._request("GET", f"{_PATH}?{urlencode(query)}", read_s=timeout_s + 15.0))

    def patch_status(self, status: dict[str, Any]) -> None:
        """Merge into the status; a key whose value is None goes away (RFC 7386)."""
        query = urlencode({"fieldManager": names.AGENT_FIELD_MANAGER})
        target = f"{_PATH}/{quote(self._name)}/status?{query}"
        response = self._request("PATCH", target, body={"status": status}, accept=_METADATA_ONLY)
        # Read to its end, so that the connection can be used again; the content is not needed.
        _read(response)

    def close(self) -> None:
        """Close all idle connections."""
        self._api.rest_client.pool_manager.clear()

    def _request(
        self,
        method: str,
        target: str,
        *,
        body: dict[str, Any] | None = None,
        accept: str = "application/json",
        read_s: float = _READ_S,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        what = f"{method} {target.partition('?')[0]}"
        try:
            request = self._api.param_serialize(
                method, target, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            answer = self._api.call_api(*request, _request_timeout=(_CONNECT_S, read_s))
            response: urllib3.BaseHTTPResponse = answer.response
        except (
            urllib3.exceptions.HTTPError,
            ApiException,
            ConfigException,
            OSError,
        ) as error:
            raise UnreachableError(f"{what}: {error}") from error
        if not 200 <= response.status <= 299:
            message = _read(response).decode(errors="replace")
            if response.status == _GONE:
                raise ExpiredError(what)
            raise RefusedError(what, response.status, message)
        return response


def connect(kubeconfig: Path | None, service_account: Path, node_name: str) -> Api:
    """Return a client with the credentials of a kubeconfig, or of the pod it runs in.

    `service_account` is the directory with a pod's token and ca.crt. Nothing is sent yet. Raise
    UnreachableError when there are no credentials.
    """
    configuration = Configuration()
    configuration.keep_alive = True
    configuration.retries = False
    # Untyped, as is all of the client's config package.
    loader: Callable[..., Any] = InClusterConfigLoader
    try:
        if kubeconfig is None:
            loader(
                token_filename=service_account / "token", cert_filename=service_account / "ca.crt"
            ).load_and_set(configuration)
        else:
            _load(kubeconfig, configuration)
    except (ConfigException, OSError) as error:
        raise UnreachableError(f"no credentials for the API server: {error}") from error
    api = ApiClient(configuration)
    api.user_agent = names.AGENT_FIELD_MANAGER
    return Api(api, node_name)


def _load(kubeconfig: Path, configuration: Configuration) -> None:
    # Late: it brings OAuth and YAML along, which an agent in a pod never needs.
    from kubernetes.config import load_kube_config  # noqa: PLC0415

    load: Callable[..., None] = load_kube_config
    load(str(kubeconfig), client_configuration=configuration)


def _event(line: bytes) -> dict[str, Any]:
    event = json.loads(line)
    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
        raise UnreachableError(f"not a watch event: {line[:80]!r}")
    if event.get("type") == "ERROR":
        status = event["object"]
        if status.get("code") == _GONE:
            raise ExpiredError("watch")
        raise RefusedError("watch", int(status.get("code", 0)), str(status.get("message", "")))
    return event


def _object(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        answer = json.loads(_read(response))
    except ValueError as error:
        raise UnreachableError(f"the answer is no JSON: {error}") from error
    if not isinstance(answer, dict):
        raise UnreachableError("the answer is no JSON object")
    return answer


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    try:
        data = response.read()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnreachableError(f"the answer broke off: {error}") from error
    else:
        return data
    finally:
        response.release_conn()
