"""The page that Prometheus gets, made of `families`.

This module and `families` alone know Prometheus, and are imported only if there is a port to listen
on: docs/adr/0010-metrics.md.
"""

import io
from collections.abc import Callable, Iterator

from prometheus_client.exposition import MetricsHandler
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import CollectorRegistry

from damon_agent.families import Scrape, families


def page(look: Callable[[], Scrape]) -> Callable[[bytes], bytes]:
    """Return what answers a request with the metrics of what `look` returns at that moment."""
    registry = CollectorRegistry()
    registry.register(_Collector(look))
    handler = type("Handler", (_Handler,), {"registry": registry})
    return lambda head: bytes(handler(head, "", None).page())


class _Collector:
    def __init__(self, look: Callable[[], Scrape]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        return families(self._look())


class _Handler(MetricsHandler):
    """Answers the bytes of one request with the bytes of a page."""

    server_version = "damon-agent"
    sys_version = ""

    def setup(self) -> None:  # type: ignore[explicit-override]  # typing.override is of 3.12
        self.rfile = io.BufferedReader(io.BytesIO(self.request))
        self.wfile = self._page = io.BytesIO()

    def finish(self) -> None:  # type: ignore[explicit-override]  # typing.override is of 3.12
        self.wfile = io.BytesIO()

    def page(self) -> bytes:
        """Return status line, headers and body."""
        return self._page.getvalue()
