"""A scenario as one figure: a dot for each run and a line at the median, contender by contender.

Matplotlib draws it, without pyplot, which keeps figures, and under a style that is in force for
this figure only: what is drawn follows from the runs and from nothing else. Pure.
"""

import math
import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from efficacy.measures import COLD
from efficacy.record import PodMeasures, Run
from efficacy.schedule import DIALS, OURS
from efficacy.tables import (
    MANY,
    MIB,
    OWN_BYTES,
    counted,
    group_of,
    grouped,
    has_spike,
    is_healthy,
    shown,
)

_WIDTH_INCHES: Final = 11
_LEFT_INCHES: Final = 1.35
"""For the names of the contenders."""
_RIGHT_INCHES: Final = 1.1
"""For the numbers beside a panel."""
_TOP_INCHES: Final = 0.8
_BOTTOM_INCHES: Final = 0.55
_BETWEEN_INCHES: Final = 0.8
"""For the axis of one panel, and the title of the one below."""
_ROW_INCHES: Final = 0.23
_CHARACTERS_PER_INCH: Final = 11.5
"""Of a title."""
_PNG_DPI: Final = 120
_INK: Final = "#23303f"
_FAINT: Final = "#5d6b7a"
_LINE: Final = "#e3e8ee"
_OTHER_COLOUR: Final = "#3b6ea5"
_OUR_COLOUR: Final = "#c2410c"
_CAPTION: Final = "A dot is a run; line and number are the median. Orange is this project."
_STYLE: Final = (
    # A matplotlibrc of whoever draws is not to change the figure.
    "default",
    {
        "font.sans-serif": ["DejaVu Sans"],  # the one that comes with Matplotlib
        "font.size": 9,
        "text.color": _INK,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.edgecolor": _FAINT,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "xtick.color": _FAINT,
        "xtick.labelsize": 8,
        "ytick.left": False,
        "svg.fonttype": "none",  # text stays text, which can be searched and read aloud
        "svg.hashsalt": "efficacy",
    },
)

Contenders = Mapping[str, Sequence[Run]]
Drawn = Mapping[str, bytes]
"""The contents of a file by its suffix."""
Read = Callable[[Run], float | None]


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure of all contenders."""

    title: str
    read: Read
    is_logarithmic: bool = False
    whole: float = 0
    """What the axis reaches at least: there is so much of it."""
    none: str = "-"
    """What stands for a contender whose runs have no value."""


def panels(runs: Sequence[Run]) -> list[Panel]:
    """Return the figures that these runs have."""
    found = []
    asking = [name for name, pod in runs[0].measures.pods.items() if pod.asks]
    if len(asking) >= MANY:
        title = f"Healthy at the end, of {len(asking)} that asked"
        found.append(Panel(title, _healthy(asking), whole=len(asking)))
    for name, pod in runs[0].measures.pods.items():
        if group_of(name) != name:
            continue
        who = f"{name} (priority {pod.priority})"
        if pod.cold_bytes:
            title = f"Given up by {who} before the pressure, of {pod.cold_bytes // MIB} MiB cold"
            read = _of_pod(name, lambda pod: pod.given_up_bytes / MIB)
            found.append(Panel(title, read, whole=pod.cold_bytes / MIB))
        elif pod.cold_file_bytes:
            cold_mib = pod.cold_file_bytes // MIB
            title = f"Page cache given up by {who} before the pressure, of {cold_mib} MiB cold"
            read = _of_pod(name, lambda pod: max(0, pod.file_given_up_bytes) / MIB)
            found.append(Panel(title, read, whole=pod.cold_file_bytes / MIB))
            read = _of_pod(name, lambda pod: pod.refaults_file)
            found.append(Panel(f"File refaults of {who}, pages", read))
        elif pod.most_memory_bytes > OWN_BYTES:
            found.append(_swapped(name, who))
        found += [
            Panel(f"{who}, p99.9 in the step {step}, us", _p999(name, step), True)
            for step in pod.steps
            if step != COLD
        ]
    found = [panel for panel in found if any(panel.read(run) is not None for run in runs)]
    return [_spike(), *found] if has_spike(runs[0]) else found


def _spike() -> Panel:
    return Panel("Until the spike had its memory, s", _satisfied_s, none="never")


def _satisfied_s(run: Run) -> float | None:
    return run.measures.satisfied_s


def _healthy(pods: Sequence[str]) -> Read:
    return lambda run: sum(is_healthy(run.measures.pods[pod]) for pod in pods)


def _swapped(name: str, who: str) -> Panel:
    return Panel(
        f"Swapped of {who} at the end, MiB",
        _of_pod(name, lambda pod: pod.swapped_bytes / MIB),
    )


def _of_pod(name: str, read: Callable[[PodMeasures], float]) -> Read:
    return lambda run: read(run.measures.pods[name])


def _p999(pod: str, step: str) -> Read:
    def read(run: Run) -> float | None:
        told = run.measures.pods[pod].steps.get(step)
        return told.p999_us if told else None

    return read


def plot(scenario: str, runs: Iterable[Run]) -> Drawn:
    """Return all figures of a scenario, as SVG and as PNG."""
    contenders = grouped(runs)[scenario]
    return _drawn(scenario, contenders, panels(_every(contenders)), columns=2)


def summary(scenario: str, runs: Iterable[Run], contenders: Sequence[str]) -> Drawn:
    """Return what matters most of a scenario, side by side, of these contenders in this order."""
    found = grouped(runs)[scenario]
    some = {name: found[name] for name in contenders}
    return _drawn(scenario, some, _most_important(_every(some)[0]), columns=3)


def _every(contenders: Contenders) -> list[Run]:
    return [run for each in contenders.values() for run in each]


def _most_important(run: Run) -> list[Panel]:
    """Return what was given up in time, what it spared the most important pod, and the spike."""
    pods = run.measures.pods
    cold_mib = sum(pod.cold_bytes for pod in pods.values()) / MIB
    critical = max(pods, key=lambda name: pods[name].priority)

    def given_up_mib(run: Run) -> float:
        every = run.measures.pods.values()
        return sum(pod.given_up_bytes for pod in every if pod.cold_bytes) / MIB

    return [
        Panel(
            f"Cold memory given up before the pressure, MiB of {cold_mib:.0f}",
            given_up_mib,
            whole=cold_mib,
        ),
        _swapped(critical, f"{critical} (priority {pods[critical].priority})"),
        *([_spike()] if has_spike(run) else []),
    ]


def _drawn(scenario: str, contenders: Contenders, chosen: Sequence[Panel], columns: int) -> Drawn:
    rows = math.ceil(len(chosen) / columns)
    panel_height = _ROW_INCHES * len(contenders)
    between = (rows - 1) * _BETWEEN_INCHES
    height = _TOP_INCHES + rows * panel_height + between + _BOTTOM_INCHES
    pitch = (_WIDTH_INCHES - _LEFT_INCHES) / columns
    places = {
        "left": _LEFT_INCHES / _WIDTH_INCHES,
        "right": 1 - _RIGHT_INCHES / _WIDTH_INCHES,
        "top": 1 - _TOP_INCHES / height,
        "bottom": _BOTTOM_INCHES / height,
        "wspace": _RIGHT_INCHES / (pitch - _RIGHT_INCHES),
        "hspace": _BETWEEN_INCHES / panel_height,
    }
    runs = _every(contenders)
    facts = runs[0].facts
    head = f"{scenario}, Linux {facts.release} ({facts.accelerator}), {counted(len(runs), 'run')}"
    with style.context(_STYLE):
        figure = Figure(figsize=(_WIDTH_INCHES, height))
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False, gridspec_kw=places)
        every_axes = list(grid.flat)
        # They share the names of the contenders, and that the first of these is above.
        every_axes[0].set_ylim(len(contenders) - 0.4, -0.6)
        for axes, panel in zip(every_axes, chosen, strict=False):
            _draw(axes, panel, contenders, title_characters=int(pitch * _CHARACTERS_PER_INCH))
        for axes in every_axes[len(chosen) :]:
            axes.remove()
        top, bottom = 1 - 0.12 / height, 0.1 / height
        figure.suptitle(head, x=0.01, y=top, ha="left", va="top", size=11, weight="bold")
        figure.supxlabel(_CAPTION, x=0.01, y=bottom, ha="left", size=8, color=_FAINT)
        return _saved(figure, scenario)


def _saved(figure: Figure, title: str) -> Drawn:
    """Return the files of a figure, which do not say when it was drawn."""
    svg, png = BytesIO(), BytesIO()
    # Without None, there would be today's date and the version of Matplotlib.
    figure.savefig(svg, format="svg", metadata={"Title": title, "Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=_PNG_DPI, metadata={"Title": title, "Software": None})
    return {".svg": svg.getvalue(), ".png": png.getvalue()}


def _draw(axes: Axes, panel: Panel, contenders: Contenders, title_characters: int) -> None:
    every = {
        name: [value for run in runs if (value := panel.read(run)) is not None]
        for name, runs in contenders.items()
    }
    axes.set_title(textwrap.fill(panel.title, title_characters))
    axes.set_yticks(range(len(every)), list(every))
    _scale(axes, panel, [value for values in every.values() for value in values])
    for row, (name, values) in enumerate(every.items()):
        colour = _OUR_COLOUR if name in (*OURS, *DIALS) else _OTHER_COLOUR
        axes.axhline(row, color=_LINE, linewidth=1, zorder=0, clip_on=False)
        axes.plot(
            values,
            [row] * len(values),
            linestyle="none",
            marker="o",
            markersize=6,
            markeredgewidth=0,
            color=colour,
            alpha=0.55,
            clip_on=False,
        )
        if values:
            median = statistics.median(values)
            axes.vlines(median, row - 0.36, row + 0.36, color=colour, linewidth=2, clip_on=False)
        axes.annotate(
            _number(values, len(contenders[name]), panel.none),
            (1, row),
            xycoords=axes.get_yaxis_transform(),
            xytext=(12, 0),
            textcoords="offset points",
            va="center_baseline",
            color=colour,
        )
    for label in axes.get_yticklabels():
        label.set_color(_OUR_COLOUR if label.get_text() in (*OURS, *DIALS) else _INK)


def _scale(axes: Axes, panel: Panel, values: Sequence[float]) -> None:
    """Let the axis have all values, from 0; a logarithmic one whole powers of ten."""
    if panel.is_logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        least, most = (math.log10(f(values)) for f in (min, max))
        axes.set_xlim(10 ** math.floor(least), 10 ** max(math.ceil(most), math.floor(least) + 1))
    else:
        axes.set_xlim(0, max([panel.whole, *values]) or 1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: shown(number)))


def _number(values: Sequence[float], runs: int, none: str) -> str:
    """Return the median, and in how many runs there is a value if it is not there in all."""
    if not values:
        return none
    there = "" if len(values) == runs else f", in {len(values)} of {runs}"
    return f"{shown(statistics.median(values))}{there}"
