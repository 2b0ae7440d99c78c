"""How a report looks on a terminal."""

from rich.console import Console
from rich.markup import escape

from damon_cli import output
from damon_cli.report.escape import plain
from damon_cli.report.knowledge import Report
from damon_cli.report.tables import Table, tables


def show(console: Console, told: Report, most: int) -> None:
    """Print a report, with so many workloads at most; 0: all."""
    console.print(f"[bold]{escape(plain(told.sentence))}[/]\n", soft_wrap=True)
    for each in tables(told, most):
        if each.rows:
            _show(console, each)
    console.print("What this cannot know:")
    for sentence in told.unknown:
        console.print(f"- {escape(plain(sentence))}", soft_wrap=True)


def _show(console: Console, table: Table) -> None:
    made = output.table(*table.headings)
    for column in made.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for row in table.rows:
        made.add_row(*(escape(plain(each)) for each in row))
    console.print(made)
    if table.left_out:
        console.print(f"and {table.left_out} more (--limit)")
    console.print()
