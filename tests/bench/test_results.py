"""Runs as files: what is finished is found again, and never of two set-ups."""

import json

import pytest
from efficacy.results import Results, ResultsError
from efficacy.schedule import missing, schedule


@pytest.fixture(name="results")
def results_fixture(tmp_path):
    results = Results(tmp_path / "out")
    results.begin({"kernel": "6.12"})
    return results


def test_an_interrupted_campaign_goes_on_where_it_stopped(results, raws):
    results.save(raws("none", 1))
    results.begin({"kernel": "6.12"})
    left = missing(schedule({"main": ["none", "loop"]}, 1), results.finished())
    assert [str(run) for run in left] == ["main-loop-1"]


def test_what_was_recorded_but_not_finished_is_played_again(results, raws):
    results.save(raws("none", 1))
    (results.directory / "main-none-1.json").unlink()
    assert not results.finished()
    assert results.measure() == 1
    assert list(results.finished()) == ["main-none-1"]


def test_runs_of_another_set_up_are_not_mixed(results):
    with pytest.raises(ResultsError, match=r"campaign\.json.*another set-up"):
        results.begin({"kernel": "7.3"})


def test_a_file_that_is_no_run_is_named(results, raw):
    results.save(raw)
    path = results.directory / "main-none-1.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"verdict": "good"}))
    with pytest.raises(ResultsError, match=r"main-none-1\.json"):
        results.finished()
