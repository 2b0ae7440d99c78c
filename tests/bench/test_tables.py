"""Tables and plots of finished runs."""

from xml.etree import ElementTree as ET

import pytest
from efficacy.measures import run
from efficacy.plots import plot
from efficacy.tables import shown, spread, table, tables


@pytest.fixture(name="runs")
def runs_fixture(raws):
    seconds = {"none": (30.0, 10.0, None), "enforce": (4.0, 6.0, 5.0)}
    return [
        run(raws(contender, repetition, satisfied_s=satisfied_s))
        for contender, every in seconds.items()
        for repetition, satisfied_s in enumerate(every, 1)
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.25, "0.25"), (4.04, "4"), (4.14, "4.1"), (12.4, "12"), (50718, "50,718")],
)
def test_numbers_have_the_digits_that_are_worth_reading(number, text):
    assert shown(number) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([3.0, 1.0, 2.0], "2 (1-3)"),
        ([2.0, 2.0], "2"),
        ([None, 4.0, 6.0], "5 (4-6), in 2 of 3"),
        ([None, None], "never"),
    ],
)
def test_a_median_has_its_spread_and_says_what_is_missing(values, text):
    assert spread(values, "never") == text


def test_a_table_is_one():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_each_contender_has_its_runs_in_every_table(runs):
    text = tables(runs)
    assert "6 runs in 1 boot of 6.12.117 (tcg), 1089 MiB" in text
    assert "| none (3) | 20 (10-30), in 2 of 3 | 170 |" in text
    assert "| enforce (3) | 5 (4-6) | 170 |" in text
    assert "| enforce | idle (p10) | 250, 245 | 100 |" in text
    assert "| enforce | critical | spike |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows[:3]}) == 1


def test_page_cache_has_a_table_where_a_part_of_it_is_known_as_cold(runs, raw_with_files):
    text = tables([run(raw_with_files)])
    assert "| page cache, cold of it, MiB | file given up before, MiB |" in text
    assert "| none | idle (p10) | 150, 130 | 60 | 250 | 5,120 | 5,120 |" in text
    assert "page cache" not in tables(runs)


def test_a_plot_shows_page_cache_where_a_part_of_it_is_known_as_cold(raw_with_files):
    raw = raw_with_files
    idle = raw.pods["idle"].model_copy(update={"cold_bytes": 0})
    raw = raw.model_copy(update={"pods": dict(raw.pods) | {"idle": idle}})
    drawn = plot("main", [run(raw)])
    assert "Page cache given up by idle (priority 10) before the pressure, of 130 MiB" in drawn
    assert "File refaults of idle (priority 10), pages" in drawn


def test_who_was_killed_is_named(raws):
    raw = raws("none", 1)
    last = raw.samples[-1].pods["critical"].model_copy(update={"oom_kills": 1})
    pods = dict(raw.samples[-1].pods) | {"critical": last}
    samples = (*raw.samples[:-1], raw.samples[-1].model_copy(update={"pods": pods}))
    assert "| critical 1 |" in tables([run(raw.model_copy(update={"samples": samples}))])


def test_a_plot_has_a_dot_for_each_run_of_each_figure(runs):
    root = ET.fromstring(plot("main", runs))
    name = "{http://www.w3.org/2000/svg}"
    dots = list(root.iter(f"{name}circle"))
    # Satisfied in five of six; swapped and p99.9 of critical, given up by idle in all.
    assert len(dots) == 5 + 3 * 6
    titles = [each.text for each in root.iter(f"{name}text") if each.get("class") == "title"]
    assert "Given up by idle (priority 10) before the pressure, of 245 MiB cold" in titles
