"""A scenario as one SVG: a dot for each run and a line at the median, contender by contender. Pure.

Plain text, as the report of kubectl damon draws: what is shown is dots on a line, and a plotting
library would be the largest dependency of this repository.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from efficacy.measures import COLD
from efficacy.record import Run
from efficacy.schedule import OURS
from efficacy.tables import MANY, MIB, OWN_BYTES, group_of, grouped, is_healthy, shown

_WIDTH: Final = 860
_LEFT: Final = 170
_RIGHT: Final = 740
_ROW: Final = 24
_STYLE: Final = """\
.efficacy{font:13px system-ui,sans-serif;--ink:#23303f;--faint:#5d6b7a;--paper:#fff;\
--line:#e3e8ee;--other:#5b84b1;--ours:#c2410c}
@media (prefers-color-scheme:dark){.efficacy{--ink:#e6ebf0;--faint:#9aa7b4;--paper:#161b22;\
--line:#2f3944;--other:#7ea6d3;--ours:#f2854b}}
.efficacy .paper{fill:var(--paper)}.efficacy text{fill:var(--ink)}
.efficacy .title{font-weight:600}.efficacy .faint{fill:var(--faint)}
.efficacy .line{stroke:var(--line)}
.efficacy .other{fill:var(--other);stroke:var(--other);fill-opacity:.6}
.efficacy .ours{fill:var(--ours);stroke:var(--ours);fill-opacity:.6}"""

Read = Callable[[Run], float | None]


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure of all contenders."""

    title: str
    read: Read
    is_logarithmic: bool = False


def panels(runs: Sequence[Run]) -> list[Panel]:
    """Return the figures that these runs have."""
    found = [Panel("Until the spike had its memory, s", lambda run: run.measures.satisfied_s)]
    asking = [name for name, pod in runs[0].measures.pods.items() if pod.asks]
    if len(asking) >= MANY:
        found.append(Panel(f"Healthy at the end, of {len(asking)} that asked", _healthy(asking)))
    for name, pod in runs[0].measures.pods.items():
        if group_of(name) != name:
            continue
        who = f"{name} (priority {pod.priority})"
        if pod.cold_bytes:
            title = f"Given up by {who} before the pressure, of {pod.cold_bytes // MIB} MiB cold"
            found.append(Panel(title, _given_up(name)))
        elif pod.cold_file_bytes:
            cold_mib = pod.cold_file_bytes // MIB
            title = f"Page cache given up by {who} before the pressure, of {cold_mib} MiB cold"
            found.append(Panel(title, _file_given_up(name)))
            found.append(Panel(f"File refaults of {who}, pages", _refaults_file(name)))
        elif pod.most_memory_bytes > OWN_BYTES:
            found.append(Panel(f"Swapped of {who} at the end, MiB", _swapped(name)))
        found += [
            Panel(f"{who}, p99.9 in the step {step}, us, logarithmic", _p999(name, step), True)
            for step in pod.steps
            if step != COLD
        ]
    return [panel for panel in found if any(panel.read(run) is not None for run in runs)]


def _healthy(pods: Sequence[str]) -> Read:
    return lambda run: sum(is_healthy(run.measures.pods[pod]) for pod in pods)


def _given_up(pod: str) -> Read:
    return lambda run: run.measures.pods[pod].given_up_bytes / MIB


def _file_given_up(pod: str) -> Read:
    return lambda run: max(0, run.measures.pods[pod].file_given_up_bytes) / MIB


def _refaults_file(pod: str) -> Read:
    return lambda run: run.measures.pods[pod].refaults_file


def _swapped(pod: str) -> Read:
    return lambda run: run.measures.pods[pod].swapped_bytes / MIB


def _p999(pod: str, step: str) -> Read:
    def read(run: Run) -> float | None:
        told = run.measures.pods[pod].steps.get(step)
        return told.p999_us if told else None

    return read


def plot(scenario: str, runs: Iterable[Run]) -> str:
    """Return the SVG of a scenario."""
    contenders = grouped(runs)[scenario]
    every = [run for each in contenders.values() for run in each]
    parts: list[str] = []
    y = 10
    for panel in panels(every):
        y = _panel(parts, y, panel, contenders)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="efficacy" viewBox="0 0 {_WIDTH} {y}" '
        f'role="img"><title>{escape(scenario)}</title><style>{_STYLE}</style>'
        f'<rect class="paper" width="{_WIDTH}" height="{y}"/>\n{body}\n</svg>\n'
    )


def _panel(parts: list[str], y: int, panel: Panel, contenders: dict[str, list[Run]]) -> int:
    """Draw a panel from `y` on; return where it ends."""
    parts.append(_text(16, y + 16, panel.title, "title"))
    y += 26
    found = {
        name: [value for run in runs if (value := panel.read(run)) is not None]
        for name, runs in contenders.items()
    }
    most = max(value for values in found.values() for value in values)

    def x(value: float) -> float:
        share = value / most if most else 0
        if panel.is_logarithmic:
            share = math.log10(max(value, 1)) / math.log10(max(most, 10))
        return _LEFT + share * (_RIGHT - _LEFT)

    for name, values in found.items():
        middle = y + _ROW // 2
        kind = "ours" if name in OURS else "other"
        parts.append(_text(_LEFT - 14, middle + 4, name, anchor="end"))
        parts.append(f'<line class="line" x1="{_LEFT}" y1="{middle}" x2="{_RIGHT}" y2="{middle}"/>')
        parts += [
            f'<circle class="{kind}" cx="{x(value):.1f}" cy="{middle}" r="4"/>' for value in values
        ]
        if values:
            median = statistics.median(values)
            parts.append(
                f'<line class="{kind}" stroke-width="2" x1="{x(median):.1f}" y1="{middle - 9}" '
                f'x2="{x(median):.1f}" y2="{middle + 9}"/>'
            )
            parts.append(_text(_RIGHT + 14, middle + 4, shown(median), "faint"))
        y += _ROW
    parts.append(_text(_LEFT, y + 12, "1" if panel.is_logarithmic else "0", "faint", "middle"))
    parts.append(_text(_RIGHT, y + 12, shown(most), "faint", "middle"))
    return y + 32


def _text(x: int, y: int, said: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(said)}</text>'
