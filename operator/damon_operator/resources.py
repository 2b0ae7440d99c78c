"""What the operator reads and writes of the API, and the shape of a page of it."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from damon_contract import names

Raw = Mapping[str, Any]


class Resource(NamedTuple):
    """A collection that is listed and watched across all namespaces."""

    name: str
    path: str
    field_selector: str = ""


class Page(NamedTuple):
    """A part of a list."""

    items: list[Raw]
    resource_version: str
    """Of the whole list: where a watch goes on."""
    next: str
    """Continue token; empty on the last page."""


class Source(Protocol):
    """Where lists and watches come from. Both raise `errors.ApiError` and nothing else."""

    async def page(self, resource: Resource, *, limit: int, after: str) -> Page:
        """Return a page of at most `limit` objects; `after` is the page before's `next`."""

    def watch(
        self, resource: Resource, *, version: str, idle_s: float
    ) -> AsyncGenerator[Raw, None]:
        """Yield watch events as they are on the wire, bookmarks included, until the server ends it.

        Raise Unavailable after `idle_s` seconds without a byte, Gone for HTTP status 410.
        """


PODS: Final = Resource(
    "pods",
    "/api/v1/pods",
    # The only cut the API server can make for us: pods that run or may run, on some node. A pod
    # that leaves the selection arrives as DELETED.
    "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!=",
)
NODES: Final = Resource("nodes", "/api/v1/nodes")
NAMESPACES: Final = Resource("namespaces", "/api/v1/namespaces")
DAMON_NODES: Final = Resource(names.NODE_PLURAL, f"/apis/{names.API_VERSION}/{names.NODE_PLURAL}")
DAMON_TUNINGS: Final = Resource(
    names.TUNING_PLURAL, f"/apis/{names.API_VERSION}/{names.TUNING_PLURAL}"
)
