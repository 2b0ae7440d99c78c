"""A report as Markdown and as CSV. Pure."""

import csv
import io
from collections.abc import Sequence
from dataclasses import fields

from damon_cli.report.account import Sums
from damon_cli.report.escape import cell, markdown
from damon_cli.report.knowledge import Report
from damon_cli.report.tables import Table, tables


def markdown_text(told: Report, most: int) -> str:
    """Return Markdown with tables, and so many workloads at most; 0: all."""
    parts = ["# Cold memory", markdown(told.sentence), f"{markdown(told.taken_at)}."]
    for each in tables(told, most):
        parts += [f"## {each.title}", _table(each)]
        parts += [f"And {each.left_out} more."] if each.left_out else []
    parts.append("## What this cannot know")
    parts.append("\n".join(f"- {markdown(each)}" for each in told.unknown))
    return "\n\n".join(parts) + "\n"


def csv_text(told: Report) -> str:
    """Return all sums, a line each; what is not known is an empty cell."""
    columns = [field.name for field in fields(Sums)]
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(["group", *columns])
    for group, sums in (
        ("total", (told.total,)),
        ("namespace", told.namespaces),
        ("workload", told.workloads),
        ("priority", told.priorities),
    ):
        for each in sums:
            writer.writerow([group, cell(each.name), *(getattr(each, c) for c in columns[1:])])
    return made.getvalue()


def _table(table: Table) -> str:
    ruler = [":--", *["--:"] * (len(table.headings) - 1)]
    rows = [_line(table.headings), "|" + "|".join(ruler) + "|", *map(_line, table.rows)]
    return "\n".join(rows)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(markdown(each) for each in cells) + " |"
