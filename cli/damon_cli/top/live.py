"""`top --watch`: draws again whenever agents have reported something.

An agent writes at most every ten seconds, and a watch brings only what has changed.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from damon_cli import output, streams
from damon_cli.client import DAMON_NODES, Client, Raw, WatchEndedError
from damon_cli.damon_node import DamonNode
from damon_cli.errors import UnreachableError
from damon_cli.top import screen
from damon_cli.top.picture import Picture, TopOptions, damon_nodes
from damon_cli.top.usage import Rates
from damon_cli.wait import backoff

_REDRAW_S: Final = 2.0
_STEADY_S: Final = 60.0
"""A watch that lasted longer ends a row of failures."""


@dataclass
class _Reader:
    """Keeps a picture up to date, in a thread of its own."""

    client: Client
    asked: TopOptions
    picture: Picture
    changed: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None
    known: frozenset[str] = frozenset()
    unanswered: str = ""
    """Why the picture is an old one; empty: it is not."""

    def run(self) -> None:
        """Watch until something fails that trying again does not mend."""
        self.known = frozenset(self.picture.nodes)
        failures, pauses = 0, backoff()
        while self.failure is None:
            began = time.monotonic()
            try:
                self._watch()
                failures = 0
            except UnreachableError as error:
                failures = 1 if time.monotonic() - began >= _STEADY_S else failures + 1
                self.picture.version = ""
                if not self.unanswered and not isinstance(error, WatchEndedError):
                    self.unanswered = error.message
                    self.changed.set()
                time.sleep(pauses.delay_s(failures, error.retry_after_s))
            except Exception as error:  # noqa: BLE001 - raised in the thread that can tell it
                self.failure = error
                self.changed.set()

    def _watch(self) -> None:
        picture = self.picture
        if not picture.version:
            fresh, picture.version = damon_nodes(self.client, ())
            picture.nodes = {name: node for name, node in fresh.items() if self._shown(name)}
            self.unanswered = ""
            self.changed.set()
        for event in self.client.watch(DAMON_NODES, picture.version):
            raw: Raw = event.get("object") or {}
            metadata = raw.get("metadata") or {}
            picture.version = str(metadata.get("resourceVersion") or "")
            name = str(metadata.get("name") or "")
            if event.get("type") == "BOOKMARK" or not self._shown(name):
                continue
            gone = event.get("type") == "DELETED"
            others = {n: node for n, node in picture.nodes.items() if n != name}
            picture.nodes = others if gone else {**others, name: DamonNode.of(raw)}
            self.changed.set()

    def _shown(self, name: str) -> bool:
        """Say whether a node is asked for; one that is new is, unless the question was narrower."""
        narrow = self.asked.nodes or self.asked.namespace or self.asked.labels
        return name in self.known or not narrow


def follow(client: Client, asked: TopOptions, picture: Picture) -> None:
    """Draw until nobody reads any more, or an interrupt; raise what ended the watch, if it did."""
    console, reader, seen = output.console(), _Reader(client, asked, picture), Rates()
    seen.saw(picture.sums(), time.monotonic())
    threading.Thread(target=reader.run, daemon=True).start()
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while reader.failure is None and not streams.is_unread():
            picture.rates = seen.per_minute
            drawn = _drawn(console, asked, picture, reader.unanswered)
            if console.is_terminal:
                live.update(drawn, refresh=True)
            else:
                console.print(drawn)
            time.sleep(_REDRAW_S)
            while not (reader.changed.wait(timeout=1.0) or streams.is_unread()):
                pass  # in short pieces, so that Ctrl-C is heard everywhere
            reader.changed.clear()
            seen.saw(picture.sums(), time.monotonic())
    if reader.failure is not None:
        raise reader.failure


def _drawn(console: Console, asked: TopOptions, picture: Picture, unanswered: str) -> Table:
    limit = max(5, console.height - 3) if console.is_terminal else asked.limit
    drawn = screen.table(picture.rows(asked), asked.grouping, limit=limit)
    if unanswered:
        drawn.caption = Text(f"waiting: {output.harmless(unanswered)}", style="yellow")
    return drawn
