"""Waiting for something to become true; the deadline only ends a test that has failed."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 180.0
_PAUSE_S = 0.5


class NotInTimeError(AssertionError):
    """What was waited for did not come; the message says what that was, and what there was."""


def until(what: str, look: Callable[[], T], *, within_s: float = PATIENCE_S) -> T:
    """Return the first look that is true."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise NotInTimeError(f"not within {within_s:.0f} s: {what}; last seen: {seen!r}")
        time.sleep(_PAUSE_S)
    return seen


def until_equal(what: str, look: Callable[[], T], wanted: T, *, within_s: float = PATIENCE_S) -> T:
    """Return when a look is equal to what is wanted."""
    deadline = time.monotonic() + within_s
    while (seen := look()) != wanted:
        if time.monotonic() > deadline:
            raise NotInTimeError(
                f"not within {within_s:.0f} s: {what}: {seen!r}, wanted {wanted!r}"
            )
        time.sleep(_PAUSE_S)
    return seen
