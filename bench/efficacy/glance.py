"""All scenarios in one table: the kernel alone, the strongest simple rival, and ours. Pure."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from efficacy.overview import COLUMNS
from efficacy.record import Run
from efficacy.tables import Read, grouped, shown, table

_RIVALS: Final = ("none", "loop")
_OURS: Final = {"enforce": "", "enforce_reclaim": ", with memoryReclaim"}
"""By contender, each of which has a row: what is said of it."""

_AS_GOOD: Final = 1.05
"""Within a twentieth of the least: less is no difference."""


def _sum(*titles: str) -> Read:
    """Return what adds these columns up; None where a run has none of them."""

    def read(run: Run) -> float | None:
        there = [found for title in titles if (found := COLUMNS[title](run)) is not None]
        return sum(there) if there else None

    return read


_FIGURES: Final[Mapping[str, Read]] = {
    "spike satisfied, s": _sum("spike satisfied, s"),
    "protected: in swap, MiB": _sum("protected: in swap, MiB"),
    "protected: p99.9, us": _sum("p99.9, us"),
    "pages back, of all": _sum("pages back", "others: pages back"),
    "CPU, with kswapd's, s": _sum("CPU, s", "kswapd, s"),
}


def glance(runs: Iterable[Run]) -> str:
    """Return a row for each scenario and each of ours: medians of the kernel / the loop / ours."""
    rows = [
        [scenario + said, _number(each), *(_cell(each, read) for read in _FIGURES.values())]
        for scenario, contenders in grouped(runs).items()
        for ours, said in _OURS.items()
        if ours in contenders
        for each in ([contenders.get(name, []) for name in (*_RIVALS, ours)],)
    ]
    return table(["scenario", "runs of each", *_FIGURES], rows)


def _number(contenders: Sequence[Sequence[Run]]) -> str:
    return str(min(len(runs) for runs in contenders if runs))


def _cell(contenders: Sequence[Sequence[Run]], read: Read) -> str:
    """Return the medians; in bold what is as good as the least, unless all are."""
    medians = [_median(runs, read) for runs in contenders]
    there = [median for median in medians if median is not None]
    if not there:
        return "-"
    good = [median is not None and median <= _AS_GOOD * min(there) for median in medians]
    some_are_worse = sum(good) < len(there)
    return " / ".join(
        "-"
        if median is None
        else f"**{shown(median)}**"
        if best and some_are_worse
        else shown(median)
        for median, best in zip(medians, good, strict=True)
    )


def _median(runs: Sequence[Run], read: Read) -> float | None:
    """Return the median; None where no run, or not every run, has such a figure."""
    values = [read(run) for run in runs]
    if not values or None in values:
        return None
    return statistics.median(value for value in values if value is not None)
