"""The runs kept in the repository are read as they are, and the page shows their tables."""

from pathlib import Path

import pytest
from efficacy.plots import plot
from efficacy.results import Results
from efficacy.tables import tables

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench/efficacy/results"
KEPT = RESULTS / "6.12"


@pytest.fixture(name="runs", scope="module")
def runs_fixture():
    return list(Results(KEPT).finished().values())


@pytest.mark.parametrize("kept", sorted(RESULTS.iterdir()), ids=lambda kept: kept.name)
def test_their_tables_are_those_that_are_kept(kept):
    assert tables(list(Results(kept).finished().values())) == (kept / "tables.md").read_text()


def test_the_page_has_the_rows_of_the_main_scenario(runs):
    page = (ROOT / "docs/benchmark.md").read_text()
    main = tables([run for run in runs if run.facts.scenario == "main"])
    assert not [line for line in main.splitlines() if line.startswith("| ") and line not in page]


def test_the_picture_is_theirs(runs):
    drawn = plot("main", runs)
    picture = ROOT / "docs/images/benchmark-main.svg"
    assert picture.read_bytes() == drawn[".svg"]
    # What compresses the other one may differ from machine to machine: only its size is compared.
    assert picture.with_suffix(".png").read_bytes()[:24] == drawn[".png"][:24]
