"""How the lists and maps of objects merge: the structural-schema keywords that decide it.

Custom resources bring their whole schema. The built-in kinds need only the few places where a
list is not replaced as a whole (k8s.io/api: `+listType=map`, `+patchMergeKey`).
"""

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

CREATED: Final = ".metadata.creationTimestamp"
LIST_TYPE: Final = "x-kubernetes-list-type"
LIST_KEYS: Final = "x-kubernetes-list-map-keys"


def _keyed(*keys: str, item: Schema | None = None) -> dict[str, Any]:
    return {LIST_TYPE: "map", LIST_KEYS: list(keys), "items": item or {}}


def _object(**properties: Schema) -> dict[str, Any]:
    return {"properties": properties}


METADATA: Final = _object(
    ownerReferences=_keyed("uid"),
    finalizers={LIST_TYPE: "set"},
    managedFields={LIST_TYPE: "atomic"},
)
METADATA_ONLY: Final = _object(metadata=METADATA)

_CONTAINER: Final = _object(
    env=_keyed("name"),
    ports=_keyed("containerPort", "protocol"),
    volumeMounts=_keyed("mountPath"),
)
POD: Final = _object(
    metadata=METADATA,
    spec=_object(
        containers=_keyed("name", item=_CONTAINER),
        initContainers=_keyed("name", item=_CONTAINER),
        ephemeralContainers=_keyed("name", item=_CONTAINER),
        volumes=_keyed("name"),
    ),
    status=_object(conditions=_keyed("type")),
)
NODE: Final = _object(
    metadata=METADATA,
    spec=_object(podCIDRs={LIST_TYPE: "set"}),
    status=_object(conditions=_keyed("type"), addresses=_keyed("type")),
)


def with_metadata(schema: Schema) -> Schema:
    """Return a CRD's schema with the merge rules of metadata put in."""
    return {**schema, "properties": {**schema.get("properties", {}), "metadata": METADATA}}


def child(schema: Schema, name: str) -> Schema:
    """Return the schema of a field, or of a value of a free map."""
    properties = schema.get("properties", {})
    if name in properties:
        found: Schema = properties[name]
        return found
    extra = schema.get("additionalProperties")
    return extra if isinstance(extra, Mapping) else {}


def items(schema: Schema) -> Schema:
    """Return the schema of a list's items."""
    found: Schema = schema.get("items", {})
    return found


def is_atomic(schema: Schema) -> bool:
    """Whether a map is owned and replaced as a whole."""
    return schema.get("x-kubernetes-map-type") == "atomic"


def key_of(item: Any, schema: Schema) -> dict[str, Any] | None:
    """Return the key of an item of a keyed list; None when it has none."""
    if not isinstance(item, Mapping):
        return None
    names = schema.get(LIST_KEYS, ())
    defaults = {name: child(items(schema), name).get("default") for name in names}
    key = {name: item.get(name, defaults[name]) for name in names}
    if "protocol" in key and key["protocol"] is None:
        key["protocol"] = "TCP"
    return None if any(value is None for value in key.values()) else key
