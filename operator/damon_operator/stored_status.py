"""The status of a DamonTuning as it is stored: this version wrote it, or another one. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from damon_contract.v1alpha1.tuning import DamonTuningStatus, Policy

Raw = Mapping[str, Any]


def read_status(stored: object) -> DamonTuningStatus:
    """Read a status part by part, as far as this version understands it.

    A newer version may have written fields that only it knows: these are ignored wherever they
    are. A part that cannot be read costs itself, and is written anew; but `standing` is kept as it
    is then (docs/adr/0023): that something stood is known.
    """
    if not isinstance(stored, Mapping):
        return DamonTuningStatus()
    parts: dict[str, Any] = {}
    for name, field in DamonTuningStatus.model_fields.items():
        if field.alias in stored:
            try:
                read = DamonTuningStatus.model_validate(
                    {field.alias: stored[field.alias]}, extra="ignore"
                )
            except ValidationError:
                continue
            parts[name] = getattr(read, name)
    return DamonTuningStatus(**parts)


def unreadable_standing(status: DamonTuningStatus | None) -> str:
    """Return why what stood last cannot be read, with its field; empty: it can, or nothing has."""
    standing = status.standing if status is not None else None
    if standing is None or isinstance(standing, Policy):
        return ""
    try:
        Policy.model_validate(standing, extra="ignore")
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        path = ".".join(["status.standing", *(str(part) for part in fault["loc"])])
        return f"{path}: {fault['msg'].removeprefix('Value error, ')}"[:500]
    return ""


def replacement(stored: object, wanted: Raw) -> dict[str, Any]:
    """Return the merge patch that leaves of a stored object only what is wanted.

    A merge would keep the fields that another version has written and this one does not know.
    """
    if not isinstance(stored, Mapping):
        return dict(wanted)
    return {
        **{name: None for name in stored if name not in wanted},
        **{
            name: replacement(stored.get(name), value) if isinstance(value, Mapping) else value
            for name, value in wanted.items()
        },
    }
