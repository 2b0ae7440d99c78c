"""Bounds of a text field, stated once: the model checks them, and a CEL rule of the CRD does."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from damon_contract import quantities


@dataclass(frozen=True)
class TextRule:
    """What a text must keep, for pydantic and for an API server."""

    cel: str
    """The rule in CEL; `self` is the text."""
    message: str
    holds: Callable[[str], bool]
    """The same rule in Python."""

    def _checked(self, text: str) -> str:
        if not self.holds(text):
            raise ValueError(self.message)
        return text

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check after everything else."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Add the rule to the schema of the field."""
        rule = {"rule": self.cel, "message": self.message}
        return {**handler(schema), "x-kubernetes-validations": [rule]}


def within(least: str, most: str, why: str) -> TextRule:
    """Return the rule that a duration is `least` to `most`, both allowed, because of `why`.

    A duration that CEL cannot hold is an error there, which refuses it as well.
    """
    least_us, most_us = quantities.microseconds(least), quantities.microseconds(most)
    return TextRule(
        cel=f"duration(self) >= duration('{least}') && duration(self) <= duration('{most}')",
        message=f"is {least} to {most}: {why}",
        holds=lambda text: least_us <= quantities.microseconds(text) <= most_us,
    )


def matching(pattern: str, message: str) -> TextRule:
    """Return the rule that the whole text matches a pattern, in the syntax of RE2."""
    return TextRule(
        cel=f"self.matches('^({pattern})$')",
        message=message,
        holds=lambda text: re.fullmatch(pattern, text) is not None,
    )
