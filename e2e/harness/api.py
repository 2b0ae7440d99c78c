"""The API server, as an administrator sees it: paths, bodies, and answers as they came."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import urllib3
from kubernetes import client, config

Body = dict[str, Any]
T = TypeVar("T")

_GROUPS: Final[Mapping[str, str]] = {
    "nodes": "/api/v1",
    "namespaces": "/api/v1",
    "pods": "/api/v1",
    "events": "/api/v1",
    "serviceaccounts": "/api/v1",
    "priorityclasses": "/apis/scheduling.k8s.io/v1",
    "deployments": "/apis/apps/v1",
    "daemonsets": "/apis/apps/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "damontunings": "/apis/damon-operator.io/v1alpha1",
    "damonnodes": "/apis/damon-operator.io/v1alpha1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
}


EDITS: Final = 10
"""Reads and writes until an edit counts as hopeless: the operator writes statuses all the time."""


class Refused(Exception):  # noqa: N818 - what the API server did, not a defect
    """The API server answered with an error; `code`, and `message` in its words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Api:
    """`get("pods", "web", "shop")`; without a name, all of them as a list."""

    def __init__(self, token: str = "") -> None:
        """With a token, its holder and nobody else; else who KUBECONFIG says."""
        chosen = client.Configuration()
        load: Callable[..., None] = config.load_kube_config
        load(client_configuration=chosen)
        self.server = str(chosen.host)
        self.authority = str(chosen.ssl_ca_cert)
        self._who = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = urllib3.PoolManager(
            ca_certs=chosen.ssl_ca_cert,
            # A client certificate would speak before the token.
            cert_file=None if token else chosen.cert_file,
            key_file=None if token else chosen.key_file,
        )

    def get(self, plural: str, name: str = "", namespace: str = "") -> Any:
        """Return one object, or the items of a list."""
        answered = self.ask("GET", path(plural, name, namespace))
        return answered if name else answered["items"]

    def find(self, plural: str, name: str, namespace: str = "") -> Body | None:
        """Return one object, or None if there is none."""
        try:
            found: Body = self.get(plural, name, namespace)
        except Refused as refused:
            if refused.code == 404:
                return None
            raise
        return found

    def create(self, plural: str, body: Body) -> Body:
        """Create an object in the namespace it names."""
        return self.ask("POST", path(plural, "", body["metadata"].get("namespace", "")), body)

    def patch(
        self, plural: str, name: str, change: Body, namespace: str = "", of: str = ""
    ) -> Body:
        """Merge a change into an object, or into its subresource `of`."""
        where = path(plural, name, namespace) + (f"/{of}" if of else "")
        return self.ask("PATCH", where, change)

    def edit(self, plural: str, name: str, change: Callable[[Body], None]) -> Body:
        """Change an object of the cluster as it is now; somebody may write it meanwhile."""
        for attempt in range(1, EDITS + 1):
            body = self.get(plural, name)
            change(body)
            try:
                return self.ask("PUT", path(plural, name), body)
            except Refused as refused:
                if refused.code != 409 or attempt == EDITS:
                    raise
        raise AssertionError

    def delete(self, plural: str, name: str, namespace: str = "") -> None:
        """Delete an object, if it is there."""
        try:
            self.ask("DELETE", path(plural, name, namespace))
        except Refused as refused:
            if refused.code != 404:
                raise

    def delete_now(self, plural: str, name: str, namespace: str = "") -> None:
        """Delete an object without waiting for whoever would have to confirm it."""
        try:
            self.ask("DELETE", path(plural, name, namespace) + "?gracePeriodSeconds=0")
        except Refused as refused:
            if refused.code != 404:
                raise

    def ask(self, verb: str, where: str, body: Body | None = None) -> Body:
        """Return the answer's body; Refused, or urllib3's errors when nobody answers."""
        kind = "application/merge-patch+json" if verb == "PATCH" else "application/json"
        answered = self._http.request(
            verb,
            self.server + where,
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": kind, "Accept": "application/json", **self._who},
            timeout=urllib3.Timeout(connect=5, read=30),
            retries=False,
        )
        if answered.status >= 400:
            try:
                message = str(answered.json()["message"])
            except (ValueError, KeyError):
                message = answered.data.decode("utf-8", "replace")
            raise Refused(answered.status, message)
        found: Body = answered.json()
        return found

    def watch(self, plural: str, namespace: str = "", seconds: int = 5) -> Iterator[Body]:
        """Yield the objects that there are, and each change, for so many seconds."""
        query = f"?watch=true&timeoutSeconds={seconds}"
        answered = self._http.request(
            "GET",
            self.server + path(plural, "", namespace) + query,
            preload_content=False,
            timeout=urllib3.Timeout(connect=5, read=seconds + 10),
            retries=False,
        )
        rest = b""
        try:
            if answered.status >= 400:
                raise Refused(answered.status, answered.data.decode("utf-8", "replace"))
            for piece in answered.stream():
                *lines, rest = (rest + piece).split(b"\n")
                for event in map(json.loads, lines):
                    if event["type"] == "ERROR":
                        return
                    yield event["object"]
        finally:
            answered.release_conn()

    def answers(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            answered = self._http.request(
                "GET", f"{self.server}/readyz", timeout=urllib3.Timeout(2), retries=False
            )
        except urllib3.exceptions.HTTPError:
            return False
        return answered.status == 200


def path(plural: str, name: str = "", namespace: str = "") -> str:
    """Return the path of an object, or of a list of them."""
    parts = [_GROUPS[plural]]
    if namespace:
        parts += ["namespaces", namespace]
    parts.append(plural)
    if name:
        parts.append(name)
    return "/".join(parts)


def ready(found: Body | None) -> tuple[str, str]:
    """Return status and reason of an object's condition Ready; both empty where there is none."""
    listed = (found or {}).get("status", {}).get("conditions", ())
    said = ((c["status"], c.get("reason", "")) for c in listed if c["type"] == "Ready")
    return next(said, ("", ""))


def eventually(
    what: str, look: Callable[[], T | None], within_s: float = 90, pause_s: float = 0.3
) -> T:
    """Return what `look` returns as soon as that is true; AssertionError when time is up.

    A look may be refused or find nobody at home; only its last failure is told.
    """
    deadline = time.monotonic() + within_s
    while True:
        failure: Exception | None = None
        try:
            found = look()
        except (Refused, urllib3.exceptions.HTTPError) as error:
            found, failure = None, error
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within_s:.0f} s still not: {what}") from failure
        time.sleep(pause_s)


def until_nothing(what: str, look: Callable[[], list[str]], within_s: float = 90) -> None:
    """Wait until `look` finds nothing wrong; AssertionError with what it found last."""
    found: list[str] = ["never looked"]

    def nothing() -> bool:
        nonlocal found
        found = look()
        return not found

    try:
        eventually(what, nothing, within_s)
    except AssertionError as error:
        raise AssertionError("\n".join([str(error), *found])) from error
