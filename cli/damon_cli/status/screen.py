"""How a status looks to a person."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape

from damon_cli import output
from damon_cli.status.condition import Status, TuningState

_COLOURS = {"True": "green", "False": "red", "Unknown": "yellow"}


def show(console: Console, told: Status) -> None:
    """Print a status."""
    if told.tunings:
        _show_tunings(console, told.tunings)
    if told.nodes:
        table = output.table("NODES", "READY", "REASON", "SUCH AS")
        for group in told.nodes:
            table.add_row(
                str(group.nodes),
                _coloured(group.ready),
                escape(group.reason),
                escape(", ".join(group.examples)),
            )
        console.print(table)
        console.print()
    for unmet in told.unmet:
        said = f"[yellow]{escape(unmet.about)}[/]: {escape(unmet.reason)}: {escape(unmet.message)}"
        console.print(said, soft_wrap=True)
        if unmet.action:
            console.print(f"  -> {escape(unmet.action)}", soft_wrap=True)
    if told.silent:
        shown = ", ".join(told.silent[:10]) + (", ..." if len(told.silent) > 10 else "")
        console.print(f"[yellow]silent[/]: {escape(shown)}", soft_wrap=True)
    if told.ready:
        nodes = sum(group.nodes for group in told.nodes)
        console.print(f"[green]ready[/]: {nodes} nodes, {told.targets} processes in lanes")


def _show_tunings(console: Console, tunings: Sequence[TuningState]) -> None:
    table = output.table("TUNING", "MODE", "READY", "REASON", "NODES", "PODS")
    for each in tunings:
        table.add_row(
            escape(each.name),
            escape(each.mode),
            _coloured(each.ready),
            escape(each.reason),
            f"{each.applied}/{each.governed} applied",
            _pods(each.pods),
        )
    console.print(table)
    for each in tunings:
        if each.rollout and each.rollout != each.message:  # else it is unmet, and told below
            console.print(
                f"rollout of dt/{escape(each.name)}: {escape(each.rollout)}", soft_wrap=True
            )
    console.print()


def _coloured(state: str) -> str:
    return f"[{_COLOURS.get(state, 'yellow')}]{escape(state)}[/]"


def _pods(counts: Mapping[str, int]) -> str:
    exempt = counts.get("exempt", 0)
    planned = sum(counts.get(n, 0) for n in ("annotation", "rule", "priorityClass", "default"))
    return f"{planned} planned, {exempt} exempt"
