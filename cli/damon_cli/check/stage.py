"""The namespace of a check: there while it runs, and gone whatever happens."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from damon_cli import output, signals
from damon_cli.check import manifest
from damon_cli.client import Client, Raw, object_path, of_namespace
from damon_cli.errors import CliError, ForbiddenError, RefusedError
from damon_cli.wait import Sleep

NAMESPACES: Final = "/api/v1/namespaces"
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_ATTEMPTS: Final = 5
_APART_S: Final = 1.0
_NO_ACCOUNT_YET: Final = "error looking up service account"
"""The API server's words while the namespace is younger than its ServiceAccount."""


@contextmanager
def namespace(client: Client, *, keep: bool, sleep: Sleep = time.sleep) -> Iterator[str]:
    """Create a namespace; delete it at the end with all that is in it, on a signal as well."""
    name = "damon-check-" + "".join(secrets.choice(_LETTERS) for _ in range(5))
    with signals.interrupting():
        refused = False
        try:
            try:
                client.create(NAMESPACES, manifest.namespace(name))
            except (ForbiddenError, RefusedError):
                refused = True  # one of this name may be there: it is somebody else's
                raise
            yield name
        finally:
            if keep and not refused:
                output.say(f"kept: kubectl delete namespace {name}")
            elif not refused:
                _delete(client, name, sleep)


def create_pod(client: Client, where: str, body: Raw, sleep: Sleep = time.sleep) -> None:
    """Create a pod in a new namespace, as soon as that has its ServiceAccount."""
    for attempt in range(_ATTEMPTS):
        try:
            client.create(of_namespace(where, "pods"), body)
        except ForbiddenError as error:
            if _NO_ACCOUNT_YET not in error.message or attempt == _ATTEMPTS - 1:
                raise
            sleep(_APART_S)
        else:
            return


def _delete(client: Client, name: str, sleep: Sleep) -> None:
    with signals.held():
        for attempt in range(_ATTEMPTS):
            try:
                client.delete(object_path(NAMESPACES, name))
            except (CliError, KeyboardInterrupt) as error:
                if attempt == _ATTEMPTS - 1 or isinstance(error, KeyboardInterrupt):
                    output.say(f"not deleted: kubectl delete namespace {name}")
                    raise
                sleep(_APART_S)
            else:
                return
