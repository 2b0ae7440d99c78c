"""Lists in pages, each list from one moment."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from damon_mock.kube import events, failures, selectors
from damon_mock.kube.failures import Body, forbidden_field, invalid
from damon_mock.kube.paths import Target
from damon_mock.kube.selectors import Predicate
from damon_mock.kube.store import Revision, Store


@dataclass(frozen=True)
class ListOptions:
    """The query of a list or a watch."""

    labels: str = ""
    fields: str = ""
    limit: int = 0
    continue_from: str = ""
    version: str = ""
    bookmarks: bool = False
    timeout_s: float | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "ListOptions":
        """Parse them; 400 for a number that is none, 422 for options that are not served."""
        unknown = sorted({"resourceVersionMatch", "sendInitialEvents"} & query.keys())
        if unknown:
            causes = [forbidden_field(name, "not served by the embedded API") for name in unknown]
            raise invalid("ListOptions", "meta.k8s.io", "", causes)
        if version := query.get("resourceVersion", ""):
            number(version)
        return cls(
            labels=query.get("labelSelector", ""),
            fields=query.get("fieldSelector", ""),
            limit=_number(query, "limit"),
            continue_from=query.get("continue", ""),
            version=version,
            bookmarks=_flag(query, "allowWatchBookmarks"),
            timeout_s=_number(query, "timeoutSeconds") or None,
        )


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in {"1", "true"}


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    return number(text) if text else 0


def number(text: str) -> int:
    """Return a query's number; 400 when it is none."""
    if not (text.isascii() and text.isdigit()):
        raise failures.bad_request(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def predicate(target: Target, options: ListOptions) -> Predicate:
    """Return whether an object is in the list or watch of a target."""
    selected = selectors.both(options.labels, options.fields, target.resource)

    def matches(body: Mapping[str, object]) -> bool:
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        return (
            (not target.namespace or metadata.get("namespace") == target.namespace)
            and (not target.name or metadata["name"] == target.name)
            and selected(events.viewed(target.resource, dict(body)))
        )

    return selected if not (target.namespace or target.name or _is_view(target)) else matches


def _is_view(target: Target) -> bool:
    return bool(target.resource.store_as)


@dataclass(frozen=True)
class Page:
    """A page of a list."""

    revisions: list[Revision]
    version: int
    continue_from: str = ""
    remaining: int | None = None

    def metadata(self) -> Body:
        """Return the list's metadata."""
        metadata: Body = {"resourceVersion": str(self.version)}
        if self.continue_from:
            metadata["continue"] = self.continue_from
        if self.remaining:
            metadata["remainingItemCount"] = self.remaining
        return metadata


def page(store: Store, target: Target, options: ListOptions) -> Page:
    """Return a page; 410 when it continues a list that is forgotten."""
    collection = target.resource.collection
    version, start, everything = _source(store, collection, options)
    matches = predicate(target, options)
    limit = options.limit or len(everything)
    found: list[Revision] = []
    at = start
    while at < len(everything) and len(found) < limit:
        if matches(everything[at].body):
            found.append(everything[at])
        at += 1
    if at >= len(everything):
        return Page(found, version)
    if version == store.version:
        store.keep(collection, everything)
    selective = bool(options.labels or options.fields or target.namespace)
    remaining = None if selective else len(everything) - at
    return Page(found, version, _token(version, at), remaining)


def _source(store: Store, collection: str, options: ListOptions) -> tuple[int, int, list[Revision]]:
    """Return the version, the index to start at, and all objects of that version."""
    if options.continue_from:
        version, start = _position(options.continue_from)
        return version, start, store.kept(collection, version)
    asked = number(options.version) if options.version else 0
    if asked > store.version:
        raise failures.future_version(asked, store.version)
    return store.version, 0, store.ordered(collection)


def _token(version: int, at: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"rv": version, "at": at}).encode()).decode()


def _position(token: str) -> tuple[int, int]:
    try:
        position = json.loads(base64.urlsafe_b64decode(token))
        return int(position["rv"]), int(position["at"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise failures.bad_request("continue key is not valid") from error
