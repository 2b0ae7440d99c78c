"""The three patches that name their changes: merge (RFC 7386), JSON (RFC 6902), strategic merge."""

import copy
from collections.abc import Mapping
from typing import Any

from damon_mock.kube import shapes
from damon_mock.kube.failures import ApiFailure, bad_request
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


def json_patch(target: Any, operations: Any) -> Any:
    """Return the target with a JSON patch applied; 422 when an operation cannot be done."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    document = copy.deepcopy(target)
    for operation in operations:
        try:
            document = _operation(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ApiFailure(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request: "
                f"{operation}: {error}",
            ) from error
    return document


def _operation(document: Any, operation: Mapping[str, Any]) -> Any:
    path = operation["path"]
    match operation["op"]:
        case "test":
            if _get(document, path) != operation["value"]:
                raise ValueError(f"testing value {path} failed")
        case "add":
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "remove":
            return _remove(document, path)
        case "replace":
            _get(document, path)
            document = _remove(document, path) if path else document
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "move":
            moved = _get(document, operation["from"])
            return _add(_remove(document, operation["from"]), path, moved)
        case "copy":
            return _add(document, path, copy.deepcopy(_get(document, operation["from"])))
        case unknown:
            raise ValueError(f"unexpected kind: {unknown}")
    return document


def _parts(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise ValueError(f"{path!r} does not begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _get(document: Any, path: str) -> Any:
    for part in _parts(path):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _parent(document: Any, path: str) -> tuple[Any, str]:
    *above, last = _parts(path)
    for part in above:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document, last


def _add(document: Any, path: str, value: Any) -> Any:
    if not path:
        return value
    parent, last = _parent(document, path)
    if not isinstance(parent, list):
        parent[last] = value
    elif last == "-":
        parent.append(value)
    else:
        at = int(last)
        if not 0 <= at <= len(parent):
            raise IndexError(f"{path}: index {at} of {len(parent)}")
        parent.insert(at, value)
    return document


def _remove(document: Any, path: str) -> Any:
    parent, last = _parent(document, path)
    del parent[int(last) if isinstance(parent, list) else last]
    return document
