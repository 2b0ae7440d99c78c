"""`kubectl damon top`: once, or again and again."""

from damon_cli import output
from damon_cli.client import Client
from damon_cli.errors import Exit, UsageError
from damon_cli.options import Format
from damon_cli.top.picture import TopOptions, look


def run(client: Client, asked: TopOptions, form: Format, *, watch: bool) -> Exit:
    """Print the rows; with `watch` again whenever they change, until interrupted."""
    if watch and form is not Format.TABLE:
        raise UsageError("--watch shows a table", "leave out either --watch or -o")
    picture = look(client, asked)
    if watch:
        from damon_cli.top import live

        live.follow(client, asked, picture)
        return Exit.FINE
    if form is not Format.TABLE:
        answer = {"groupedBy": asked.grouping, "items": picture.rows(asked)}
        output.write("Top", answer, form)
        return Exit.FINE
    from damon_cli.top import screen

    rows, console = picture.rows(asked), output.console()
    if rows:
        console.print(screen.table(rows, asked.grouping, limit=asked.limit))
    else:
        console.print("No pod is in a plan here: `kubectl damon status` says why.")
    return Exit.FINE
