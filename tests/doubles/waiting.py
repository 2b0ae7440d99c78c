"""Waiting for what other threads, tasks and processes are about to do."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 120
"""Only to end a test that has failed."""


def wait_for(holds: Callable[[], T]) -> T:
    """Wait until something holds and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"it never came to hold: {holds}"
        time.sleep(0.01)
    return found


async def eventually(holds: Callable[[], T | Awaitable[T]]) -> T:
    """Wait until something holds and return it; it may have to be awaited."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = holds()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.005)
