"""The control socket: look into a served emulator while an agent uses it.

A question is {"do": "dump", "since_write", "since_event"}; the answer is what `dump` says, or
{"error"}, which says what was wrong with the question.
"""

from pathlib import Path
from typing import Any

from . import dump
from .files import Ticker
from .wire import Connections


class ControlError(Exception):
    """A question the emulator could not answer; the message says why."""


class Control:
    """A client: `Control(path).do("dump", since_write=10)`. ControlError, ConnectionError."""

    def __init__(self, path: Path) -> None:
        self._connections = Connections(path)

    def do(self, verb: str, **keys: Any) -> dict[str, Any]:
        """Ask, and return the answer."""
        answered = self._connections.ask({"do": verb, **keys})
        if "error" in answered:
            raise ControlError(f"{verb}: {answered['error']}")
        return answered

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()


def answer(ticker: Ticker, question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question, at the present time."""
    match question:
        case {"do": "dump", **keys}:
            with ticker.shared.changed:
                ticker.tick()
                ticker.shared.changed.notify_all()
                try:
                    return dump.everything(ticker.shared.emulator, **keys)
                except TypeError as error:
                    return {"error": str(error)}
        case _:
            return {"error": "there is only: dump"}
