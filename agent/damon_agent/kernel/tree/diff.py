"""The ordered writes that turn what sysfs reads into what it should read. Pure.

Writing a nr_* file always destroys and recreates all children with defaults, even n over n, so it
is written only when the count differs, and then everything below it is written again.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

UNWRITABLE_DEFAULTS: Final = {"target_priority": "0"}
"""Files that refuse their own default: only recreating the directory brings it back."""

FRESH_DEFAULTS: Final = {**UNWRITABLE_DEFAULTS, "obsolete_target": "N", "max_nr_snapshots": "0"}
"""Defaults that need no write into a directory just created (and 0, of every count)."""


class Write(NamedTuple):
    """One write(2)."""

    path: str
    value: str


def is_count(path: str) -> bool:
    """Whether writing this file recreates its siblings' directories."""
    name = path.rpartition("/")[2]
    return name.startswith("nr_")


def directories(path: str) -> Iterator[str]:
    """Yield the directories above a file, innermost first."""
    while path := path.rpartition("/")[0]:
        yield path


def diff(current: Mapping[str, str], desired: Mapping[str, str]) -> tuple[Write, ...]:
    """Return the writes, in the order of `desired`; a path absent in `current` is unknown.

    Paths of `current` that `desired` does not have lie below a count that differs: they go with it.
    The time grows with the number of files, not with its square: a pod may fork thousands of times.
    """
    writes: list[Write] = []
    recreated: set[str] = set()
    must = _must_recreate(current, desired)
    for path, value in desired.items():
        new = any(directory in recreated for directory in directories(path))
        if not new and current.get(path) == value and path not in must:
            continue
        if _has_default(path, value) and (new or _is_unwritable(path, value)):
            continue
        writes.append(Write(path, value))
        if is_count(path):
            recreated.add(path.rpartition("/")[0])
    return tuple(writes)


def _has_default(path: str, value: str) -> bool:
    """Whether a directory just created reads this value already."""
    name = path.rpartition("/")[2]
    return (is_count(path) and value == "0") or FRESH_DEFAULTS.get(name) == value


def _is_unwritable(path: str, value: str) -> bool:
    return UNWRITABLE_DEFAULTS.get(path.rpartition("/")[2]) == value


def _must_recreate(current: Mapping[str, str], desired: Mapping[str, str]) -> frozenset[str]:
    """Return the counts of which a child has to go back to a default that cannot be written."""
    parents = {
        _counted_in(path)
        for path, value in desired.items()
        if _is_unwritable(path, value) and current.get(path, value) != value
    }
    if not parents:
        return frozenset()
    return frozenset(
        path for path in desired if is_count(path) and path.rpartition("/")[0] in parents
    )


def _counted_in(path: str) -> str:
    """Return the directory of the count that creates this file's directory."""
    return path.rpartition("/")[0].rpartition("/")[0]
