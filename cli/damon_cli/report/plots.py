"""The plots of a report as SVG: bars, by plain text, because they are all that is needed. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from damon_cli.report.account import Sums
from damon_cli.report.escape import xml
from damon_cli.report.knowledge import Report
from damon_cli.sizes import shown_bytes

_WIDTH: Final = 860
_LEFT: Final = 250
_RIGHT: Final = 660
_ROW: Final = 26
_ROWS: Final = 15
"""Bars of a plot at most."""
_NAME: Final = 30
"""Characters of a name that fit."""
_STYLE: Final = """\
.plots{font:13px system-ui,sans-serif;--ink:#23303f;--faint:#5d6b7a;--paper:#fff;--asked:#e3e8ee;\
--used:#9db9d9;--cold:#c2410c}
@media (prefers-color-scheme:dark){.plots{--ink:#e6ebf0;--faint:#9aa7b4;--paper:#161b22;\
--asked:#2f3944;--used:#4d6f96;--cold:#f2854b}}
.plots .paper{fill:var(--paper)}.plots .asked{fill:var(--asked)}.plots .used{fill:var(--used)}
.plots .cold{fill:var(--cold)}.plots text{fill:var(--ink)}.plots .faint{fill:var(--faint)}
.plots .title{font-weight:600;font-size:15px}"""


def plots(told: Report) -> str:
    """Return one SVG with a plot each of namespaces, workloads and priorities."""
    parts: list[str] = []
    y = _legend(parts)
    for title, sums in (
        ("Cold memory by namespace", told.namespaces),
        ("Workloads with the most cold memory", told.workloads),
        ("Cold memory by priority", told.priorities),
    ):
        y = _plot(parts, y, title, sums)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plots" viewBox="0 0 {_WIDTH} {y}" '
        f'role="img"><title>{xml(told.sentence)}</title><style>{_STYLE}</style>'
        f'<rect class="paper" width="{_WIDTH}" height="{y}"/>\n{body}\n</svg>\n'
    )


def _legend(parts: list[str]) -> int:
    for x, kind, said in (
        (_LEFT, "asked", "requested"),
        (_LEFT + 120, "used", "resident"),
        (_LEFT + 230, "cold", "cold"),
    ):
        parts.append(f'<rect class="{kind}" x="{x}" y="12" width="14" height="14"/>')
        parts.append(_text(x + 20, 24, said))
    return 52


def _plot(parts: list[str], y: int, title: str, sums: Sequence[Sums]) -> int:
    """Draw a plot from `y` on; return where it ends."""
    shown = sums[:_ROWS]
    more = f", {len(shown)} of {len(sums)}" if len(shown) < len(sums) else ""
    parts.append(_text(16, y, title + more, "title"))
    y += 12
    most = max((size for each in shown for _, _, size in _sizes(each)), default=0)
    for each in shown:
        parts.append(f"<g><title>{xml(each.name)}</title>")
        parts.append(_text(_LEFT - 10, y + 17, _short(each.name), anchor="end"))
        for kind, height, size in _sizes(each):
            width = size * (_RIGHT - _LEFT) // most if most else 0
            top = y + (_ROW - height) // 2
            parts.append(
                f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{width}" height="{height}"/>'
            )
        figures = f"{shown_bytes(each.cold_bytes)} of {shown_bytes(each.requested_bytes)}"
        parts.append(_text(_RIGHT + 12, y + 17, figures, "faint") + "</g>")
        y += _ROW
    if not shown:
        parts.append(_text(_LEFT, y + 17, "nothing", "faint"))
        y += _ROW
    return y + 34


def _sizes(sums: Sums) -> Iterable[tuple[str, int, int]]:
    """Yield class, height and bytes of the bars, which lie on each other: the widest is highest."""
    yield "asked", 20, sums.requested_bytes
    yield "used", 14, sums.working_set_bytes or 0
    yield "cold", 8, sums.cold_bytes or 0


def _short(name: str) -> str:
    if len(name) <= _NAME:
        return name
    return f"{name[: _NAME // 2 - 1]}…{name[-_NAME // 2 :]}"


def _text(x: int, y: int, said: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{xml(said)}</text>'
