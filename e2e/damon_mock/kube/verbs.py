"""HTTP requests on resources: query and body to a verb of the registry, and the answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from damon_mock.kube import bodies, events, failures, listing, patch, tables
from damon_mock.kube.failures import Body
from damon_mock.kube.journal import Request
from damon_mock.kube.listing import ListOptions
from damon_mock.kube.paths import Target
from damon_mock.kube.registry import Outcome, Registry, Write
from damon_mock.kube.resources import EVENT_NEW, POD, Resource
from damon_mock.kube.store import encode
from damon_mock.kube.watch import Form

_BODY: Final = (bodies.JSON, bodies.YAML)


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    body: bytes
    status: int = 200
    warnings: tuple[str, ...] = ()


def answer(registry: Registry, target: Target, request: Request, raw: bytes, accept: str) -> Answer:
    """Do what a request asks, except a watch; refusals are raised."""
    if request.method == "GET":
        return _read(registry, target, request, accept)
    match request.method, bool(target.name):
        case "POST", False:
            verb = _create
        case "PUT", True:
            verb = _replace
        case "PATCH", True:
            verb = _patch
        case "DELETE", True if not target.subresource:
            verb = _delete
        case _:
            raise failures.method_not_allowed()
    outcome = verb(registry, target, request, raw)
    if request.method == "DELETE" and outcome.gone and target.resource is not POD:
        metadata = outcome.revision.body["metadata"]
        plural, group = target.resource.plural, target.resource.group
        return Answer(encode(failures.success(plural, group, metadata["name"], metadata["uid"])))
    shown = form(target.resource, accept)(outcome.revision)
    return Answer(shown, 201 if outcome.created else 200, outcome.warnings)


def _read(registry: Registry, target: Target, request: Request, accept: str) -> Answer:
    if target.name:
        revision = registry.read(target.resource, target.key)
        return Answer(form(target.resource, accept)(revision))
    return _list(registry, target, ListOptions.of(request.query), accept)


def form(resource: Resource, accept: str) -> Form:
    """Return how one object is encoded: as it is, viewed, as a table, or its metadata alone."""
    if "as=Table" in accept:
        return lambda revision: encode(
            tables.table(
                resource,
                [events.viewed(resource, revision.body)],
                {"resourceVersion": revision.body["metadata"]["resourceVersion"]},
                datetime.now(UTC),
            )
        )
    if "as=PartialObjectMetadata" in accept:
        return lambda revision: encode(tables.partial(revision.body))
    if resource.store_as:
        return lambda revision: encode(events.viewed(resource, revision.body))
    return lambda revision: revision.encoded


def _list(registry: Registry, target: Target, options: ListOptions, accept: str) -> Answer:
    resource = target.resource
    page = listing.page(registry.store, target, options)
    if "as=Table" in accept:
        shown = [events.viewed(resource, revision.body) for revision in page.revisions]
        return Answer(encode(tables.table(resource, shown, page.metadata(), datetime.now(UTC))))
    kind, api_version = resource.list_kind, resource.api_version
    if "as=PartialObjectMetadataList" in accept:
        kind, api_version = "PartialObjectMetadataList", "meta.k8s.io/v1"
    elif "as=PartialObjectMetadata" in accept:
        raise failures.not_acceptable()
    head = encode({"kind": kind, "apiVersion": api_version, "metadata": page.metadata()})
    items = b",".join(map(form(resource, accept), page.revisions))
    return Answer(b'%s,"items":[%s]}' % (head[:-1], items))


def _create(registry: Registry, target: Target, request: Request, raw: bytes) -> Outcome:
    body = _object(raw, request.content_type)
    namespace = target.namespace
    if target.resource.namespaced and not namespace:
        raise failures.method_not_allowed()
    if target.resource is EVENT_NEW and (causes := events.refusals(body)):
        raise failures.invalid("Event", target.resource.group, _name(body), causes)
    body = events.stored(target.resource, body)
    write = _write(target, request)
    return registry.create(_kept_as(registry, target), namespace, body, write)


def _name(body: Body) -> str:
    name: str = body["metadata"].get("name", "")
    return name


def _replace(registry: Registry, target: Target, request: Request, raw: bytes) -> Outcome:
    body = events.stored(target.resource, _object(raw, request.content_type))
    resource = _kept_as(registry, target)
    return registry.replace(resource, target.key, body, _write(target, request))


def _patch(registry: Registry, target: Target, request: Request, raw: bytes) -> Outcome:
    kind = request.content_type
    said = _checked(bodies.parse(raw, kind, bodies.PATCHES))
    resource = _kept_as(registry, target)
    force = request.query.get("force", "")
    if kind == bodies.APPLY:
        if not request.query.get("fieldManager"):
            cause = failures.required("fieldManager", "is required for apply patch")
            raise failures.invalid("PatchOptions", "meta.k8s.io", "", [cause])
        write = _write(target, request)
        body = events.stored(target.resource, said)
        return registry.apply(resource, target.key, body, write, force=force == "true")
    if force:
        cause = failures.forbidden_field("force", "may not be specified for non-apply patch")
        raise failures.invalid("PatchOptions", "meta.k8s.io", "", [cause])
    if kind == bodies.STRATEGIC and resource.custom:
        raise failures.unsupported_media_type([t for t in bodies.PATCHES if t != kind])
    change = _change(kind, said, resource)

    def viewed_change(body: Body) -> Body:
        changed = events.stored(target.resource, change(events.viewed(target.resource, body)))
        if target.resource is EVENT_NEW and (causes := events.changes(body, changed)):
            raise failures.invalid("Event", "", target.name, causes)
        return changed

    return registry.patch(resource, target.key, viewed_change, _write(target, request))


def _change(kind: str, said: Body, resource: Resource) -> Callable[[Body], Body]:
    if kind == bodies.MERGE:
        return lambda body: patch.merge(body, said)
    return lambda body: patch.strategic(body, said, resource.shape)


def _delete(registry: Registry, target: Target, request: Request, raw: bytes) -> Outcome:
    options = _delete_options(request, raw)
    resource = _kept_as(registry, target)
    return registry.delete(resource, target.key, **options)


def _delete_options(request: Request, raw: bytes) -> dict[str, Any]:
    said = _checked(bodies.parse(raw, request.content_type or bodies.JSON, _BODY)) if raw else {}
    query = request.query
    grace = said.get("gracePeriodSeconds")
    if grace is None and "gracePeriodSeconds" in query:
        grace = listing.number(query["gracePeriodSeconds"])
    propagation = said.get("propagationPolicy") or query.get("propagationPolicy")
    if propagation == "Orphan":
        raise failures.bad_request("the embedded API does not orphan what an object owns")
    return {
        "grace_seconds": grace,
        "uid": (said.get("preconditions") or {}).get("uid", ""),
        "dry_run": bool(said.get("dryRun") or query.get("dryRun")),
    }


def _kept_as(registry: Registry, target: Target) -> Resource:
    """Return the resource the objects are kept as: the same, but for the view of events."""
    if target.resource.store_as:
        return registry.catalogue.at("", "v1", target.resource.store_as)
    return target.resource


def _object(raw: bytes, content_type: str) -> Body:
    return _checked(bodies.parse(raw, content_type or bodies.JSON, _BODY))


def _checked(said: Any) -> Body:
    if not isinstance(said, dict):
        raise failures.bad_request("the body of the request is not an object")
    return said


def _write(target: Target, request: Request) -> Write:
    query = request.query
    dry_run = query.get("dryRun", "")
    if dry_run not in {"", "All"}:
        cause = failures.invalid_value("dryRun", dry_run, 'supported values: "All"')
        raise failures.invalid("CreateOptions", "meta.k8s.io", "", [cause])
    return Write(
        manager=query.get("fieldManager") or request.user_agent.partition("/")[0] or "unknown",
        subresource=target.subresource,
        dry_run=bool(dry_run),
        validation=_validation(query.get("fieldValidation", "")),
    )


def _validation(asked: str) -> Literal["Strict", "Warn", "Ignore"]:
    choices: Sequence[Literal["Strict", "Warn", "Ignore"]] = ("Strict", "Warn", "Ignore")
    if not asked:
        return "Warn"
    for choice in choices:
        if choice == asked:
            return choice
    cause = failures.invalid_value("fieldValidation", asked, "not Strict, Warn or Ignore")
    raise failures.invalid("PatchOptions", "meta.k8s.io", "", [cause])
