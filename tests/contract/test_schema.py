"""The generated CRDs: structural, described, and saying the same as the models."""

import functools
from collections.abc import Iterator
from typing import Annotated, Any

import celpy
import jsonschema
import pytest
from celpy import celtypes
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from damon_contract import resources, schema
from damon_contract.v1alpha1.model import Model
from damon_contract.v1alpha1.tuning import DamonTuningSpec

FORBIDDEN = {"$ref", "$defs", "title", "anyOf", "oneOf", "const", "exclusiveMinimum", "definitions"}


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema node with its path; property names are not keywords."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in node:
            yield from nodes(node[keyword], f"{path}/{keyword}")


def root(resource: schema.Resource) -> dict[str, Any]:
    (version,) = schema.crd(resource)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


both = pytest.mark.parametrize("resource", resources.ALL, ids=lambda r: r.kind)


@both
def test_the_schema_is_structural(resource):
    for path, node in nodes(root(resource)):
        assert not FORBIDDEN & node.keys(), path
        assert "type" in node, path
        assert node.get("additionalProperties") is not False, path


@both
def test_every_field_is_described(resource):
    for part in ("spec", "status"):
        for path, node in nodes(root(resource)["properties"][part]):
            for name, child in node.get("properties", {}).items():
                assert child.get("description"), f"{part}{path}.{name}"


@both
def test_lists_maps_and_free_strings_are_bounded_so_that_cel_can_be_costed(resource):
    for path, node in nodes(root(resource)["properties"]["spec"]):
        if node["type"] == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path
        if node["type"] == "string":
            assert "maxLength" in node or "enum" in node, path


@both
def test_a_status_has_no_defaults(resource):
    assert not [p for p, n in nodes(root(resource)["properties"]["status"]) if "default" in n]


@both
def test_names_columns_and_the_status_subresource_are_there(resource):
    spec = schema.crd(resource)["spec"]
    (version,) = spec["versions"]
    assert spec["names"]["shortNames"] == [resource.short_name]
    assert version["subresources"] == {"status": {}}
    assert {"Mode", "Ready", "Age"} <= {c["name"] for c in version["additionalPrinterColumns"]}


def test_a_union_is_refused_with_the_fields_path():
    class Either(Model):
        which: int | str

    with pytest.raises(schema.NotStructuralError, match=r"Either\.which: a CRD cannot say a union"):
        schema.structural(Either)


def test_a_keyword_a_crd_does_not_know_is_refused():
    class Multiple(Model):
        step: Annotated[int, Field(multiple_of=2)]

    with pytest.raises(schema.NotStructuralError, match=r"Multiple\.step: .*multipleOf"):
        schema.structural(Multiple)


# --- The CEL rules against the validators of the models -----------------------------------------

ENVIRONMENT = celpy.Environment()


@functools.cache
def compiled(rule: str) -> celpy.Runner:
    return ENVIRONMENT.program(ENVIRONMENT.compile(rule))


def defaulted(node: dict[str, Any], value: Any) -> Any:
    """Apply schema defaults as the API server does before it validates."""
    if node["type"] != "object" or not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, child in node.get("properties", {}).items():
        if name not in filled and "default" in child:
            filled[name] = child["default"]
        if name in filled:
            filled[name] = defaulted(child, filled[name])
    return filled


def broken_rules(node: dict[str, Any], value: Any) -> Iterator[str]:
    """The messages of all CEL rules that `value`, already defaulted, breaks."""
    for rule in node.get("x-kubernetes-validations", ()):
        activation = {"self": celpy.json_to_cel(value)}
        if compiled(rule["rule"]).evaluate(activation) != celtypes.BoolType(True):
            yield rule["message"]
    for name, child in node.get("properties", {}).items():
        if isinstance(value, dict) and name in value:
            yield from broken_rules(child, value[name])
    if node["type"] == "array":
        for item in value:
            yield from broken_rules(node["items"], item)


TUNING_SPEC = root(resources.TUNING)["properties"]["spec"]


def server_accepts(body: dict[str, Any]) -> bool:
    full = defaulted(TUNING_SPEC, body)
    try:
        jsonschema.validate(full, TUNING_SPEC)
    except jsonschema.ValidationError:
        return False
    return not list(broken_rules(TUNING_SPEC, full))


def model_accepts(body: dict[str, Any]) -> bool:
    try:
        DamonTuningSpec.model_validate(body)
    except ValidationError:
        return False
    return True


PRIORITY = st.integers(-1, 102)
DURATION = st.sampled_from(["1ms", "5ms", "220ms", "500ms", "1s", "2s", "5s", "1m", "2m", "soon"])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


SPECS = some(
    mode=st.sampled_from(["Observe", "Enforce", "Off", "off"]),
    protectFrom=PRIORITY,
    eagerUpTo=PRIORITY,
    priorities=some(
        annotation=some(min=PRIORITY, max=PRIORITY),
        rules=st.lists(some(priority=st.integers(1, 100), exempt=st.booleans()), max_size=2),
        default=PRIORITY,
    ),
    monitoring=some(sampleInterval=DURATION, aggregationInterval=DURATION, updateInterval=DURATION),
    reclaim=some(
        action=st.sampled_from(["pageout", "cold", "stat"]),
        minAge=DURATION,
        quota=st.fixed_dictionaries(
            {"bytes": st.sampled_from(["1Mi", "x"])}, optional={"window": DURATION}
        ),
    ),
    watermarks=some(
        floorPermille=st.integers(-1, 1001),
        ceilingPermille=st.integers(-1, 1001),
        interval=DURATION,
    ),
)


@given(SPECS)
def test_schema_and_cel_accept_exactly_what_the_model_accepts(body):
    assert server_accepts(body) == model_accepts(body)


def test_a_broken_cel_rule_says_why():
    full = defaulted(TUNING_SPEC, {"eagerUpTo": 90})
    assert list(broken_rules(TUNING_SPEC, full)) == ["eagerUpTo must be below protectFrom"]
