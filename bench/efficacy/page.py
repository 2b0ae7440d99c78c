"""The tables of docs/benchmark.md, from the runs that are kept. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from efficacy.glance import glance
from efficacy.overview import sections
from efficacy.record import Run

_PLACE: Final = re.compile(
    r"^(?P<mark><!-- runs: (?P<kept>\S+) (?P<scenario>\w+) -->)\n(?:\n[^\n]*\n\n(?:\|[^\n]*\n)+)?",
    re.MULTILINE,
)
"""A comment names a directory and a scenario; what stood below it is a line and a table."""
_GLANCE: Final = re.compile(
    r"^(?P<mark><!-- all scenarios: (?P<kept>\S+) -->)\n(?:\n(?:\|[^\n]*\n)+)?", re.MULTILINE
)
"""A comment names a directory; what stood below it is a table."""


class NoRunsError(Exception):
    """The page asks for runs that nobody keeps; the message names them."""


def filled(page: str, kept: Mapping[str, Iterable[Run]]) -> str:
    """Return the page with the tables of these runs, by directory; raise NoRunsError.

    The text between the tables stays: whoever runs anew has to read whether it is still true.
    """
    runs_of = {name: list(runs) for name, runs in kept.items()}
    found = {name: sections(runs) for name, runs in runs_of.items()}

    def table(place: re.Match[str]) -> str:
        section = found.get(place["kept"], {}).get(place["scenario"])
        if section is None:
            raise NoRunsError(f"no runs are kept of {place['kept']} {place['scenario']}")
        return f"{place['mark']}\n\n{section}"

    def all_scenarios(place: re.Match[str]) -> str:
        if place["kept"] not in runs_of:
            raise NoRunsError(f"no runs are kept of {place['kept']}")
        return f"{place['mark']}\n\n{glance(runs_of[place['kept']])}"

    return _GLANCE.sub(all_scenarios, _PLACE.sub(table, page))


def shown(page: str) -> frozenset[tuple[str, str]]:
    """Return which directories and scenarios the page has a place for."""
    return frozenset((place["kept"], place["scenario"]) for place in _PLACE.finditer(page))
