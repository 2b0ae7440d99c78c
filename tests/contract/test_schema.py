"""The generated CRDs: structural, described, and saying the same as the models."""

import functools
import re
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
from damon_contract.quantities import DURATION_PATTERN, SIZE_PATTERN, microseconds, size_bytes
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
        assert ("type" in node) != ("x-kubernetes-int-or-string" in node), path
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
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path
        if node.get("type") == "string":
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


def test_a_label_with_a_newline_at_its_end_is_refused_by_both():
    body = {"nodeSelector": {"pool": "a\n"}}
    assert not server_accepts(body)
    assert not model_accepts(body)


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
    if node.get("type") != "object" or not isinstance(value, dict):
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
        try:
            holds = compiled(rule["rule"]).evaluate(activation) == celtypes.BoolType(True)
        except (celpy.CELEvalError, OverflowError):
            holds = False  # an API server refuses as well what it cannot evaluate
        if not holds:
            yield rule["message"]
    for name, child in node.get("properties", {}).items():
        if isinstance(value, dict) and name in value:
            yield from broken_rules(child, value[name])
    if node.get("type") == "array":
        for item in value:
            yield from broken_rules(node["items"], item)


TUNING_SPEC = root(resources.TUNING)["properties"]["spec"]


def matches(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Exception]:
    """Match as the API server does: in RE2 `$` is the end, in Python also before a last newline."""
    if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


ServerValidator = jsonschema.validators.extend(jsonschema.Draft7Validator, {"pattern": matches})


def server_accepts(body: dict[str, Any]) -> bool:
    full = defaulted(TUNING_SPEC, body)
    if not ServerValidator(TUNING_SPEC).is_valid(full):
        return False
    return not list(broken_rules(TUNING_SPEC, full))


def model_accepts(body: dict[str, Any]) -> bool:
    try:
        DamonTuningSpec.model_validate(body)
    except ValidationError:
        return False
    return True


PRIORITY = st.integers(-1, 102)
DURATIONS = [
    *("0s", "0h0m", "1ms", "4ms", "5ms", "220ms", "500ms", "999ms", "1s", "1001ms", "2s", "5s"),
    *("9999ms", "10s", "59s", "1m", "60001ms", "119s", "2m", "1m60s", "1h", "24h", "24h1ms"),
    *("720h", "719h60m", "720h1s", "59653h", "8760h", "999999999h", "soon", "-5s", "1.5h", ""),
]
DURATION = st.sampled_from(DURATIONS)
SIZES = [
    *("0", "00", "0Mi", "1", "4095", "4096", "4099", "4100", "9999", "65536", "3Ki", "4Ki", "10Ki"),
    *("4k", "5k", "10k", "1M", "1Mi", "9G", "1T", "999T", "999Ti", "1000T", "1000Ti", "17000000Ti"),
    *(
        "999999999999Ti",
        "999999999999",
        "18446744073709551615",
        "16777216Ti",
        "01Mi",
        "x",
        "-1",
        "",
    ),
]
LABEL = st.sampled_from(
    ["a", "A-b.c_d", "", "x" * 63, "x" * 64, "-a", "a-", "a b", "a\n", "\u00e4"]
)
KEY = st.sampled_from(
    ["a", "example.com/a", "", "/a", "a/", "Example.com/a", "a/b/c", "x" * 64, "-"]
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


REQUIREMENT = st.fixed_dictionaries(
    {"key": KEY, "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "in"])},
    optional={"values": st.lists(LABEL, max_size=2)},
)
SELECTOR = some(
    matchLabels=st.dictionaries(st.just("a"), LABEL, max_size=1),
    matchExpressions=st.lists(REQUIREMENT, max_size=2),
)
RULE = some(
    priority=st.integers(1, 100),
    exempt=st.booleans(),
    podSelector=SELECTOR,
    namespaceSelector=SELECTOR,
)

NODES = [0, 1, 7, 1_000_000, 1_000_001, "0%", "1%", "10%", "99%", "100%", "101%", "7", "%", "5%\n"]
SPECS = some(
    mode=st.sampled_from(["Observe", "Enforce", "Off", "off"]),
    protectFrom=PRIORITY,
    eagerUpTo=PRIORITY,
    priorities=some(
        annotation=some(min=PRIORITY, max=PRIORITY, exempt=st.booleans()),
        rules=st.lists(RULE, max_size=2),
        default=PRIORITY,
    ),
    monitoring=some(sampleInterval=DURATION, aggregationInterval=DURATION, updateInterval=DURATION),
    reclaim=some(
        action=st.sampled_from(["pageout", "cold", "stat"]),
        minAge=DURATION,
        quota=st.fixed_dictionaries(
            {"bytes": st.sampled_from(SIZES)}, optional={"window": DURATION}
        ),
    ),
    nodeSelector=st.dictionaries(st.just("pool"), LABEL, max_size=1),
    precedence=st.sampled_from([-1001, -1000, 0, 1000, 1001, 2**63]),
    brake=some(pressurePermille=st.integers(-1, 1001), spareFor=DURATION, spareForAtMost=DURATION),
    safety=some(maxPlanAge=DURATION),
    rollout=some(
        maxNodes=st.sampled_from(NODES),
        maxSparedPermille=st.integers(-1, 1001),
        paused=st.booleans(),
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


ONE_AT_A_TIME = {
    "sample": [{"monitoring": {"sampleInterval": d}} for d in DURATIONS],
    "aggregation": [
        {"monitoring": {"sampleInterval": "8s", "aggregationInterval": d}} for d in DURATIONS
    ],
    "update": [{"monitoring": {"updateInterval": d}} for d in DURATIONS],
    "age": [{"reclaim": {"minAge": d}} for d in DURATIONS],
    "window": [{"reclaim": {"quota": {"bytes": "1Mi", "window": d}}} for d in DURATIONS],
    "bytes": [{"reclaim": {"quota": {"bytes": size}}} for size in SIZES],
    "watermarks": [{"watermarks": {"interval": d}} for d in DURATIONS],
    "spared": [{"brake": {"spareFor": d, "spareForAtMost": d}} for d in DURATIONS],
    "nodes": [{"rollout": {"maxNodes": n}} for n in NODES],
    "plan": [{"safety": {"maxPlanAge": d}} for d in DURATIONS],
}


@pytest.mark.parametrize("field", ONE_AT_A_TIME)
def test_schema_and_cel_accept_exactly_what_the_model_accepts_at_every_bound(field):
    bodies = ONE_AT_A_TIME[field]
    assert [server_accepts(body) for body in bodies] == [model_accepts(body) for body in bodies]
    assert {model_accepts(body) for body in bodies} == {True, False}


REFUSED = [
    {"reclaim": {"quota": {"bytes": "0"}}},
    {"reclaim": {"quota": {"bytes": "0Gi"}}},
    {"reclaim": {"quota": {"bytes": "1"}}},
    {"reclaim": {"quota": {"bytes": "16777216Ti"}}},
    {"reclaim": {"quota": {"bytes": "1Mi", "window": "1200h"}}},
    {"reclaim": {"minAge": "0s"}},
    {"reclaim": {"minAge": "59653h"}},
    {"safety": {"maxPlanAge": "0s"}},
    {"safety": {"maxPlanAge": "5s"}},
    {"watermarks": {"interval": "0s"}},
    {"brake": {"spareFor": "0s"}},
    *(
        {"priorities": {"rules": [{"priority": 5, "podSelector": {"matchExpressions": [bad]}}]}}
        for bad in (
            {"key": "a", "operator": "In"},
            {"key": "a", "operator": "NotIn", "values": []},
            {"key": "a", "operator": "Exists", "values": ["b"]},
            {"key": "a b", "operator": "Exists"},
            {"key": "a", "operator": "In", "values": ["not a value"]},
        )
    ),
]


@pytest.mark.parametrize("body", REFUSED, ids=str)
def test_what_would_be_dangerous_or_void_is_refused_by_both(body):
    assert not model_accepts(body)
    assert not server_accepts(body)


def test_every_duration_size_and_number_of_a_tuning_has_bounds():
    for path, node in nodes(TUNING_SPEC):
        if node.get("pattern") in {DURATION_PATTERN, SIZE_PATTERN}:
            (rule,) = node["x-kubernetes-validations"]
            least_to_most, reason = rule["message"].split(": ", 1)
            assert " to " in least_to_most, path
            assert reason, path
        if node.get("type", "integer") == "integer":
            assert {"minimum", "maximum"} <= node.keys(), path


@given(st.from_regex(SIZE_PATTERN, fullmatch=True))
def test_a_quota_that_is_accepted_is_a_page_at_least_and_far_from_what_the_kernel_cannot_hold(size):
    accepted = model_accepts({"reclaim": {"quota": {"bytes": size}}})
    assert not accepted or 4096 <= size_bytes(size) < 2**51


def test_no_accepted_age_is_beyond_what_the_kernel_counts():
    longest_us, shortest_us = microseconds("720h"), microseconds("5ms")
    assert longest_us // shortest_us < 2**32


def test_a_broken_cel_rule_says_why():
    full = defaulted(TUNING_SPEC, {"eagerUpTo": 90})
    assert list(broken_rules(TUNING_SPEC, full)) == ["eagerUpTo must be below protectFrom"]
