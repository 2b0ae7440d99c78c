"""What a commit would bring to a lane: slots and files, and what is special about it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from damon_agent.kernel.lanes.wanted import Wanted
from damon_agent.kernel.schemes import RECLAIM
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree.context import render
from damon_agent.kernel.tree.features import CONTEXT, Features

_SCHEME: Final = f"{CONTEXT}/schemes/{RECLAIM}"
_ACTION: Final = f"{_SCHEME}/action"
_METRIC: Final = f"{_SCHEME}/watermarks/metric"
_LIMIT: Final = f"{_SCHEME}/stats/max_nr_snapshots"


@dataclass(frozen=True, slots=True)
class Change:
    """What the files of a lane should read for what is wanted of it."""

    wanted: Wanted
    slots: Slots
    snapshots: tuple[int, int]
    """Of the acting scheme: counted by the kernel, and the most it was allowed."""
    files: dict[str, str]


def changed(
    before: Change | None,
    wanted: Wanted,
    slots: Slots,
    known: Mapping[str, str],
    *,
    features: Features,
    snapshots: int,
) -> Change:
    """Return the change; `before` itself if it is the same, which at most steps it is."""
    counted = snapshots, int(known.get(_LIMIT, 0))
    if before is not None and (before.wanted, before.slots, before.snapshots) == (
        wanted,
        slots,
        counted,
    ):
        return before
    return Change(wanted, slots, counted, render(wanted.context(slots, *counted), features))


def must_restart(known: Mapping[str, str], files: Mapping[str, str], features: Features) -> bool:
    """Say whether a commit cannot bring this about: before 6.3 it wakes no sleeping scheme."""
    return (
        not features.commit_reactivates
        and known.get(_METRIC) == "free_mem_rate"
        and files.get(_METRIC) == "none"
    )


def must_stop(known: Mapping[str, str], files: Mapping[str, str]) -> bool:
    """Say whether the lane reclaims, and is not to."""
    return acts(known) and not acts(files)


def acts(files: Mapping[str, str]) -> bool:
    """Say whether a lane with these files does more than count."""
    return files.get(_ACTION, "stat") != "stat"
