"""What the page shows of every scenario."""

from efficacy.measures import run
from efficacy.overview import overview


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    headings, _, *found = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: dict(zip(headings, row, strict=True)) for row in found}


def test_a_contender_is_a_row_with_medians_and_spread(runs):
    told = overview(runs)
    assert "### main\n" in told
    assert "at once. 3 runs of each, 1 boot." in told
    none = rows(told)["none"]
    assert none["spike satisfied, s"] == "20 (10-30), in 2 of 3"
    assert none["cold given up before, %"] == "41"
    assert none["protected: in swap, MiB"] == "20"
    # kdamonds, agent and the contender's own program; kswapd works under each and is told apart.
    assert (none["CPU, s"], none["kswapd, s"]) == ("12", "3.5")


def test_contenders_with_fewer_runs_are_told(runs):
    assert "1 to 3 runs of each, 1 boot." in overview(runs[2:])


def test_what_no_contender_has_is_no_column(raws):
    told = overview([run(raws(scenario="days", satisfied_s=None))])
    assert "spike satisfied" not in told
    assert "healthy" not in told


def test_a_spike_that_was_never_satisfied_is_told(raws):
    told = rows(overview([run(raws(satisfied_s=None)), run(raws("loop"))]))
    assert told["none"]["spike satisfied, s"] == "never"


def test_page_cache_counts_as_given_up_as_far_as_it_was_cold(raw_with_files):
    told = rows(overview([run(raw_with_files)]))
    # 100 of 245 MiB of its own memory, and 60 of 130 MiB of page cache.
    assert told["none"]["cold given up before, %"] == "43"
    assert told["none"]["others: pages back"] == "5,760"


def test_page_cache_of_which_nobody_knows_what_is_cold_does_not_count_when_it_comes_back(raws):
    raw = raws()
    idle = raw.samples[1].pods["idle"].model_copy(update={"refaults_file": 99})
    last = raw.samples[1].model_copy(update={"pods": {**raw.samples[1].pods, "idle": idle}})
    raw = raw.model_copy(update={"samples": (raw.samples[0], last, raw.samples[2])})
    assert rows(overview([run(raw)]))["none"]["others: pages back"] == "640"


def test_several_that_ask_are_counted_and_who_was_killed(crowd, raw):
    told = rows(overview([crowd(raw, (1.0, 2.0, None, 4.0), killed=1)]))["none"]
    assert told["healthy"] == "2"
    assert told["P99 to ready, s"] == "4"
    assert told["killed"] == "1"


def test_so_many_are_killed_in_the_median_and_at_least_and_at_most(crowd, raw):
    every = [crowd(raw, (1.0,) * 20, killed=killed) for killed in (13, 9, 12)]
    assert rows(overview(every))["none"]["killed"] == "12 (9-13)"
