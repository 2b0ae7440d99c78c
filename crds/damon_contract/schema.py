"""Pydantic models -> structural CustomResourceDefinitions. Pure; refuses what it cannot say.

An API server accepts only a part of JSON schema ("structural"): no $ref, no union but a nullable
one, no title, no `additionalProperties: false` (unknown fields are pruned, or refused with
fieldValidation=Strict). https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#specifying-a-structural-schema
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from damon_contract import names
from damon_contract.v1alpha1.model import Model

Schema = dict[str, Any]

_DROPPED: Final = frozenset({"title", "$defs", "examples"})
_NESTED: Final = frozenset({"properties", "items", "additionalProperties"})
_KEPT: Final = frozenset(
    {
        "type",
        "description",
        "default",
        "enum",
        "format",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
        "required",
    }
)


class NotStructuralError(ValueError):
    """The model says something a CRD cannot; carries the path of the field."""


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; priority 1 shows only with -o wide."""

    name: str
    json_path: str
    type: str = "string"
    description: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Resource:
    """A cluster-scoped custom resource with a status subresource."""

    kind: str
    plural: str
    short_name: str
    description: str
    spec: type[Model]
    status: type[Model]
    columns: Sequence[Column]


def structural(model: type[Model]) -> Schema:
    """Return the structural schema of a model, by its wire names."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _lower(raw, raw.get("$defs", {}), model.__name__)


def _lower(node: Mapping[str, Any], defs: Mapping[str, Any], path: str) -> Schema:
    node = _inlined(node, defs, path)
    lowered = _keywords(node, path)
    if "properties" in node:
        lowered["properties"] = {
            name: _property(name, child, node, defs, f"{path}.{name}")
            for name, child in node["properties"].items()
        }
    if "items" in node:
        lowered["items"] = _lower(node["items"], defs, f"{path}[]")
    if isinstance(node.get("additionalProperties"), Mapping):
        lowered["additionalProperties"] = _lower(node["additionalProperties"], defs, f"{path}{{}}")
    if lowered.get("type") == "integer":
        lowered.setdefault("format", "int64")
    if "type" not in lowered and not lowered.get("x-kubernetes-int-or-string"):
        raise NotStructuralError(f"{path}: a CRD needs a type here")
    return lowered


def _inlined(node: Mapping[str, Any], defs: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Resolve $ref, X | None and const, with the siblings that stand beside them."""
    while True:
        if "$ref" in node:
            rest = {k: v for k, v in node.items() if k != "$ref"}
            node = {**defs[node["$ref"].removeprefix("#/$defs/")], **rest}
        elif "anyOf" in node:
            # In a CRD an optional field is one that is not required.
            branches = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
            if len(branches) != 1 or len(branches) == len(node["anyOf"]):
                raise NotStructuralError(f"{path}: a CRD cannot say a union")
            rest = {k: v for k, v in node.items() if k not in {"anyOf", "default"}}
            node = {**branches[0], **rest}
        elif "const" in node:
            rest = {k: v for k, v in node.items() if k != "const"}
            node = {**rest, "enum": [node["const"]]}
        else:
            return node


def _keywords(node: Mapping[str, Any], path: str) -> Schema:
    """Copy the keywords a CRD knows, drop the silent ones, refuse the rest."""
    kept: Schema = {}
    for key, value in node.items():
        if key in _NESTED or key in _DROPPED:
            continue
        if key not in _KEPT and not key.startswith("x-kubernetes-"):
            raise NotStructuralError(f"{path}: a CRD cannot say {key}: {value!r}")
        if key != "default" or value is not None:
            kept[key] = _plain(value)
    if "description" in kept:
        kept["description"] = " ".join(kept["description"].split())
    return kept


def _property(
    name: str,
    child: Mapping[str, Any],
    parent: Mapping[str, Any],
    defs: Mapping[str, Any],
    path: str,
) -> Schema:
    """Lower one field; an absent object whose fields have defaults defaults to all of these.

    The API server applies the defaults of fields only below an object that is there. It takes a
    default only if the CEL rules accept it as it stands, so {} would not do.
    """
    lowered = _lower(child, defs, path)
    mandatory = "anyOf" not in child and name not in parent.get("required", ())
    if mandatory and "default" not in lowered and (defaults := _defaults(lowered)):
        lowered["default"] = defaults
    return lowered


def _defaults(schema: Schema) -> Schema:
    fields: Schema = schema.get("properties", {})
    return {name: _plain(child["default"]) for name, child in fields.items() if "default" in child}


def _without_defaults(schema: Schema) -> Schema:
    """Return the schema without defaults: a status holds what was observed, nothing else."""
    bare = {k: v for k, v in schema.items() if k != "default"}
    if "properties" in bare:
        bare["properties"] = {k: _without_defaults(v) for k, v in bare["properties"].items()}
    if "items" in bare:
        bare["items"] = _without_defaults(bare["items"])
    return bare


def _plain(value: Any) -> Any:
    """Copy without tuples, which YAML writers would tag."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def crd(resource: Resource) -> Schema:
    """Return the CustomResourceDefinition of a resource."""
    spec = structural(resource.spec)
    status = _without_defaults(structural(resource.status))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource.plural}.{names.GROUP}",
            "labels": {names.PART_OF_LABEL: names.PART_OF},
        },
        "spec": {
            "group": names.GROUP,
            "scope": "Cluster",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": [resource.short_name],
                "categories": ["damon"],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(c) for c in resource.columns],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": resource.description,
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                                "status": status,
                            },
                            "required": ["spec"],
                        }
                    },
                }
            ],
        },
    }


def _column(column: Column) -> Schema:
    said: Schema = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    if column.description:
        said["description"] = column.description
    if column.priority:
        said["priority"] = column.priority
    return said
