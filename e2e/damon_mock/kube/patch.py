"""The two patches that name their changes: merge (RFC 7386) and strategic merge."""

import copy
from collections.abc import Mapping
from typing import Any

from damon_mock.kube import shapes
from damon_mock.kube.shapes import Schema


def merge(target: Any, patch: Any) -> Any:
    """Return the target with a merge patch applied; null deletes."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def strategic(target: Any, patch: Any, schema: Schema) -> Any:
    """Return the target with a strategic merge patch applied: keyed lists merge by key."""
    if isinstance(patch, list):
        if schema.get(shapes.LIST_TYPE) == "map" and isinstance(target, list):
            return _keyed_list(target, patch, schema)
        if schema.get(shapes.LIST_TYPE) == "set" and isinstance(target, list):
            return [*target, *(value for value in patch if value not in target)]
        return copy.deepcopy(patch)
    if not isinstance(patch, Mapping):
        return patch
    if patch.get("$patch") == "replace":
        return {name: copy.deepcopy(v) for name, v in patch.items() if name != "$patch"}
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.partition("/")[2]
            merged[field] = [v for v in merged.get(field, []) if v not in value]
        elif name.startswith("$"):
            continue  # $setElementOrder, $retainKeys: the order of keyed lists carries no meaning
        elif value is None:
            merged.pop(name, None)
        else:
            merged[name] = strategic(merged.get(name), value, shapes.child(schema, name))
    return merged


def _keyed_list(target: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    merged = list(target)
    for item in patch:
        key = shapes.key_of(item, schema)
        at = next((i for i, old in enumerate(merged) if shapes.key_of(old, schema) == key), None)
        if isinstance(item, Mapping) and item.get("$patch") == "delete":
            if at is not None:
                del merged[at]
        elif at is None or key is None:
            merged.append(copy.deepcopy(item))
        else:
            merged[at] = strategic(merged[at], item, shapes.items(schema))
    return merged
