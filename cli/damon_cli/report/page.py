"""A report as one HTML file that asks nobody for anything. Pure."""

from collections.abc import Sequence
from typing import Final

from damon_cli.report.escape import xml
from damon_cli.report.knowledge import Report
from damon_cli.report.plots import plots
from damon_cli.report.tables import Table, tables

_STYLE: Final = """\
:root{color-scheme:light dark;--ink:#23303f;--faint:#5d6b7a;--paper:#fff;--line:#d7dee6}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--faint:#9aa7b4;--paper:#161b22;\
--line:#333d48}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;\
max-width:60rem;padding:0 1rem}
.sentence{font-size:1.35rem}.faint{color:var(--faint)}svg{width:100%;height:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal;overflow-wrap:anywhere}"""
_NOTHING_FROM_OUTSIDE: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(told: Report, most: int) -> str:
    """Return the whole file, with so many workloads in its table at most; 0: all."""
    shown = "\n".join(_table(each) for each in tables(told, most))
    unknown = "\n".join(f"<li>{xml(each)}</li>" for each in told.unknown)
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_NOTHING_FROM_OUTSIDE}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cold memory, {xml(told.taken_at)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Cold memory</h1>
<p class="sentence">{xml(told.sentence)}</p>
<p class="faint">{xml(told.taken_at)}, by kubectl damon report</p>
{plots(told)}
{shown}
<h2>What this cannot know</h2>
<ul>
{unknown}
</ul>
</body>
</html>
"""


def _table(table: Table) -> str:
    heads = "".join(f"<th>{xml(each)}</th>" for each in table.headings)
    rows = "\n".join(_row(row) for row in table.rows)
    more = f'<p class="faint">and {table.left_out} more</p>' if table.left_out else ""
    return f"""\
<h2>{xml(table.title)}</h2>
<div class="wide"><table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>{more}"""


def _row(row: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{xml(each)}</td>" for each in row) + "</tr>"
