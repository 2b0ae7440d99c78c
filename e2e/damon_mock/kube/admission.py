"""The checks and metadata rules every write shares, whatever its resource."""

from collections.abc import Sequence
from typing import Any, Final

from damon_mock.kube import shapes, strategies, validation
from damon_mock.kube.failures import (
    ApiFailure,
    Body,
    bad_request,
    conflict,
    invalid,
    invalid_value,
    required,
)
from damon_mock.kube.resources import LEASE, Resource
from damon_mock.kube.shapes import Schema
from damon_mock.kube.store import Key

_SERVER_SET: Final = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "selfLink")
_KEPT: Final = (*_SERVER_SET, "deletionGracePeriodSeconds", "name", "namespace", "generateName")


def initial_objects() -> list[Body]:
    """Return what a new cluster has."""
    spaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in strategies.NAMESPACES
    ]
    classes = [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
        }
        for name, value in strategies.PRIORITY_CLASSES
    ]
    return [*spaces, *classes]


def check_address(resource: Resource, namespace: str, body: Body) -> None:
    """Refuse a body that belongs to another path than it was sent to."""
    said = (body.get("apiVersion", resource.api_version), body.get("kind", resource.kind))
    if said != (resource.api_version, resource.kind):
        wanted = f"{resource.api_version}, Kind={resource.kind}"
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            f"{said[0]}, Kind={said[1]} is not {wanted}"
        )
    if resource.custom and not {"apiVersion", "kind"} <= body.keys():
        raise bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            "apiVersion or kind is missing"
        )
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        raise bad_request("metadata: must be an object")
    for name in ("labels", "annotations"):
        if not all(isinstance(value, str) for value in (metadata.get(name) or {}).values()):
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a '
                f"{resource.kind}: ObjectMeta.{name} has a value that is no string"
            )
    if resource.namespaced and metadata.get("namespace", namespace) != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if not metadata.get("name") and not metadata.get("generateName"):
        cause = required("metadata.name", "name or generateName is required")
        raise invalid(resource.kind, resource.group, "", [cause])


def check_name(resource: Resource, key: Key, body: Body) -> None:
    """Refuse a body whose name is not the path's; a body without a name gets it."""
    metadata = body.setdefault("metadata", {})
    metadata.setdefault("name", key[1])
    check_address(resource, key[0], body)
    if metadata["name"] != key[1]:
        raise bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL "
            f"({key[1]})"
        )


def needs_version(resource: Resource) -> bool:
    """Whether a PUT without resourceVersion is refused."""
    return resource.custom or resource is LEASE


def check_version(resource: Resource, key: Key, old: Body, new: Body) -> None:
    """409 when the write was meant for another version."""
    version = new["metadata"].get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        raise conflict(resource.plural, resource.group, key[1])


def check_uid(resource: Resource, key: Key, old: Body, new: Body) -> None:
    """409 when a PUT was meant for another object of the same name."""
    uid = new["metadata"].get("uid")
    if uid and uid != old["metadata"]["uid"]:
        why = (
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
            f"{old['metadata']['uid']}"
        )
        raise conflict(resource.plural, resource.group, key[1], why)


def check_uid_kept(resource: Resource, old: Body, new: Body, subresource: str) -> None:
    """422 when a patch names another uid; of a custom resource's status nobody looks at it."""
    uid = new["metadata"].get("uid")
    if uid and uid != old["metadata"]["uid"] and not (resource.custom and subresource):
        cause = invalid_value("metadata.uid", uid, "field is immutable")
        raise invalid(resource.kind, resource.group, old["metadata"]["name"], [cause])


def check_typed(resource: Resource, key: Key, body: Body) -> None:
    """Refuse an apply of a custom resource that the schema cannot type, as merging would."""
    errors = [
        f".{path}: field not declared in schema"
        for path in validation.unknown_fields(body, resource.shape)
    ]
    errors += _untyped(body, resource.shape, "")
    if errors:
        about = f"{key[0]}/{key[1]}; {resource.api_version}, Kind={resource.kind}"
        listed = errors[0] if len(errors) == 1 else "errors:\n  " + "\n  ".join(errors)
        raise ApiFailure(500, "", f"failed to create typed patch object ({about}): {listed}")


_EXPECTED: Final = {
    "integer": "numeric (int or float)",
    "number": "numeric (int or float)",
    "object": "map",
    "array": "list",
}


def _untyped(value: Any, schema: Schema, path: str) -> list[str]:
    wanted = schema.get("type")
    if wanted and value is not None and path:
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        fits = numeric if wanted in {"integer", "number"} else validation.is_of_type(value, wanted)
        if not fits:
            got = {"object": "map", "array": "list"}.get(
                validation.type_name(value), validation.type_name(value)
            )
            return [f"{path}: expected {_EXPECTED.get(wanted, wanted)}, got {got}"]
    if isinstance(value, dict):
        return [
            error
            for name, below in value.items()
            if path or name != "metadata"
            for error in _untyped(below, shapes.child(schema, name), f"{path}.{name}")
        ]
    if isinstance(value, list):
        return [
            error
            for index, item in enumerate(value)
            for error in _untyped(item, shapes.items(schema), f"{path}[{index}]")
        ]
    return []


def strict_refusal(
    resource: Resource, body: Body, said: Sequence[str], *, patch: bool
) -> ApiFailure:
    """Return the refusal of unknown fields."""
    listed = f"strict decoding error: {', '.join(said)}"
    if patch:
        name = body["metadata"].get("name", "")
        return invalid(resource.kind, resource.group, name, [invalid_value("patch", {}, listed)])
    return bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a '
        f"{resource.kind}: {listed}"
    )


def without_reset_fields(resource: Resource, body: Body, subresource: str) -> Body:
    """Return the part of an applied body that its endpoint writes: others are reset."""
    if subresource == "status":
        metadata = {k: v for k, v in body["metadata"].items() if k in {"name", "namespace"}}
        if "resourceVersion" in body["metadata"]:
            metadata["resourceVersion"] = body["metadata"]["resourceVersion"]
        kept = {k: v for k, v in body.items() if k in {"apiVersion", "kind", "status"}}
        return {**kept, "metadata": metadata}
    if resource.status:
        return {name: value for name, value in body.items() if name != "status"}
    return body


def new_metadata(metadata: Body, *, uid: str, now: str) -> Body:
    """Return the metadata of a new object."""
    said = {
        name: value
        for name, value in metadata.items()
        if name not in {*_SERVER_SET, "managedFields", "resourceVersion"}
    }
    return {**said, "uid": uid, "creationTimestamp": now}


def kept_metadata(old: Body, new: Body) -> Body:
    """Return the new metadata with what only the server sets as it was."""
    said = {
        name: value
        for name, value in new.items()
        if name not in {*_KEPT, "managedFields"} and value is not None
    }
    return {
        **said,
        **{name: old[name] for name in _KEPT if name in old},
        "resourceVersion": old["resourceVersion"],
    }


def separated(resource: Resource, old: Body, new: Body, subresource: str) -> Body:
    """Return what a write may change: through /status the status, otherwise all but it."""
    if subresource == "status":
        kept = {name: value for name, value in old.items() if name != "status"}
        return {**kept, **({"status": new["status"]} if "status" in new else {})}
    if resource.status:
        said = {name: value for name, value in new.items() if name != "status"}
        return {**said, **({"status": old["status"]} if "status" in old else {})}
    return new


def differs_in_spec(old: Body, new: Body) -> bool:
    """Whether anything but metadata and status differs."""
    return _desired(old) != _desired(new)


def _desired(body: Body) -> Body:
    return {name: value for name, value in body.items() if name not in {"metadata", "status"}}


def is_same(old: Body, new: Body) -> bool:
    """Whether nothing changed but the times in managedFields: then nothing is written."""
    return _timeless(old) == _timeless(new)


def _timeless(body: Body) -> Body:
    metadata = {**body["metadata"]}
    metadata["managedFields"] = [
        {name: value for name, value in entry.items() if name != "time"}
        for entry in metadata.get("managedFields") or ()
    ]
    return {**body, "metadata": metadata}


def is_released(body: Body) -> bool:
    """Whether an object marked for deletion has nothing left to wait for."""
    metadata = body["metadata"]
    return (
        bool(metadata.get("deletionTimestamp"))
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
    )
