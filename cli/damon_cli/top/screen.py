"""How `top` looks to a person."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from damon_cli import output
from damon_cli.sizes import shown_bytes
from damon_cli.top.usage import Grouping, Usage

_NUMBERS = ("PODS", "WORKING SET", "COLD", "IN SWAP", "CAME BACK", "PER MIN", "CACHE GONE")


def table(rows: Sequence[Usage], grouping: Grouping, *, limit: int = 0) -> Table:
    """Return the table of the rows; `limit` 0: all of them."""
    single = grouping is Grouping.POD
    ranked = grouping is not Grouping.PRIORITY
    used = any(row.working_set_bytes is not None for row in rows)
    watched = any(row.came_back_per_minute_bytes is not None for row in rows)
    cached = any(row.cache_gone_bytes is not None for row in rows)
    headings = [
        "POD" if single else grouping.value.upper(),
        "NODE" if single else "PODS",
        *(["PRIORITY"] if ranked else []),
        "LANE",
        *(["WORKING SET"] if used else []),
        "COLD",
        "IN SWAP",
        "CAME BACK",
        *(["PER MIN"] if watched else []),
        *(["CACHE GONE"] if cached else []),
    ]
    made = output.table(*headings)
    for column in made.columns:
        if column.header in _NUMBERS:
            column.justify = "right"
            column.no_wrap = True
    for row in rows[:limit] if limit else rows:
        made.add_row(
            escape(row.name),
            escape(row.node or "-") if single else str(row.pods),
            *([_priority(row)] if ranked else []),
            _lane(row),
            *([shown_bytes(row.working_set_bytes)] if used else []),
            shown_bytes(row.cold_bytes),
            shown_bytes(row.given_up_bytes),
            shown_bytes(row.came_back_bytes),
            *([shown_bytes(row.came_back_per_minute_bytes)] if watched else []),
            *([shown_bytes(row.cache_gone_bytes)] if cached else []),
        )
    if limit and len(rows) > limit:
        made.add_row(f"and {len(rows) - limit} more (--limit)", *[""] * (len(headings) - 1))
    return made


def _priority(row: Usage) -> str:
    if row.priority == row.priority_most:
        return str(row.priority)
    return f"{row.priority}..{row.priority_most}"


def _lane(row: Usage) -> str:
    words = {"Protected": "only watched", "Ladder": "in turn", "Eager": "at once", "": "none"}
    all_by_reclaim = row.by_reclaim == row.pods
    said = "by reclaim" if all_by_reclaim else words.get(row.lane, "mixed")
    if row.pods == 1:
        if row.spared:
            return f"[yellow]{said}, spared[/]"
        return f"[red]{said}, now[/]" if row.reclaimed_now else said
    more = [
        f"{number} {what}"
        for number, what in (
            (0 if all_by_reclaim else row.by_reclaim, "by reclaim"),
            (row.reclaimed_now, "now"),
            (row.spared, "spared"),
        )
        if number
    ]
    return ", ".join([said, *more])
