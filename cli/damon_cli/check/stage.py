"""The namespace of a check: there while it runs, and gone whatever happens."""

import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from damon_cli.check import manifest
from damon_cli.client import Client, Raw, object_path, of_namespace
from damon_cli.errors import CliError, ForbiddenError, RefusedError

NAMESPACES: Final = "/api/v1/namespaces"
Sleep = Callable[[float], object]
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_ATTEMPTS: Final = 5
_APART_S: Final = 1.0
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_NO_ACCOUNT_YET: Final = "error looking up service account"
"""The API server's words while the namespace is younger than its ServiceAccount."""


@contextmanager
def namespace(client: Client, *, keep: bool, sleep: Sleep = time.sleep) -> Iterator[str]:
    """Create a namespace; delete it at the end with all that is in it, on a signal as well."""
    name = "damon-check-" + "".join(secrets.choice(_LETTERS) for _ in range(5))
    with _signals_interrupt():
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
                _say(f"kept: kubectl delete namespace {name}")
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
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)  # a second one, as sessions that end send, is too late
    for attempt in range(_ATTEMPTS):
        try:
            client.delete(object_path(NAMESPACES, name))
        except (CliError, KeyboardInterrupt) as error:
            if attempt == _ATTEMPTS - 1 or isinstance(error, KeyboardInterrupt):
                _say(f"not deleted: kubectl delete namespace {name}")
                raise
            sleep(_APART_S)
        else:
            return


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let a terminal that closes, and a plain kill, end the check as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = [signal.signal(each, interrupt) for each in _ENDING]
    try:
        yield
    finally:
        for each, handler in zip(_ENDING, before, strict=True):
            signal.signal(each, handler)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
