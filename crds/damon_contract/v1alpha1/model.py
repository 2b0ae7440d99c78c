"""What every API model has in common, and the condition type."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A frozen API object part: camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


WORD: Final = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
"""What Kubernetes takes as the reason of a condition: one word without spaces or controls."""


class Condition(Model):
    """One observed aspect of an object, by the Kubernetes API conventions."""

    type: Annotated[str, Field(max_length=316, pattern=WORD)]
    """Aspect, in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Whether the aspect holds."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=WORD)]
    """Why, as one CamelCase word for programs; docs/operations.md lists them all."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, and what to do next, for people."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When `status` last changed."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The metadata.generation this was computed from."""


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    ),
]


class Verdict(Model):
    """A condition before it has a time: what a pure function says about one aspect."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def settle(
    verdicts: Sequence[Verdict], previous: Sequence[Condition], *, now: str, generation: int
) -> tuple[Condition, ...]:
    """Turn verdicts into conditions; a condition keeps its transition time while its status does.

    `now` is RFC 3339 in UTC. Conditions of types no longer in `verdicts` are dropped.
    """
    before = {condition.type: condition for condition in previous}
    return tuple(
        Condition(
            type=v.type,
            status=v.status,
            reason=v.reason,
            message=v.message,
            observed_generation=generation,
            last_transition_time=(
                before[v.type].last_transition_time
                if v.type in before and before[v.type].status == v.status
                else now
            ),
        )
        for v in verdicts
    )
