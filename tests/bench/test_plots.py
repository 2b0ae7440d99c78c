"""Plots of finished runs."""

import subprocess
import sys
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from efficacy.__main__ import main
from efficacy.measures import run
from efficacy.plots import plot, summary
from efficacy.results import Results

SVG = "{http://www.w3.org/2000/svg}"
ORANGE = "#c2410c"


def elements(drawn, name):
    return list(ET.fromstring(drawn[".svg"]).iter(f"{SVG}{name}"))


def texts(drawn):
    """Return what is written; a title of two lines is one."""
    return " ".join(each.text or "" for each in elements(drawn, "text"))


def dots(drawn):
    return [each for each in elements(drawn, "use") if "fill-opacity" in each.get("style")]


def test_there_is_a_dot_for_each_run_of_each_figure(runs):
    drawn = plot("main", runs)
    # Satisfied in five of six; swapped and p99.9 of critical, given up by idle in all.
    assert len(dots(drawn)) == 5 + 3 * 6
    assert "Given up by idle (priority 10) before the pressure, of 245 MiB cold" in texts(drawn)
    assert "main, Linux 6.12.117 (tcg), 6 runs" in texts(drawn)


def test_the_same_is_there_as_an_image_of_pixels(runs):
    assert plot("main", runs)[".png"].startswith(b"\x89PNG\r\n")


def test_a_median_that_not_all_runs_have_says_how_many_do(runs):
    assert "20, in 2 of 3" in texts(plot("main", runs))


def test_a_spike_that_no_run_has_satisfied_reads_never(raws):
    runs = [run(raws("none", number, satisfied_s=None)) for number in (1, 2)]
    drawn = texts(plot("main", runs))
    assert "Until the spike had its memory, s" in drawn
    assert "never" in drawn
    assert "in 0 of 2" not in drawn


def test_a_scenario_without_a_spike_has_no_figure_of_one(raws):
    drawn = plot("diurnal", [run(raws(scenario="diurnal", satisfied_s=None))])
    assert "spike had" not in texts(drawn)
    assert "diurnal, Linux 6.12.117 (tcg), 1 run" in texts(drawn)


def test_ours_have_a_colour_of_their_own(runs):
    names = {
        each.text: ORANGE in each.get("style")
        for each in elements(plot("main", runs), "text")
        if each.text in {"none", "enforce"}
    }
    assert names == {"none": False, "enforce": True}


def test_the_axis_of_a_latency_is_logarithmic_and_has_whole_powers_of_ten(runs, raw):
    windows = [w.model_copy(update={"buckets": {300: 1}}) for w in raw.windows["critical"]]
    slow = run(raw.model_copy(update={"windows": {"critical": tuple(windows)}}))
    assert slow.measures.pods["critical"].steps["spike"].p999_us == pytest.approx(3670, abs=1)
    assert " 10 100 1,000 10,000 " in texts(plot("main", [*runs, slow]))


def test_page_cache_is_shown_where_a_part_of_it_is_known_as_cold(raw_with_files):
    raw = raw_with_files
    idle = raw.pods["idle"].model_copy(update={"cold_bytes": 0})
    raw = raw.model_copy(update={"pods": dict(raw.pods) | {"idle": idle}})
    drawn = texts(plot("main", [run(raw)]))
    assert "Page cache given up by idle (priority 10) before the pressure, of 130 MiB" in drawn
    assert "File refaults of idle (priority 10), pages" in drawn


def test_it_says_how_many_are_healthy_and_shows_no_single_one(raw, crowd):
    drawn = texts(plot("main", [crowd(raw, [1.0, None, 3.0])]))
    assert "Healthy at the end, of 3 that asked" in drawn
    assert "sandbox-1" not in drawn


def test_the_same_runs_are_the_same_files_whatever_was_set_for_other_plots(runs):
    drawn = plot("main", runs)
    with mpl.rc_context({"axes.linewidth": 5, "svg.hashsalt": None}):
        again = plot("main", runs)
        assert mpl.rcParams["axes.linewidth"] == 5
    assert drawn == again
    assert b"date" not in drawn[".svg"]


def test_a_summary_has_three_figures_of_the_contenders_that_were_asked_for(runs):
    drawn = summary("main", runs, ["enforce", "none"])
    written = texts(drawn)
    assert "Cold memory given up before the pressure, MiB of 245" in written
    assert "Swapped of critical (priority 90) at the end, MiB" in written
    assert "Until the spike had its memory, s" in written
    assert written.index("enforce") < written.index("none")
    assert len(dots(drawn)) == 5 + 2 * 6
    assert len(dots(summary("main", runs, ["enforce"]))) == 3 * 3


@pytest.fixture(name="out")
def out_fixture(tmp_path, raws):
    results = Results(tmp_path / "out")
    results.begin({})
    results.save(raws("none"))
    results.save(raws("enforce"))
    return results.directory


def test_tables_are_written_with_a_plot_of_each_scenario(out, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["efficacy", "tables", str(out)])
    assert main() == 0
    assert {"tables.md", "main.svg", "main.png"} < {path.name for path in out.iterdir()}


def test_a_picture_is_written_as_both_kinds_whatever_its_suffix(out, tmp_path, monkeypatch):
    picture = [str(out), "main", str(tmp_path / "one.svg"), "--contenders", "enforce"]
    monkeypatch.setattr(sys, "argv", ["efficacy", "picture", *picture])
    assert main() == 0
    drawn = summary("main", Results(out).finished().values(), ["enforce"])
    assert (tmp_path / "one.svg").read_bytes() == drawn[".svg"]
    assert (tmp_path / "one.png").read_bytes() == drawn[".png"]


@pytest.mark.parametrize(
    ("asked", "there"),
    [(["main", "x", "--contenders", "loop"], "none, enforce"), (["redis", "x"], "no contender")],
)
def test_a_picture_of_runs_that_are_not_there_says_which_are(
    out, asked, there, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["efficacy", "picture", str(out), *asked])
    assert main() == 1
    expected = f"efficacy: {out}: there are runs of {asked[0]} of: {there}\n"
    assert capsys.readouterr().err == expected


def test_runs_need_nothing_that_draws():
    asked = "import sys, efficacy.__main__, efficacy.campaign; print('matplotlib' in sys.modules)"
    path = {"PYTHONPATH": ":".join(sys.path)}
    told = subprocess.run(
        [sys.executable, "-c", asked], env=path, check=True, capture_output=True, text=True
    )
    assert told.stdout == "False\n"
