"""Server-side apply: the fields a manager says are the fields it owns.

https://kubernetes.io/docs/reference/using-api/server-side-apply/. Not modelled: conversion
between versions, and ownership of a parent that another manager owns as a whole.
"""

import copy
from collections.abc import Mapping
from typing import Any

from damon_mock.kube import fields, shapes
from damon_mock.kube.failures import Body, Cause, apply_conflict
from damon_mock.kube.fields import Leaves, Path
from damon_mock.kube.ownership import Manager, Owners
from damon_mock.kube.shapes import Schema


def apply(
    live: Body | None, wanted: Body, schema: Schema, manager: Manager, *, force: bool, now: str
) -> Body:
    """Return the object with the wanted fields set and the manager's former others removed.

    Raises 409 naming every field another manager owns with another value, unless `force`.
    """
    base: Body = live or {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {},
    }
    owners = Owners.of(base)
    said = fields.leaves(wanted, schema)
    contested = _contested(owners, manager, said, fields.leaves(base, schema))
    if contested and not force:
        raise apply_conflict(
            [
                Cause(fields.shown(path), "FieldManagerConflict", _conflict(other))
                for other, path in contested
            ]
        )
    for other, path in contested:
        owners.sets[other].discard(path)
    dropped = owners.sets.get(manager, set()) - said.keys()
    for path in sorted(dropped, key=len):  # an item before the fields that are its key
        if not _owned_by_others(owners, manager, path) and not _said_below(path, said):
            base = fields.remove(base, path, schema)
    merged: Body = _merge(base, _without_server_fields(wanted), schema)
    owners.applied(manager, set(said), now)
    merged["metadata"] = {**merged["metadata"], "managedFields": owners.wire()}
    return merged


def _contested(
    owners: Owners, manager: Manager, said: Leaves, held: Leaves
) -> list[tuple[Manager, Path]]:
    missing = object()
    return [
        (other, path)
        for other, paths in owners.sets.items()
        if other != manager
        for path in sorted(paths)
        if path in said and not fields.is_item(path) and held.get(path, missing) != said[path]
    ]


def _conflict(other: Manager) -> str:
    subresource = f" with subresource {other.subresource!r}" if other.subresource else ""
    using = f" using {other.api_version}" if other.operation == "Update" else ""
    return f'conflict with "{other.name}"{subresource}{using}'


def _owned_by_others(owners: Owners, manager: Manager, path: Path) -> bool:
    return any(
        other != manager and any(owned[: len(path)] == path for owned in paths)
        for other, paths in owners.sets.items()
    )


def _said_below(path: Path, said: Leaves) -> bool:
    """Whether the manager still says something below: then only the old leaf form is gone."""
    return any(new[: len(path)] == path for new in said)


def _without_server_fields(wanted: Body) -> Body:
    metadata = wanted.get("metadata", {})
    kept = {
        k: v
        for k, v in metadata.items()
        if k not in {"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"}
    }
    return {**wanted, "metadata": kept}


def _merge(target: Any, wanted: Any, schema: Schema) -> Any:
    if isinstance(wanted, Mapping):
        if not isinstance(target, Mapping) or shapes.is_atomic(schema):
            return copy.deepcopy(wanted)
        merged = dict(target)
        for name, value in wanted.items():
            merged[name] = _merge(target.get(name), value, shapes.child(schema, name))
        return merged
    if isinstance(wanted, list) and isinstance(target, list):
        match schema.get(shapes.LIST_TYPE):
            case "map":
                return _merge_keyed(target, wanted, schema)
            case "set":
                return [*target, *(value for value in wanted if value not in target)]
            case _:
                pass  # atomic
    return copy.deepcopy(wanted)


def _merge_keyed(target: list[Any], wanted: list[Any], schema: Schema) -> list[Any]:
    merged = list(target)
    at = {fields.keyed(item, schema): index for index, item in enumerate(merged)}
    for item in wanted:
        key = fields.keyed(item, schema)
        if key in at:
            merged[at[key]] = _merge(merged[at[key]], item, shapes.items(schema))
        else:
            merged.append(copy.deepcopy(item))
    return merged
