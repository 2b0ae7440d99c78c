"""Who owns which field: sets of field paths, and their wire form in metadata.managedFields.

A path element is "f:NAME" for a field, "k:KEY" for an item of a keyed list, "v:VALUE" for a value
of a set, as in FieldsV1 (sigs.k8s.io/structured-merge-diff). A path in a set is a leaf: a scalar,
an empty map, or something that is owned as a whole (an atomic list or map); an item of a keyed
list is in it besides its fields.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from damon_mock.kube import shapes
from damon_mock.kube.shapes import Schema

Path = tuple[str, ...]
Leaves = dict[Path, Any]

_UNOWNED: Final = frozenset(
    {
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)


def leaves(body: Mapping[str, Any], schema: Schema) -> Leaves:
    """Return every field of an object that somebody can own, with its value."""
    ownable = {k: v for k, v in body.items() if k not in {"apiVersion", "kind", "metadata"}}
    metadata = {k: v for k, v in body.get("metadata", {}).items() if k not in _UNOWNED}
    if metadata:
        ownable["metadata"] = metadata
    return {path: value for path, value in _walk(ownable, schema, ()) if path}


def _walk(value: Any, schema: Schema, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping) and value and not shapes.is_atomic(schema):
        for name, below in value.items():
            yield from _walk(below, shapes.child(schema, name), (*path, f"f:{name}"))
    elif isinstance(value, list) and schema.get(shapes.LIST_TYPE) == "map":
        for item in value:
            element = keyed(item, schema)
            yield (*path, element), None
            if isinstance(item, Mapping) and item:
                yield from _walk(item, shapes.items(schema), (*path, element))
    elif isinstance(value, list) and schema.get(shapes.LIST_TYPE) == "set":
        for item in value:
            yield (*path, f"v:{_compact(item)}"), item
    else:
        yield path, value


def keyed(item: Any, schema: Schema) -> str:
    """Return the path element of an item of a keyed list."""
    return f"k:{_compact(shapes.key_of(item, schema) or item)}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def is_item(path: Path) -> bool:
    """Whether the path names an item of a keyed list, which has no value of its own."""
    return path[-1].startswith("k:")


def to_wire(paths: set[Path]) -> dict[str, Any]:
    """Return the paths as FieldsV1."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        if is_item(path):
            node["."] = {}
    return root


def from_wire(node: Mapping[str, Any], path: Path = ()) -> set[Path]:
    """Return the paths of a FieldsV1."""
    found: set[Path] = set()
    for element, below in node.items():
        if element == ".":
            found.add(path)
        elif below:
            found |= from_wire(below, (*path, element))
        else:
            found.add((*path, element))
    return found


def shown(path: Path) -> str:
    """Return a path as error messages print it: .spec.conditions[type="Ready"].status."""
    text = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            key: Any = json.loads(rest)
            inner = ",".join(f"{n}={json.dumps(v)}" for n, v in key.items()) if key else rest
            text += f"[{inner}]"
        else:
            text += f"[={rest}]"
    return text


def remove(value: Any, path: Path, schema: Schema) -> Any:
    """Return the value without what is at the path; maps that become empty go with it."""
    element, *rest = path
    if element.startswith("f:"):
        return _remove_field(value, element[2:], tuple(rest), schema)
    if not isinstance(value, list):
        return value
    if element.startswith("v:"):
        return [item for item in value if _compact(item) != element[2:]]
    return [
        remove(item, tuple(rest), shapes.items(schema)) if keyed(item, schema) == element else item
        for item in value
        if rest or keyed(item, schema) != element
    ]


def _remove_field(value: Any, name: str, rest: Path, schema: Schema) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        return value
    reduced = dict(value)
    before = reduced.pop(name)
    if rest:
        after = remove(before, rest, shapes.child(schema, name))
        if after not in ({}, []) or before in ({}, []):
            reduced[name] = after
    return reduced
