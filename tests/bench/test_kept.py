"""The runs kept in the repository are read as they are, and the page shows their figures."""

from pathlib import Path

import pytest
from efficacy.overview import overview
from efficacy.plots import plot, summary
from efficacy.results import Results
from efficacy.tables import tables

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench/efficacy/results"
IMAGES = ROOT / "docs/images"
SHOWN = ("none", "memory_min", "loop", "enforce")
every_directory = pytest.mark.parametrize(
    "kept", sorted(RESULTS.iterdir()), ids=lambda kept: kept.name
)


@every_directory
def test_their_tables_are_those_that_are_kept(kept):
    runs = list(Results(kept).finished().values())
    assert tables(runs) == (kept / "tables.md").read_text()
    assert overview(runs) == (kept / "overview.md").read_text()


@every_directory
def test_the_page_has_every_row_of_their_overview(kept):
    page = (ROOT / "docs/benchmark.md").read_text().splitlines()
    rows = [line for line in (kept / "overview.md").read_text().splitlines() if line[:1] == "|"]
    assert not [row for row in rows if row not in page]


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
