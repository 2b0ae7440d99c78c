"""Asks for what `status` needs, and waits if it is told to."""

import time
from collections.abc import Iterator
from typing import Any, Final

from damon_cli import output
from damon_cli.client import DAMON_NODES, TUNINGS, Client, Raw
from damon_cli.errors import Exit, UnreachableError
from damon_cli.options import Format
from damon_cli.status.condition import NO_REPORT, NodeRow, Status, status
from damon_cli.wait import Wait

_AGAIN_S: Final = 15.0
"""DamonNodes are not watched, because thousands of agents write them: they are looked at again when
a DamonTuning changes, whose status counts them, and after so long."""
_APART_S: Final = 1.0


def run(client: Client, form: Format, wait_s: float) -> Exit:
    """Print the status; with `wait_s`, when everything is ready or that time is over."""
    told = _awaited(client, Wait.lasting(wait_s)) if wait_s else look(client)[0]
    if form is Format.TABLE:
        from damon_cli.status import screen

        screen.show(output.console(), told)
    else:
        output.write("Status", told, form)
    return Exit.FINE if told.ready else Exit.NOT_MET


def look(client: Client) -> tuple[Status, str]:
    """Return the status of this moment, and the version of the DamonTunings it speaks of."""
    tunings: list[Raw] = []
    version = ""
    for page in client.pages(TUNINGS):
        tunings += page.get("items") or ()
        version = str((page.get("metadata") or {}).get("resourceVersion") or "")
    return status(tunings, node_rows(client)), version


def _awaited(client: Client, wait: Wait) -> Status:
    """Return the status as soon as everything is ready, or when the time is over."""
    told, version = wait.answer(lambda: look(client))
    while not told.ready and (left_s := wait.left_s) > 0:
        wait.says(told.waits_for)
        _until_changed(client, version, min(left_s, _AGAIN_S))
        told, version = wait.answer(lambda: look(client))
    return told


def _until_changed(client: Client, version: str, most_s: float) -> None:
    """Return when a DamonTuning has changed, not sooner than is good for the API server."""
    began = time.monotonic()
    try:
        for event in client.watch(TUNINGS, version, timeout_s=most_s):
            if event.get("type") != "BOOKMARK":
                break
    except UnreachableError:
        pass  # the next look tells whether there is an answer again
    time.sleep(max(0.0, min(_APART_S, most_s) - (time.monotonic() - began)))


def node_rows(client: Client) -> Iterator[NodeRow]:
    """Yield the DamonNodes as the API server's own table has them: whole, they are 64 KiB each."""
    columns: dict[str, int] = {}
    for page in client.pages(DAMON_NODES, table=True):
        defined = page.get("columnDefinitions") or ()
        columns = {str(c["name"]).lower(): i for i, c in enumerate(defined)} or columns
        for row in page.get("rows") or ():
            yield _row(row["cells"], columns)


def _row(cells: list[Any], columns: dict[str, int]) -> NodeRow:
    def cell(name: str) -> str:
        position = columns.get(name)
        value = cells[position] if position is not None and position < len(cells) else None
        return "" if value in {None, "<none>", "<unknown>"} else str(value)

    targets = cell("targets")
    return NodeRow(
        name=cell("name"),
        mode=cell("mode"),
        ready=cell("ready") or "Unknown",
        reason=cell("reason") or NO_REPORT,
        targets=int(targets) if targets.isdecimal() else 0,
        tuning=cell("tuning"),
        driver=cell("driver"),
        kernel=cell("kernel"),
    )
