"""How the answer of a check looks to a person."""

from typing import Final

from rich.console import Console
from rich.markup import escape

from damon_cli import output
from damon_cli.check.answer import CheckAnswer
from damon_cli.check.verdict import Outcome

_WORDS: Final = {
    Outcome.HAPPENED: "[green]yes[/]",
    Outcome.NOT_DUE: "[yellow]not due[/]",
    Outcome.WAITING: "[yellow]waiting[/]",
    Outcome.FAILED: "[red]no[/]",
}


def show(console: Console, answer: CheckAnswer) -> None:
    """Print what came of each node."""
    for each in answer.nodes:
        governed = f"dt/{each.tuning}" if each.tuning else "no tuning"
        asked = f"pods of priority {each.low.asked} and {each.high.asked}"
        console.print(f"[bold]{escape(each.node)}[/]  {escape(governed)}, {asked}")
        table = output.table("PHASE", "", "WHAT WAS SEEN")
        for phase in each.phases:
            says = phase.says
            if phase.action and phase.outcome is not Outcome.HAPPENED:
                says += f"\n-> {phase.action}"
            table.add_row(phase.name, _WORDS[phase.outcome], escape(says))
        console.print(table)
        console.print()
    good = sum(each.passed for each in answer.nodes)
    colour = "green" if answer.passed else "red"
    verdict = "passed" if answer.passed else "failed"
    console.print(f"[{colour}]{verdict}[/]: {good} of {len(answer.nodes)} nodes")
