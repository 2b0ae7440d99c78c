"""How a diagnosis looks to a person."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape

from damon_cli import output
from damon_cli.doctor.findings import Diagnosis, State

_WHOLE: Final = 3
"""Up to so many nodes are shown with all that was found; of more, what is not well."""
_EXAMPLES: Final = 3
_COLOURS: Final = {
    State.OK: "green",
    State.WARNING: "yellow",
    State.PROBLEM: "red",
    State.UNKNOWN: "cyan",
}
_VERDICTS: Final = {
    "True": "[green]nothing prevents tuning[/]",
    "False": "[red]it cannot be tuned[/]",
    "Unknown": "[cyan]whether it can be tuned is not known[/]",
}


def show(console: Console, told: Sequence[Diagnosis]) -> None:
    """Print diagnoses."""
    if len(told) > _WHOLE:
        _summary(console, told)
        return
    for each in told:
        _node(console, each)
    if not told:
        console.print("There is no node.")


def _node(console: Console, told: Diagnosis) -> None:
    table = output.table("CHECK", "STATE", "FOUND")
    remedies: dict[str, list[str]] = {}
    for finding in told.findings:
        table.add_row(finding.check, _coloured(finding.state), escape(finding.found))
        if finding.remedy:
            remedies.setdefault(finding.remedy, []).append(finding.check)
    console.print(table)
    console.print()
    for remedy, checks in remedies.items():
        console.print(f"{', '.join(checks)}\n  -> {escape(remedy)}", soft_wrap=True)
    console.print(f"{escape(told.node)}: {_VERDICTS[told.tunable]}\n", soft_wrap=True)


def _summary(console: Console, told: Sequence[Diagnosis]) -> None:
    groups: dict[tuple[State, str, str], list[str]] = {}
    for each in told:
        for finding in each.findings:
            if finding.state is not State.OK:
                key = (finding.state, finding.check, finding.remedy)
                groups.setdefault(key, []).append(each.node)
    order = {State.PROBLEM: 0, State.WARNING: 1, State.UNKNOWN: 2}
    table = output.table("CHECK", "STATE", "NODES", "SUCH AS")
    for (state, check, remedy), nodes in sorted(groups.items(), key=lambda g: order[g[0][0]]):
        shown = ", ".join(nodes[:_EXAMPLES]) + (", ..." if len(nodes) > _EXAMPLES else "")
        what = f"{escape(shown)}\n-> {escape(remedy)}" if remedy else escape(shown)
        table.add_row(check, _coloured(state), str(len(nodes)), what)
    if groups:
        console.print(table)
        console.print()
    for verdict, said in _VERDICTS.items():
        if number := sum(each.tunable == verdict for each in told):
            console.print(f"{number} nodes: {said}", soft_wrap=True)


def _coloured(state: State) -> str:
    return f"[{_COLOURS[state]}]{state.value}[/]"
