"""The tables of a report, as every form for people shows them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from damon_cli.report.account import Sums
from damon_cli.report.knowledge import Report
from damon_cli.sizes import shown_bytes

_FIGURES: Final = ("PODS", "REQUESTED", "LIMIT", "RESIDENT", "COLD", "OF REQUEST", "IN SWAP")


@dataclass(frozen=True)
class Table:
    """Rows of text; all columns but the first are numbers."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0
    """Rows that are not shown."""


def tables(told: Report, most: int) -> list[Table]:
    """Return the tables, with so many workloads at most; 0: all."""
    age_rows = tuple(
        (f"not touched for {age.min_age}", str(age.pods), shown_bytes(age.cold_bytes))
        for age in told.ages
    )
    return [
        _table("By namespace", "NAMESPACE", (*told.namespaces, told.total), 0),
        _table("Workloads with the most cold memory", "WORKLOAD", told.workloads, most),
        _table("By priority", "PRIORITY", told.priorities, 0),
        Table("By age", ("AGE", "PODS", "COLD"), age_rows),
    ]


def _table(title: str, heading: str, sums: Sequence[Sums], most: int) -> Table:
    shown = sums[:most] if most else sums
    rows = tuple(_row(each) for each in shown)
    return Table(title, (heading, *_FIGURES), rows, len(sums) - len(shown))


def _row(sums: Sums) -> tuple[str, ...]:
    return (
        sums.name,
        f"{sums.measured}/{sums.pods}",
        shown_bytes(sums.requested_bytes),
        _limit(sums),
        shown_bytes(sums.working_set_bytes),
        shown_bytes(sums.cold_bytes),
        _share(sums.cold_of_requested_permille),
        shown_bytes(sums.given_up_bytes),
    )


def _limit(sums: Sums) -> str:
    if sums.unlimited == sums.pods:
        return "none"
    missing = f", {sums.unlimited} without" if sums.unlimited else ""
    return shown_bytes(sums.limit_bytes) + missing


def _share(permille: int | None) -> str:
    return "-" if permille is None else f"{permille // 10}.{permille % 10} %"
