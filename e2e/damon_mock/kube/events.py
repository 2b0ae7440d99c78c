"""Events have two API groups and one store: what is kept is core/v1, events.k8s.io is a view."""

from typing import Any, Final

from damon_mock.kube.failures import Body, Cause, invalid_value, required
from damon_mock.kube.resources import EVENT_NEW, Resource
from damon_mock.kube.strategies import QUALIFIED

_RENAMED: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "source": "deprecatedSource",
}
_BACK: Final = {new: old for old, new in _RENAMED.items()}


def stored(resource: Resource, body: Body) -> Body:
    """Return a body as it is kept."""
    if resource is not EVENT_NEW:
        return body
    return _named(body, _BACK, "v1")


def viewed(resource: Resource, body: Body) -> Body:
    """Return a kept body as the resource shows it."""
    if resource is not EVENT_NEW:
        return body
    return _named(body, _RENAMED, EVENT_NEW.api_version)


def _named(body: Body, names: dict[str, str], api_version: str) -> Body:
    renamed: dict[str, Any] = {names.get(name, name): value for name, value in body.items()}
    return {**renamed, "apiVersion": api_version}


def refusals(body: Body) -> list[Cause]:
    """Return what is wrong with a new events.k8s.io Event.

    k8s.io/kubernetes pkg/apis/core/validation/events.go, ValidateEventCreate.
    """
    found = [
        required(name)
        for name in ("eventTime", "reportingController", "reportingInstance", "action", "reason")
        if not body.get(name)
    ]
    found += [
        invalid_value(name, "", f"can have at most {most} characters")
        for name, said, most in (
            ("action", "action", 128),
            ("reason", "reason", 128),
            ("message", "note", 1024),
        )
        if len(body.get(said, "")) > most
    ]
    if not QUALIFIED.fullmatch(body.get("reportingController") or "unsaid"):
        text = "name part must consist of alphanumeric characters, '-', '_' or '.'"
        found.append(invalid_value("reportingController", body["reportingController"], text))
    if body.get("type") not in {"Normal", "Warning"}:
        found.append(invalid_value("type", body.get("type", ""), "must be Normal or Warning"))
    return found


def changes(old: Body, new: Body) -> list[Cause]:
    """Return what a write may not change of a stored Event: all that tells what happened."""
    return [
        invalid_value(name, new.get(name), "field is immutable")
        for name in ("involvedObject", "reason", "message", "type", "action", "eventTime")
        if old.get(name) != new.get(name)
    ]
