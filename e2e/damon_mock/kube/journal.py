"""Every request the server got, to assert on: "no request ever modifies a pod"."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(slots=True)
class Request:
    """One request; `status` is 0 while it runs, and 499 when the connection broke."""

    method: str
    path: str
    query: dict[str, str]
    user_agent: str
    content_type: str
    body_bytes: int
    resource: str = ""
    """Plural of the resource, empty when the path names none."""
    name: str = ""
    subresource: str = ""
    status: int = 0

    @property
    def is_write(self) -> bool:
        """Whether its method changes something."""
        return self.method in WRITES

    @property
    def is_watch(self) -> bool:
        """Whether it is a watch."""
        return self.query.get("watch", "") in {"1", "true"}


class Journal:
    """The requests in order; those of the control endpoint are not in it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)

    def writes(self, resource: str = "") -> list[Request]:
        """Return what changed, or tried to change, objects of a resource (of any: "")."""
        return [r for r in self.requests if r.is_write and resource in {"", r.resource}]

    def reads(self, resource: str) -> list[Request]:
        """Return gets and lists of a resource."""
        return [
            r
            for r in self.requests
            if r.method == "GET" and r.resource == resource and not r.is_watch
        ]

    def watches(self, resource: str) -> list[Request]:
        """Return the watches of a resource."""
        return [r for r in self.requests if r.resource == resource and r.is_watch]

    def clear(self) -> None:
        """Forget all."""
        self.requests.clear()
