"""How a plan looks to a person."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape

from damon_cli.explain.by_reclaim import taken
from damon_cli.output import table
from damon_cli.plan.answer import PlanAnswer
from damon_cli.plan.forecast import Forecast
from damon_cli.plan.ladders import NodeLadder, Rung
from damon_cli.sizes import percent

_NAMED: Final = 6
"""Pods named in a row."""
_CHANGES: Final = 20
_BAR: Final = 40
"""Characters for all of a node's memory."""
_STYLES: Final = {"Protected": "green", "Ladder": "yellow", "Eager": "red"}
_ROLES: Final = {"Protected": "never", "Ladder": "in turn", "Eager": "at once"}


def show(console: Console, told: PlanAnswer) -> None:
    """Print what a tuning would change."""
    for refusal in told.refused:
        said = escape(f"dt/{refusal.tuning} is refused ({refusal.by}): {refusal.message}")
        console.print(f"[red]{said}[/]", soft_wrap=True)
    if told.unchecked:
        console.print(f"[yellow]{escape(told.unchecked)}[/]", soft_wrap=True)
    if told.refused:
        console.print("What follows is the cluster without that change.\n")
    _shares(console, told.forecast)
    _groups(console, told.forecast)
    for ladder in told.ladders:
        show_ladder(console, ladder)
    for note in told.forecast.notes[:_CHANGES]:
        console.print(escape(f"{note.pod}: {note.reason}: {note.message}"), soft_wrap=True)
    if told.given:
        _changes(console, told)


def _shares(console: Console, told: Forecast) -> None:
    if not told.shares:
        console.print("No tuning governs any node.")
        return
    for share in told.shares:
        now = "" if share.nodes == share.nodes_now else f" (now {share.nodes_now})"
        console.print(
            f"[bold]dt/{escape(share.tuning)}[/], mode {escape(share.mode)}: "
            f"{share.pods} pods on {share.nodes} nodes{now}"
        )


def _groups(console: Console, told: Forecast) -> None:
    rows = table("PRIORITY", "RECLAIMED", "PODS", "NAMES")
    for group in told.groups:
        role = f"[{_STYLES[group.role]}]{_ROLES[group.role]}[/]"
        rows.add_row(str(group.priority), role, str(len(group.pods)), _named(group.pods))
    for exempt in told.exempt:
        rows.add_row(
            "-", f"exempt: {escape(exempt.reason)}", str(len(exempt.pods)), _named(exempt.pods)
        )
    if told.groups or told.exempt:
        console.print(rows)


def show_ladder(console: Console, told: NodeLadder) -> None:
    """Print the rungs of one node."""
    here = told.available_permille
    known = f"{percent(here)} of its memory is available now" if here is not None else "no report"
    console.print(f"\n[bold]{escape(told.node)}[/]: {known}; {_what_works(told)} below")
    for rung in told.rungs:
        console.print(_rung(rung, here))
    if not told.floor_known:
        console.print(
            "  the floor lacks the kernel's own watermarks, which only the node's agent knows"
        )


def _what_works(told: NodeLadder) -> str:
    if not told.without_damon:
        return "its lanes reclaim"
    if told.memory_reclaim is None:
        return "DAMON cannot be used there; else its lanes would reclaim"
    goes = f"{taken(told.memory_reclaim)} {'goes' if told.memory_reclaim == 'FilePages' else 'go'}"
    return f"DAMON cannot be used there, and {goes} by memory.reclaim"


def _rung(rung: Rung, here: int | None) -> str:
    mark = {"Protected": 0, "Eager": 1000}.get(rung.role, rung.mark_permille or 0)
    said = {"Protected": "never", "Eager": "always"}.get(rung.role, percent(mark))
    filled = mark * _BAR // 1000
    bar = "█" * filled + "·" * (_BAR - filled)
    if here is not None:
        at = min(_BAR - 1, here * _BAR // 1000)
        bar = bar[:at] + "|" + bar[at + 1 :]
    priorities = ",".join(map(str, rung.priorities))
    style = _STYLES.get(rung.role, "")
    return f"  {priorities:>8}  [{style}]{bar}[/]  {said:>7}  {escape(_short(rung.pods))}"


def _changes(console: Console, told: PlanAnswer) -> None:
    forecast = told.forecast
    console.print("\n[bold]changes[/]")
    for change in forecast.node_changes:
        such = ", ".join(change.examples) + (", ..." if change.nodes > len(change.examples) else "")
        console.print(escape(f"  {change.nodes} nodes ({such}): {change.before} -> {change.after}"))
    for name in forecast.settings_changed:
        console.print(escape(f"  dt/{name}: settings of the agents"))
    for pod in forecast.pod_changes[:_CHANGES]:
        console.print(
            escape(f"  {pod.pod} on {pod.node}: {pod.before} -> {pod.after}"), soft_wrap=True
        )
    if (more := len(forecast.pod_changes) - _CHANGES) > 0:
        console.print(f"  and {more} more pods (-o json has all)")
    if not (forecast.node_changes or forecast.settings_changed or forecast.pod_changes):
        console.print("  none")
    for each in told.rollouts:
        console.print(
            f"[bold]rollout[/] of dt/{escape(each.tuning)}: {escape(each.says)}", soft_wrap=True
        )


def _named(pods: Sequence[str]) -> str:
    return escape(_short(pods))


def _short(pods: Sequence[str]) -> str:
    more = len(pods) - _NAMED
    return ", ".join(pods[:_NAMED]) + (f" and {more} more" if more > 0 else "")
