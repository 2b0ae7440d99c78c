"""Custom resources against their structural schema: unknown fields, defaults, refusals.

Wording follows kube-openapi's validation and apiextensions-apiserver, which a user sees through
kubectl. CEL rules are run by a function that is handed in, because evaluating CEL needs a package
the mock does not depend on.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from damon_mock.kube import shapes
from damon_mock.kube.failures import Cause, invalid_value, required
from damon_mock.kube.shapes import Schema

RuleCheck = Callable[[str, Any, Any], bool]
"""(rule, self, oldSelf or None) -> whether the rule holds; may raise ValueError with a reason."""

_RULES: Final = "x-kubernetes-validations"
_UNCHECKED: Final = Cause(
    "<nil>",
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was "
    "invalid; correct the existing errors to complete validation",
)


def unknown_fields(value: Any, schema: Schema, path: str = "") -> list[str]:
    """Return the paths of fields the schema does not know."""
    return [found for found, _, _ in _unknown(value, schema, path)]


def prune(value: Any, schema: Schema) -> Any:
    """Return a copy without the fields the schema does not know."""
    pruned = copy.deepcopy(value)
    for _, holder, name in list(_unknown(pruned, schema, "")):
        del holder[name]
    return pruned


def _unknown(value: Any, schema: Schema, path: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    if isinstance(value, dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        free = schema.get("additionalProperties")
        for name, below in value.items():
            where = f"{path}.{name}" if path else name
            if not path and name in {"apiVersion", "kind", "metadata"}:
                continue
            if name in schema.get("properties", {}) or free:
                yield from _unknown(below, shapes.child(schema, name), where)
            elif schema.get("type") == "object":
                yield where, value, name
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(item, shapes.items(schema), f"{path}[{index}]")


def default(value: Any, schema: Schema) -> Any:
    """Return the value with the defaults of absent fields put in; null counts as absent."""
    if isinstance(value, Mapping):
        filled = dict(value)
        for name, below in schema.get("properties", {}).items():
            if "default" in below and filled.get(name) is None and not below.get("nullable"):
                filled[name] = copy.deepcopy(below["default"])
        return {name: default(v, shapes.child(schema, name)) for name, v in filled.items()}
    if isinstance(value, list):
        return [default(item, shapes.items(schema)) for item in value]
    return value


def refusals(body: Any, schema: Schema, rules: RuleCheck | None, old: Any = None) -> list[Cause]:
    """Return everything that is wrong with an object."""
    found = list(_check(body, schema, ""))
    if rules is None:
        return found
    if found:
        return [*found, _UNCHECKED] if _has_rules(schema) else found
    return list(_rules(body, schema, "", rules, old))


def _has_rules(schema: Schema) -> bool:
    return _RULES in schema or any(
        _has_rules(below)
        for below in (*schema.get("properties", {}).values(), schema.get("items"))
        if below
    )


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def type_name(value: Any) -> str:
    """Return the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return next(name for name, types in _TYPES.items() if isinstance(value, types))


def is_of_type(value: Any, wanted: str) -> bool:
    """Whether a JSON value has a schema's type; 1.0 is an integer as well."""
    if isinstance(value, bool):
        return wanted == "boolean"
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[wanted])


def _check(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    wanted = schema.get("type")
    if value is None and schema.get("nullable"):
        return
    if wanted and not is_of_type(value, wanted):
        got = type_name(value)
        message = f'{path} in body must be of type {wanted}: "{got}"'
        text = f'Invalid value: "{got}": {message}'
        yield Cause(path, "FieldValueTypeInvalid", text)
        return
    if schema.get("x-kubernetes-int-or-string") and type_name(value) not in {"integer", "string"}:
        message = f'{path} in body must be of type integer,string: "{type_name(value)}"'
        text = f'Invalid value: "{type_name(value)}": {message}'
        yield Cause(path, "FieldValueTypeInvalid", text)
        return
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{choice}"' for choice in schema["enum"])
        text = f'Unsupported value: "{value}": supported values: {supported}'
        yield Cause(path, "FieldValueNotSupported", text)
    match value:
        case dict():
            yield from _check_object(value, schema, path)
        case list():
            yield from _check_array(value, schema, path)
        case str():
            yield from _check_string(value, schema, path)
        case bool():
            return
        case int() | float():
            yield from _check_number(value, schema, path)
        case _:
            return


def _check_object(value: dict[str, Any], schema: Schema, path: str) -> Iterator[Cause]:
    for name in schema.get("required", ()):
        if name not in value:
            yield required(f"{path}.{name}" if path else name)
    if len(value) > schema.get("maxProperties", len(value)):
        yield _too_many(path, len(value), schema["maxProperties"])
    for name, below in value.items():
        if not path and name == "metadata":
            continue
        yield from _check(below, shapes.child(schema, name), f"{path}.{name}" if path else name)


def _check_array(value: list[Any], schema: Schema, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxItems", len(value)):
        yield _too_many(path, len(value), schema["maxItems"])
    if len(value) < schema.get("minItems", 0):
        message = f"{path} in body should have at least {schema['minItems']} items"
        yield invalid_value(path, len(value), message)
    seen: list[Any] = []
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        key = _list_key(item, schema)
        if key is not None and key in seen:
            shown = invalid_value(where, key, "").message.rstrip(": ")
            text = shown.replace("Invalid value", "Duplicate value")
            yield Cause(where, "FieldValueDuplicate", text)
        seen.append(key)
        yield from _check(item, shapes.items(schema), where)


def _list_key(item: Any, schema: Schema) -> Any:
    match schema.get(shapes.LIST_TYPE):
        case "map":
            return shapes.key_of(item, schema)
        case "set":
            return item
        case _:
            return None


def _too_many(path: str, count: int, most: int) -> Cause:
    text = f"Too many: {count}: must have at most {most} items"
    return Cause(path, "FieldValueTooMany", text)


def _check_string(value: str, schema: Schema, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxLength", len(value)):
        text = f"Too long: may not be more than {schema['maxLength']} bytes"
        yield Cause(path, "FieldValueTooLong", text)
    if len(value) < schema.get("minLength", 0):
        message = f"{path} in body should be at least {schema['minLength']} chars long"
        yield invalid_value(path, value, message)
    pattern = schema.get("pattern")
    if pattern and not re.search(_in_python(pattern), value, re.ASCII):
        yield invalid_value(path, value, f"{path} in body should match '{pattern}'")
    if schema.get("format") == "date-time" and not _DATE_TIME.match(value):
        message = f'{path} in body must be of type date-time: "{value}"'
        yield Cause(path, "FieldValueTypeInvalid", f'Invalid value: "{value}": {message}')


def _in_python(pattern: str) -> str:
    """Return a pattern of Go's regexp: there `$` is the end, here also before a last newline."""
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        return pattern[:-1] + r"\Z"
    return pattern


_DATE_TIME: Final = re.compile(
    r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)


def _check_number(value: float, schema: Schema, path: str) -> Iterator[Cause]:
    if "maximum" in schema and value > schema["maximum"]:
        message = f"{path} in body should be less than or equal to {schema['maximum']}"
        yield invalid_value(path, value, message)
    if "minimum" in schema and value < schema["minimum"]:
        message = f"{path} in body should be greater than or equal to {schema['minimum']}"
        yield invalid_value(path, value, message)
    if schema.get("format") == "int64" and not -(2**63) <= value < 2**63:
        yield invalid_value(path, value, f"{path} in body must be of type int64")


def _rules(value: Any, schema: Schema, path: str, rules: RuleCheck, old: Any) -> Iterator[Cause]:
    for rule in schema.get(_RULES, ()):
        transition = "oldSelf" in rule["rule"]
        if transition and old is None:
            continue
        if not rules(rule["rule"], value, old if transition else None):
            message = rule.get("message") or f"failed rule: {rule['rule']}"
            yield Cause(path or "<nil>", "FieldValueInvalid", f"Invalid value: {message}")
    if isinstance(value, Mapping):
        for name, below in value.items():
            if not path and name == "metadata":
                continue
            before = old.get(name) if isinstance(old, Mapping) else None
            where = f"{path}.{name}" if path else name
            yield from _rules(below, shapes.child(schema, name), where, rules, before)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _rules(item, shapes.items(schema), f"{path}[{index}]", rules, None)
