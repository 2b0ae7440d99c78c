"""Label selectors, as strict as those of Kubernetes itself, which nothing could match otherwise."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from damon_contract.v1alpha1.model import Model

_NAME: Final = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=f"^({_DOMAIN}/)?{_NAME}$")]
LabelValue = Annotated[str, Field(max_length=63, pattern=f"^({_NAME})?$")]
# The keys go unchecked: a CRD cannot say what they look like, and CEL rules over texts without a
# greatest length cost more than an API server allows.
Labels = Annotated[dict[str, LabelValue], Field(default_factory=dict, max_length=32)]

_VALUES: Final = "values must be stated for In and NotIn, and only for these"


class LabelSelectorRequirement(Model):
    """One expression of a label selector."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "(self.operator in ['In', 'NotIn']) == "
                    "(has(self.values) && size(self.values) > 0)",
                    "message": _VALUES,
                }
            ]
        }
    )

    key: LabelKey
    """Label key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the key's value relates to `values`."""
    values: Annotated[tuple[LabelValue, ...], Field(default=(), max_length=32)]
    """Values of In and NotIn; empty for the other two."""

    @model_validator(mode="after")
    def _values(self) -> Self:
        if (self.operator in {"In", "NotIn"}) != bool(self.values):
            raise ValueError(_VALUES)
        return self


class LabelSelector(Model):
    """A Kubernetes label selector; empty matches everything."""

    match_labels: Labels
    """Labels that must be there with these values."""
    match_expressions: Annotated[
        tuple[LabelSelectorRequirement, ...], Field(default=(), max_length=16)
    ]
    """Further requirements; all must hold."""
