"""All scenarios in one table."""

from efficacy.glance import glance
from efficacy.measures import run
from efficacy.page import filled


def cells(text):
    headings, _, *rows = (
        [cell.strip() for cell in r.strip("|").split("|")] for r in text.splitlines()
    )
    return [dict(zip(headings, row, strict=True)) for row in rows]


def test_each_of_ours_is_a_row_beside_the_kernel_and_the_loop(raws):
    told = cells(
        glance(
            [
                run(raws("none", satisfied_s=2.0)),
                run(raws("loop", satisfied_s=0.84)),
                run(raws("enforce", satisfied_s=0.64)),
                run(raws("enforce", 2, satisfied_s=0.66)),
                run(raws("enforce_reclaim", satisfied_s=0.86)),
                run(raws("memory_min", satisfied_s=0.1)),
            ]
        )
    )
    assert [row["scenario"] for row in told] == ["main", "main, with memoryReclaim"]
    assert told[0]["runs of each"] == "1"
    assert told[0]["spike satisfied, s"] == "2 / 0.84 / **0.65**"
    assert told[1]["spike satisfied, s"] == "2 / **0.84** / **0.86**", "a twentieth is nothing"


def test_what_is_missing_is_no_figure_and_what_is_the_same_is_not_the_best(raws):
    (row,) = cells(
        glance([run(raws("none", satisfied_s=None)), run(raws("enforce", satisfied_s=0.64))])
    )
    assert row["spike satisfied, s"] == "- / - / 0.64"
    same = row["protected: in swap, MiB"].split(" / ")
    assert (same[0], same[1]) == (same[2], "-")


def test_scenarios_without_any_of_ours_are_left_out(raws):
    assert cells(glance([run(raws("none"))])) == []


def test_the_page_has_the_table_where_it_is_asked_for(raws):
    kept = {"6.12": [run(raws("enforce"))]}
    page = filled("a\n<!-- all scenarios: 6.12 -->\n\n| old |\n\nb\n", kept)
    assert page == f"a\n<!-- all scenarios: 6.12 -->\n\n{glance(kept['6.12'])}\nb\n"
    assert filled(page, kept) == page
