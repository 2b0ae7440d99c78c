# ruff: noqa: INP001, T201 - a script, no package; it talks to whoever called `make`
"""Draw docs/images/*.svg from the product's own functions: marks and priorities.

`marks.py [--check]`: write the two plots, or fail when those that are committed differ.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from damon_agent.kernel.ladder import Ladder
from damon_contract.priorities import HIGHEST, LOWEST, from_priority_class, reclaim_rank
from damon_contract.v1alpha1.tuning import Settings

IMAGES: Final = Path(__file__).parents[1] / "images"
INK, FAINT, PAPER = "#23303f", "#8795a5", "#ffffff"
EAGER, LADDER, PROTECTED = "#fbe3d4", "#e3eefb", "#dff3e6"
STRONG, SOFT = "#1565c0", "#c2410c"

FLOOR_PERMILLE: Final = 11
"""The automatic floor of the node in the examples; it depends on the node."""
PODS: Final = {34: "batch", 50: "default", 66: "standard"}
"""The pods of the picture in the README; the fourth, 83, is protected and has no mark."""


@dataclass
class Plot:
    """An SVG of 720 x 380 with a frame in it; `x` and `y` place values."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    parts: list[str] = field(default_factory=list)
    left: int = 64
    right: int = 696
    top: int = 44
    bottom: int = 316

    def x(self, value: float) -> float:
        """Return where a value of the horizontal axis is."""
        least, most = self.x_range
        return self.left + (value - least) / (most - least) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return where a value of the vertical axis is."""
        least, most = self.y_range
        return self.bottom - (value - least) / (most - least) * (self.bottom - self.top)

    def band(self, start: float, end: float, color: str, name: str, meaning: str) -> None:
        """Shade a range of the horizontal axis and name it."""
        left, right = self.x(start), self.x(end)
        middle = (left + right) / 2
        height = self.bottom - self.top
        self.parts.append(
            f'<rect x="{left:.1f}" y="{self.top}" width="{right - left:.1f}" height="{height}" '
            f'fill="{color}"/>'
        )
        self.text(middle, self.top - 22, name, anchor="middle", weight=600)
        self.text(middle, self.top - 7, meaning, anchor="middle", color=FAINT, size=12)

    def text(
        self,
        x: float,
        y: float,
        said: str,
        *,
        anchor: str = "start",
        color: str = INK,
        size: int = 13,
        weight: int = 400,
    ) -> None:
        """Write at a place of the picture."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" '
            f'font-size="{size}" font-weight="{weight}">{said}</text>'
        )

    def line(
        self, points: Iterable[tuple[float, float]], color: str = STRONG, dashes: str = ""
    ) -> None:
        """Draw a line through values."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.5"{dashed}/>'
        )

    def dot(self, x: float, y: float, said: str, *, dx: float = 9, dy: float = -9) -> None:
        """Mark a value and say what it is."""
        at_x, at_y = self.x(x), self.y(y)
        self.parts.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="4.5" fill="{STRONG}"/>')
        self.text(at_x + dx, at_y + dy, said, size=12)

    def axes(
        self, x_ticks: Mapping[int, str], y_ticks: Iterable[int], x_name: str, y_name: str
    ) -> None:
        """Draw both axes with their ticks and names."""
        for value in y_ticks:
            at = self.y(value)
            self.parts.append(
                f'<line x1="{self.left}" x2="{self.right}" y1="{at:.1f}" y2="{at:.1f}" '
                f'stroke="{FAINT}" stroke-opacity="0.3"/>'
            )
            self.text(self.left - 8, at + 4, str(value), anchor="end", color=FAINT, size=12)
        for place, said in x_ticks.items():
            self.text(self.x(place), self.bottom + 18, said, anchor="middle", color=FAINT, size=12)
        self.text((self.left + self.right) / 2, self.bottom + 46, x_name, anchor="middle")
        middle = (self.top + self.bottom) / 2
        self.parts.append(
            f'<text transform="translate(18 {middle:.0f}) rotate(-90)" text-anchor="middle" '
            f'fill="{INK}" font-size="13">{y_name}</text>'
        )

    def svg(self, title: str) -> str:
        """Return the whole picture."""
        body = "\n".join(self.parts)
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 380" role="img" '
            f'font-family="system-ui, sans-serif"><title>{title}</title>\n'
            "<!-- Drawn by docs/tools/marks.py from the product's own functions. -->\n"
            f'<rect width="720" height="380" rx="8" fill="{PAPER}"/>\n{body}\n</svg>\n'
        )


def ladder(last_priority: int) -> Ladder:
    """Return the ladder of the default settings whose least important pod has this priority."""
    settings = Settings()
    return Ladder(
        protect_from=settings.protect_from,
        eager_up_to=settings.eager_up_to,
        floor_permille=FLOOR_PERMILLE,
        ceiling_permille=settings.watermarks.ceiling_permille,
        last_rank=reclaim_rank(last_priority),
    )


def marks() -> str:
    """Draw marks over priorities."""
    absolute, relative = ladder(LOWEST), ladder(min(PODS))
    eager, protect = absolute.eager_up_to, absolute.protect_from
    plot = Plot((LOWEST, HIGHEST), (0, 700))
    plot.band(LOWEST, eager + 0.5, EAGER, "eager", "always works")
    plot.band(eager + 0.5, protect - 0.5, LADDER, "ladder", "works below its mark")
    plot.band(protect - 0.5, HIGHEST, PROTECTED, "protected", "only watched")
    ticks = {p: str(p) for p in (1, eager, 34, 50, 66, protect, HIGHEST)}
    plot.axes(
        ticks,
        range(0, 700, 100),
        "priority (Kubernetes: higher = more important)",
        "mark, per mille of memory available",
    )
    steps = range(eager + 1, protect)
    plot.line(((p, absolute.mark(p)) for p in steps), SOFT, "2 5")
    plot.line((p, relative.mark(p)) for p in steps)
    for priority, name in PODS.items():
        mark = relative.mark(priority)
        plot.dot(priority, mark, f"{name}: {mark}")
    plot.text(plot.x(67), plot.y(330), "Relative (default):", size=12, color=STRONG, weight=600)
    plot.text(plot.x(67), plot.y(295), "this node's least important", size=12, color=STRONG)
    plot.text(plot.x(67), plot.y(260), "pod gets the ceiling", size=12, color=STRONG)
    plot.text(plot.x(22), plot.y(160), "Absolute:", size=12, color=SOFT, weight=600)
    plot.text(plot.x(22), plot.y(125), "priority 1 would get it", size=12, color=SOFT)
    return plot.svg("Marks over priorities: the less important, the earlier it is reclaimed")


def classes() -> str:
    """Draw priorities over the values of PriorityClasses."""
    plot = Plot((-9, 9), (0, 105))
    protect, eager = Settings().protect_from, Settings().eager_up_to
    powers = range(-9, 10)

    def value(power: float) -> int:
        """Return the value at a place of an axis in powers of ten, mirrored at 0."""
        return round((10 ** abs(power) - 1) * (1 if power >= 0 else -1))

    names = {0: "0", **{p: f"10{_raised(p)}" for p in powers if p > 0 and p % 3 == 0}}
    names |= {p: f"-10{_raised(-p)}" for p in powers if p < 0 and p % 3 == 0}
    for bound, color, said in (
        (protect, "#2e7d4f", f"protected from {protect}"),
        (eager, SOFT, f"eager up to {eager}"),
    ):
        plot.line([(-9, bound), (9, bound)], color, "4 5")
        plot.text(plot.left + 8, plot.y(bound) - 6, said, color=color, size=12)
    plot.axes(names, range(0, 101, 20), "value of the PriorityClass", "priority")
    plot.line((p / 10, from_priority_class(value(p / 10))) for p in range(-90, 91))
    for example in (-1000, 0, 1000, 1_000_000):
        power = _power(example)
        priority = from_priority_class(example)
        plot.dot(power, priority, f"{example:,}: {priority}", dx=8, dy=24)
    return plot.svg("The value of a PriorityClass becomes a priority by its logarithm")


def _power(value: int) -> float:
    size = len(str(abs(value))) - 1
    return float(size if value >= 0 else -size)


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


PLOTS: Final[dict[str, Callable[[], str]]] = {"marks.svg": marks, "classes.svg": classes}


def main(arguments: list[str]) -> int:
    """Write the plots, or with --check compare them."""
    differing = []
    for name, draw in PLOTS.items():
        path = IMAGES / name
        wanted = draw()
        if "--check" not in arguments:
            path.write_text(wanted, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != wanted:
            differing.append(name)
    if differing:
        print(f"{', '.join(differing)}: out of date: run `make docs-plots` and commit the result")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
