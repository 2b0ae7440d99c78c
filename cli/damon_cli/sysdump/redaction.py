"""What never gets into a dump: the environment, annotations of others, tokens. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from damon_contract import names

_DROPPED: Final = frozenset({"env", "envFrom", "httpHeaders", "managedFields"})
"""Fields of any object, at any depth: pods have them, and the templates of pods."""
_REMOVED: Final = "(removed)"
_KEPT: Final = (f"{names.GROUP}/", "deployment.kubernetes.io/revision")
"""Annotations whose values are kept begin so; of the others only the name is."""
_TOKENS: Final = re.compile(
    r"(?i:\bbearer\s+)[^\s\"']+"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"  # JSON web tokens
    r"|(?i:\b(?:password|passwd|secret|token)[\"']?\s*[=:]\s*)[^\s,;]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def redacted(value: Any) -> Any:
    """Return an object without what may be secret."""
    if isinstance(value, Mapping):
        return {
            name: _annotations(each) if name == "annotations" else redacted(each)
            for name, each in value.items()
            if name not in _DROPPED
        }
    if isinstance(value, list):
        return [redacted(each) for each in value]
    return scrubbed(value) if isinstance(value, str) else value


def scrubbed(text: str) -> str:
    """Return a text without what looks like a token, a password or a private key."""
    return _TOKENS.sub(_REMOVED, text)


def _annotations(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return redacted(value)
    return {
        name: redacted(each) if str(name).startswith(_KEPT) else _REMOVED
        for name, each in value.items()
    }
