"""Request bodies: JSON or YAML, by content type."""

import json
from typing import Any, Final

import yaml

from damon_mock.kube import failures

JSON: Final = "application/json"
YAML: Final = "application/yaml"
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
PATCHES: Final = (MERGE, STRATEGIC, APPLY)


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a date is a string."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute, never changed
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def from_yaml(text: bytes | str) -> Any:
    """Parse one YAML document; ValueError when it is none."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def all_from_yaml(text: bytes | str) -> list[Any]:
    """Parse a file of YAML documents; empty ones are left out."""
    documents = yaml.load_all(text, Loader=_Loader)
    return [document for document in documents if document is not None]


def parse(raw: bytes, content_type: str, accepted: tuple[str, ...]) -> Any:
    """Parse a body; 415 for other content types, 400 for a body that is not what it says."""
    if content_type not in accepted:
        raise failures.unsupported_media_type(accepted)
    try:
        if content_type in {YAML, APPLY}:
            return _from_json_or_yaml(raw)
        return json.loads(raw)
    except ValueError as error:
        raise failures.bad_request(
            f"couldn't get version/kind; json parse error: {error}"
        ) from error


def _from_json_or_yaml(raw: bytes) -> Any:
    """Parse JSON as JSON, which is YAML too: clients apply it, and its parser is far faster.

    YAML's flow style begins with a brace as well, so what is no JSON may still be YAML.
    """
    if raw.lstrip().startswith(b"{"):
        try:
            return json.loads(raw)
        except ValueError:
            pass
    return from_yaml(raw)
