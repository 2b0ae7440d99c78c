"""What the operator reads and writes of the API, and the shape of a page of it."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from damon_contract import names
from damon_contract.names import AGENT_LEASE_LABELS

Raw = Mapping[str, Any]


class Resource(NamedTuple):
    """A collection that is listed and watched, in most cases across all namespaces."""

    name: str
    path: str
    field_selector: str = ""
    label_selector: str = ""


class Page(NamedTuple):
    """What a part of a list says besides its objects."""

    resource_version: str
    """Of the whole list: where a watch goes on."""
    next: str
    """Continue token; empty on the last page."""


class ListerWatcher(Protocol):
    """Where lists and watches come from. Both raise `errors.ApiError` and nothing else."""

    async def page(
        self, resource: Resource, *, limit: int, after: str, take: Callable[[object], None]
    ) -> Page:
        """Hand on a page of at most `limit` objects, one by one; `after` is the last one's `next`.

        An object that can't be read is a `listing.LeftOut`.
        """

    def watch(
        self, resource: Resource, *, version: str, idle_s: float
    ) -> AsyncGenerator[Raw, None]:
        """Yield watch events as they are on the wire, bookmarks included, until the server ends it.

        An event whose object can't be read has a `listing.LeftOut` in its place. Raise Unavailable
        after `idle_s` seconds without a byte, Unusable for what is no event.
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


def agent_leases(namespace: str) -> Resource:
    """Return the Leases that agents renew."""
    return Resource(
        "leases",
        f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
        label_selector=",".join(f"{key}={value}" for key, value in AGENT_LEASE_LABELS.items()),
    )
