"""The runs kept in the repository are read as they are, and the page shows their figures."""

from pathlib import Path

import pytest
from efficacy.overview import overview
from efficacy.page import NoRunsError, filled, shown
from efficacy.plots import plot, summary
from efficacy.results import Results
from efficacy.tables import tables

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench/efficacy/results"
IMAGES = ROOT / "docs/images"
SHOWN = ("none", "memory_min", "loop", "enforce_auto")
every_directory = pytest.mark.parametrize(
    "kept", sorted(RESULTS.iterdir()), ids=lambda kept: kept.name
)


@every_directory
def test_their_tables_are_those_that_are_kept(kept):
    runs = list(Results(kept).finished().values())
    assert tables(runs) == (kept / "tables.md").read_text()
    assert overview(runs) == (kept / "overview.md").read_text()


def test_the_page_has_a_table_of_every_scenario_and_no_other_figures_in_it():
    page = (ROOT / "docs/benchmark.md").read_text()
    kept = {each.name: list(Results(each).finished().values()) for each in RESULTS.iterdir()}
    assert shown(page) == {
        (name, run.facts.scenario) for name, runs in kept.items() for run in runs
    }
    assert filled(page, kept) == page


def test_a_page_that_asks_for_runs_that_nobody_keeps_is_refused():
    with pytest.raises(NoRunsError, match=r"6\.1 main"):
        filled("<!-- runs: 6.1 main -->\n", {"6.12": []})


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("benchmark-main", lambda runs: plot("main", runs)),
        ("benchmark", lambda runs: summary("main", runs, SHOWN)),
    ],
)
def test_the_pictures_are_theirs(name, draw):
    drawn = draw(
        [
            run
            for run in Results(RESULTS / "6.12").finished().values()
            if run.facts.scenario == "main"
        ]
    )
    picture = IMAGES / f"{name}.svg"
    assert picture.read_bytes() == drawn[".svg"]
    # What compresses the other one may differ from machine to machine: only its size is compared.
    assert picture.with_suffix(".png").read_bytes()[:24] == drawn[".png"][:24]
