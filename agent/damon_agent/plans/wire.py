"""A status as it is written: what of it fits into an object of bounded size. Pure.

The loop builds a status at every tick and writes few of them, so its size is judged here.
"""

import json
from typing import Any, Final

from damon_contract.v1alpha1.model import Model
from damon_contract.v1alpha1.node import MAX_STATUS_BYTES, DamonNodeStatus, PodStatus

_ALWAYS_FIT: Final = 40
"""So many pods fit with all that can be said of them, however long their names are."""
_RESERVE_BYTES: Final = 512
"""For what a merge patch takes away: fields that it names with null."""
_MOST: Final = (1 << 63) - 1
"""The CRD's integers are int64; the kernel counts up to twice as far. A status with a larger number
would be refused as a whole."""
_DETAILS: Final[dict[str, None]] = dict.fromkeys(
    (
        "namespace",
        "name",
        "cold_bytes",
        "given_up_bytes",
        "refaulted_bytes",
        "spared",
        "reclaim",
        "reason",
        "message",
    )
)


def wire(status: DamonNodeStatus) -> dict[str, Any]:
    """Return as much of the status as fits, as a merge patch: what has no value is taken away."""
    fits = fitting(status)
    dumped = fits.model_dump(by_alias=True, mode="json", exclude_none=True)
    body: dict[str, Any] = _at_most_int64(dumped)
    _take_away(fits, body)
    return body


def _at_most_int64(part: Any) -> Any:
    match part:
        case dict():
            return {name: _at_most_int64(value) for name, value in part.items()}
        case list():
            return [_at_most_int64(value) for value in part]
        case int():
            return min(part, _MOST)
        case _:
            return part


def _take_away(part: Model, body: dict[str, Any]) -> None:
    """Name what has no value with null, in an object below as well: a merge patch goes into it.

    Lists it replaces as a whole.
    """
    for name, field in type(part).model_fields.items():
        alias = field.alias or name
        value = getattr(part, name)
        body.setdefault(alias, None)
        if isinstance(value, Model):
            _take_away(value, body[alias])


def fitting(status: DamonNodeStatus) -> DamonNodeStatus:
    """Return the status with details on as many pods as there is room for beside the rest.

    First those of which most is to be told; of equal ones those that come first in the plan.
    """
    pods = status.pods
    if len(pods) <= _ALWAYS_FIT:
        return status
    rest = status.model_copy(update={"pods": ()})
    bare = [pod.model_copy(update=_DETAILS) for pod in pods]
    sizes = [_size_bytes(pod) for pod in bare]
    left = MAX_STATUS_BYTES - _RESERVE_BYTES - _size_bytes(rest) - sum(sizes)
    told = list(bare)
    for index in sorted(range(len(pods)), key=lambda n: _weight(pods[n]), reverse=True):
        more = _size_bytes(pods[index]) - sizes[index]
        if more > left:
            break
        left -= more
        told[index] = pods[index]
    return status.model_copy(update={"pods": tuple(told)})


def _weight(pod: PodStatus) -> tuple[bool, bool, int]:
    gone_bytes = None if pod.reclaim is None else pod.reclaim.file_bytes
    figures = (pod.cold_bytes, pod.given_up_bytes, pod.refaulted_bytes, gone_bytes)
    hindered = pod.reason is not None
    return hindered, pod.spared is not None, sum(figure or 0 for figure in figures)


def _size_bytes(part: PodStatus | DamonNodeStatus) -> int:
    """Return how much of a status this takes on the wire, the comma behind it included."""
    body: Any = part.model_dump(mode="json", by_alias=True, exclude_none=True)
    return len(json.dumps(body, separators=(",", ":"))) + 1
