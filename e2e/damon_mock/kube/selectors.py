"""labelSelector and fieldSelector, parsed once per request."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from damon_mock.kube.failures import bad_request
from damon_mock.kube.resources import Resource

Predicate = Callable[[Mapping[str, Any]], bool]

_SET: Final = re.compile(r"^\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EQUALITY: Final = re.compile(r"^\s*([^\s=!]+)\s*(==|=|!=)\s*(\S*)\s*$")
_EXISTS: Final = re.compile(r"^\s*(!?)\s*([^\s=!(),]+)\s*$")


def everything(_body: Mapping[str, Any]) -> bool:
    """Match all."""
    return True


def both(labels: str, fields: str, resource: Resource) -> Predicate:
    """Return whether an object matches both selectors; 400 for one that cannot be parsed."""
    predicates = [*_labels(labels), *_fields(fields, resource)]
    if not predicates:
        return everything
    return lambda body: all(predicate(body) for predicate in predicates)


def _labels(selector: str) -> list[Predicate]:
    return [
        _label_requirement(part, selector) for part in _split_outside_parentheses(selector) if part
    ]


def _split_outside_parentheses(selector: str) -> list[str]:
    return re.split(r",(?![^(]*\))", selector.strip()) if selector.strip() else []


def _label_requirement(text: str, whole: str) -> Predicate:
    if found := _SET.match(text):
        key, operator, listed = found.groups()
        values = {value.strip() for value in listed.split(",")}
        if operator == "in":
            return lambda body: _label(body, key) in values
        return lambda body: _label(body, key) not in values
    if found := _EQUALITY.match(text):
        key, operator, value = found.groups()
        if operator == "!=":
            return lambda body: _label(body, key) != value
        return lambda body: _label(body, key) == value
    if found := _EXISTS.match(text):
        negated, key = found.groups()
        return lambda body: (_label(body, key) is None) == bool(negated)
    raise bad_request(f"unable to parse requirement: {whole!r}")


def _label(body: Mapping[str, Any], key: str) -> str | None:
    found: str | None = (body["metadata"].get("labels") or {}).get(key)
    return found


def _fields(selector: str, resource: Resource) -> list[Predicate]:
    known = {"metadata.name", "metadata.namespace", *resource.fields}
    predicates: list[Predicate] = []
    for part in filter(None, selector.split(",")):
        found = _EQUALITY.match(part)
        if not found:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{part}'")
        path, operator, value = found.groups()
        if path not in known:
            raise bad_request(
                f'Unable to find "{resource.api_version}, Resource={resource.plural}" that match '
                f'label selector "", field selector "{selector}": '
                f"field label not supported: {path}"
            )
        predicates.append(_field_requirement(tuple(path.split(".")), operator, value))
    return predicates


def _field_requirement(path: tuple[str, ...], operator: str, value: str) -> Predicate:
    if operator == "!=":
        return lambda body: _field(body, path) != value
    return lambda body: _field(body, path) == value


def _field(body: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """Return a field as selectors compare it: text, empty when absent."""
    found: Any = body
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
        if found is None:
            return ""
    return str(found).lower() if isinstance(found, bool) else str(found)
