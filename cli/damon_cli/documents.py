"""YAML that a person has written, as kubectl reads it: what JSON can say, and nothing else. Pure.

A date without quotes is text, as it is for kubectl.
"""

import math
from typing import Any, Final

import yaml

_TEXT_FOR_KUBECTL: Final = frozenset({"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"})
_DEEPEST: Final = 64
_MOST_VALUES: Final = 1_000_000
"""More than any file of a person has; aliases of aliases come to any number in a few lines."""
_LONGEST_BITS: Final = 64


class DocumentError(ValueError):
    """Text that is no YAML, or YAML that is no JSON."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    yaml_implicit_resolvers = {  # noqa: RUF012 - yaml's
        first: [(tag, regexp) for tag, regexp in resolvers if tag not in _TEXT_FOR_KUBECTL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def documents(text: bytes) -> list[Any]:
    """Return the documents in a text, in JSON's terms; raise DocumentError."""
    try:
        found = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise DocumentError(str(error)) from error
    except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
        # What yaml's own readers raise of a value that is not what its tag says.
        raise DocumentError(f"a value that is not what its tag says: {error!r}") from error
    except RecursionError as error:
        raise DocumentError(f"nested deeper than {_DEEPEST} levels") from error
    return _Plain().list(found, 0)


class _Plain:
    """Copies values, and counts them."""

    def __init__(self) -> None:
        self._values = 0

    def value(self, value: object, depth: int) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise DocumentError(f"more than {_MOST_VALUES} values")
        if depth > _DEEPEST:
            raise DocumentError(f"nested deeper than {_DEEPEST} levels")
        match value:
            case dict():
                return {_key(key): self.value(each, depth + 1) for key, each in value.items()}
            case list():
                return self.list(value, depth + 1)
            case int() if value.bit_length() > _LONGEST_BITS:
                raise DocumentError(f"a number of more than {_LONGEST_BITS} bits")
            case float() if not math.isfinite(value):
                raise DocumentError(f"{value} is no number for JSON")
            case None | bool() | int() | float() | str():
                return value
            case _:
                raise DocumentError(f"a {type(value).__name__}, which JSON does not have")

    def list(self, values: list[Any], depth: int) -> list[Any]:
        return [self.value(each, depth) for each in values]


def _key(key: object) -> str:
    match key:
        case str():
            return key
        case bool():
            return str(key).lower()
        case int() if key.bit_length() <= _LONGEST_BITS:
            return str(key)
        case _:
            raise DocumentError(f"a {type(key).__name__} as a key, which JSON does not have")
