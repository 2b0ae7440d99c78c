"""Signals that end a command which has made something: it is taken away all the same."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
"""A plain kill, and a terminal that closes. Ctrl-C is a KeyboardInterrupt already."""


@contextmanager
def interrupting() -> Iterator[None]:
    """Let these signals end the block as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextmanager
def held() -> Iterator[None]:
    """Let these signals, of which a session that ends sends several, not break into the block.

    They interrupt behind it. Ctrl-C breaks in: who presses it twice does not want to wait.
    """
    came: list[int] = []
    with _handled(lambda number, _frame: came.append(number)):
        yield
    if came:
        raise KeyboardInterrupt


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = [signal.signal(each, handler) for each in ENDING]
    try:
        yield
    finally:
        for each, handled in zip(ENDING, before, strict=True):
            signal.signal(each, handled)
