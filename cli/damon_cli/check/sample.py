"""What the workload says of itself in a second. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """Where the memory of one pod is, by its own account."""

    second: int
    """Since its memory was filled."""
    cold_resident_bytes: int
    cold_swap_bytes: int
    hot_resident_bytes: int
    hot_swap_bytes: int
    memory_bytes: int | None = None
    """memory.current of its cgroup; None here and below: not known."""
    anon_bytes: int | None = None
    swap_bytes: int | None = None
    swap_max_bytes: int | None = None
    """memory.swap.max; None also where there is no limit."""


_REQUIRED = (
    "second",
    "coldResidentBytes",
    "coldSwapBytes",
    "hotResidentBytes",
    "hotSwapBytes",
)
_KNOWN = ("memoryBytes", "anonBytes", "swapBytes", "swapMaxBytes")


def samples(log: str) -> Iterator[Sample]:
    """Yield the samples of a log; other lines, and those that are cut off, are left out."""
    for line in log.splitlines():
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and all(isinstance(said.get(name), int) for name in _REQUIRED):
            known = (said.get(name) for name in _KNOWN)
            yield Sample(
                *(said[name] for name in _REQUIRED),
                *(size if isinstance(size, int) else None for size in known),
            )
