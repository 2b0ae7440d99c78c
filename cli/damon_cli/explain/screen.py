"""How an explanation looks to a person."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from damon_cli.explain.by_reclaim import taken, why_spared
from damon_cli.explain.chain import EXEMPTIONS
from damon_cli.explain.explanation import (
    ChainStep,
    Explanation,
    Memory,
    Neighbours,
    Placement,
    Standing,
)
from damon_cli.explain.sentence import named
from damon_cli.sizes import percent, shown_bytes

_NAME: Final = 20
"""Characters for the name of a step."""


def show(console: Console, told: Explanation) -> None:
    """Print an explanation."""
    console.print(f"[bold]{escape(told.shown)}[/]  {_priority(told)}")
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for heading, lines in (
        ("chain", _chain(told.chain)),
        ("node", _node(told.placement)),
        ("served by", _served_by(told.placement)),
        ("out of reach", told.placement.out_of_reach if told.placement else ()),
        ("order", _order(told)),
        ("memory", _memory(told.memory)),
        ("containers", _containers(told)),
        (
            "note",
            [f"{h.reason}: {h.message}" + f"\n-> {h.action}" * bool(h.action) for h in told.hints],
        ),
    ):
        for i, line in enumerate(lines):
            facts.add_row("" if i else heading, line if heading == "chain" else escape(line))
    console.print(facts)
    console.print()
    console.print(escape(told.sentence), soft_wrap=True)


def _priority(told: Explanation) -> str:
    if told.priority is not None:
        return f"priority [bold]{told.priority}[/] by {escape(named(told.source or ''))}"
    return "[bold]exempt[/]" if told.source else "no priority yet"


def _chain(chain: Sequence[ChainStep]) -> list[str]:
    if not chain:
        return []
    exempting = [
        s for s in chain if s.name in EXEMPTIONS and (s.exempts or "annotation " in s.says)
    ]
    quiet = [s for s in exempting if s.exempts or not s.says.startswith("no annotation")]
    lines = [_step(s) for s in quiet]
    if not any(s.exempts for s in quiet):
        lines.insert(0, f"{'exemptions':<{_NAME}} {'':>6}  none applies")
    return lines + [_step(s) for s in chain if s.name not in EXEMPTIONS]


def _step(step: ChainStep) -> str:
    value = "exempt" if step.exempts else "-" if step.priority is None else str(step.priority)
    line = f"{step.name:<{_NAME}} {value:>6}  {escape(step.says)}"
    if step.decides:
        return f"[bold green]{line}  <- decides[/]"
    return f"{line}  [dim](would be next)[/]" if step.next else f"[dim]{line}[/]"


def _node(placement: Placement | None) -> list[str]:
    if placement is None:
        return ["not scheduled"]
    governed = f"dt/{placement.tuning}, mode {placement.mode}" if placement.tuning else "no tuning"
    lines = [f"{placement.node}: {governed}"]
    if placement.overridden:
        lines.append(f"also matching, and overridden: dt/{', dt/'.join(placement.overridden)}")
    lane = placement.lane
    if lane is not None:
        works = "reclaims now" if lane.active else "does not reclaim now"
        mark = (
            {"Protected": "only watched", "Eager": "always works"}.get(lane.role, "")
            if lane.mark_permille is None
            else f"mark {percent(lane.mark_permille)}"
        )
        priorities = ", ".join(map(str, lane.priorities))
        age = f"; idle for at least {lane.min_age} (Auto)" if lane.min_age else ""
        lines.append(f"lane {lane.kdamond} (priority {priorities}): {mark}; {works}{age}")
    if placement.available_permille is not None:
        lines.append(f"memory available now: {percent(placement.available_permille)}")
    return lines


def _served_by(placement: Placement | None) -> list[str]:
    if placement is None:
        return []
    if placement.unserved is not None:
        return [f"neither a lane nor memory.reclaim: {placement.unserved}"]
    lane, view = placement.lane, placement.memory_reclaim
    served = [f"lane {lane.kdamond}"] if lane is not None else []
    if view is not None:
        alone = " alone" if lane is None else ""
        mark = (
            f"mark {percent(view.mark_permille)}"
            if view.mark_permille is not None
            else {"Eager": "always"}.get(view.role, "in turn")
        )
        served.append(f"memory.reclaim{alone} ({taken(view.takes)}; {mark})")
    return [" and ".join(served)] if served else []


def _order(told: Explanation) -> list[str]:
    placement = told.placement
    if placement is None:
        return []
    by_lane = placement.lane is not None and placement.lane.role == "Protected"
    if by_lane or told.standing is Standing.PROTECTED:
        return ["not reclaimed"]
    lines = []
    if placement.reclaimed_after is not None:
        lines.append(f"reclaimed after  {_those(placement.reclaimed_after)}")
    if placement.reclaimed_before is not None:
        never = ", which is protected" if placement.reclaimed_before.protected else ""
        lines.append(f"reclaimed before {_those(placement.reclaimed_before)}{never}")
    return lines


def _those(neighbours: Neighbours) -> str:
    more = f" and {neighbours.more} more" if neighbours.more else ""
    return f"{', '.join(neighbours.pods)}{more} (priority {neighbours.priority})"


def _memory(memory: Memory | None) -> list[str]:
    if memory is None:
        return []
    known = (
        ("cold", memory.cold_bytes),
        ("out in swap", memory.given_up_bytes),
        ("came back from swap", memory.refaulted_bytes),
    )
    figures = [f"{shown_bytes(size)} {what}" for what, size in known if size is not None]
    unknown = [] if memory.cache_gone_bytes is not None else ["nothing is known of it yet"]
    lines = [", ".join(figures)] if figures else unknown
    if memory.spared_until is not None:
        why = memory.spared_why or memory.spared_cause
        lines.append(f"spared until {memory.spared_until}: {why}")
    if memory.cache_gone_bytes is not None:
        kubelet = shown_bytes(memory.working_set_gone_bytes)
        lines.append(
            f"page cache: {shown_bytes(memory.cache_gone_bytes)} went by memory.reclaim; "
            f"the kubelet counts {kubelet} less as in use for what went"
        )
    if memory.cache_spared_until is not None:
        why = why_spared(memory)
        lines.append(f"page cache: spared until {memory.cache_spared_until}: {why}")
    return lines


def _containers(told: Explanation) -> list[str]:
    lines = [
        f"{each.name}: {each.state}"
        + ("" if each.why_not is None else f", not in the plan: {each.why_not}")
        for each in told.containers
    ]
    if told.memory is not None:
        number = told.memory.processes
        lane = told.placement.lane if told.placement is not None else None
        lines.append(f"{number} process{'es' * (number != 1)}" + " in its lane" * bool(lane))
    return lines
