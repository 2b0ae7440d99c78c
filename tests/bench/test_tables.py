"""Tables of finished runs."""

from types import SimpleNamespace

import pytest
from efficacy.measures import run
from efficacy.tables import ready_s, shown, spread, table, tables
from hypothesis import given
from hypothesis import strategies as st


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
    assert "6 runs in 1 boot of 6.12.117 (tcg, swap on zram), 1089 MiB" in text
    assert "| none (3) | 20 (10-30), in 2 of 3 | 170 |" in text
    assert "| enforce (3) | 5 (4-6) | 170 |" in text
    assert "| enforce | idle (p10) | 250, 245 | 100 |" in text
    assert "| enforce | critical | spike |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows[:3]}) == 1


def test_what_was_left_for_the_kubelet_is_told_where_all_runs_know_it(runs):
    assert "for the kubelet" not in tables(runs)
    known = [
        run.model_copy(
            update={"measures": run.measures.model_copy(update={"kubelet_least_bytes": 12 << 20})}
        )
        for run in runs
    ]
    text = tables(known)
    assert "| kswapd, CPU s | least for the kubelet, MiB | OOM kills |" in text
    assert "| 3.5 | 12 | 0 |" in text


@pytest.mark.parametrize(
    ("scenario", "swap", "said"),
    [
        ("main", "disk", "(tcg, swap on disk)"),
        ("no_swap", "disk", "(tcg, no swap)"),
        ("no_swap", "zram", "(tcg, no swap)"),
    ],
)
def test_it_is_told_what_the_machine_swapped_to(raws, scenario, swap, said):
    raw = raws(scenario=scenario)
    facts = raw.facts.model_copy(update={"swap": swap})
    assert said in tables([run(raw.model_copy(update={"facts": facts}))])


def test_what_a_disk_leaves_in_memory_is_told_of_where_swap_is_one(runs, raw_of_disk):
    assert "still in memory" not in tables(runs)
    text = tables([run(raw_of_disk)])
    assert "| given up before, MiB | of it still in memory, MiB |" in text
    assert "| none | idle (p10) | 250, 245 | 100 | 80 |" in text


def test_huge_pages_are_told_of_where_there_are_some(runs, raw_with_huge_pages):
    assert "huge pages" not in tables(runs)
    text = tables([run(raw_with_huge_pages)])
    assert "| in huge pages at first, MiB | in huge pages before, MiB |" in text
    (idle,) = [line for line in text.splitlines() if line.startswith("| none | idle (p10) |")]
    assert idle.endswith("| 240 | 4 |")


def test_page_cache_has_a_table_where_a_part_of_it_is_known_as_cold(runs, raw_with_files):
    text = tables([run(raw_with_files)])
    assert "| page cache, cold of it, MiB | file given up before, MiB |" in text
    assert "| none | idle (p10) | 150, 130 | 60 | 250 | 5,120 | 5,120 |" in text
    assert "page cache" not in tables(runs)


@pytest.mark.parametrize(
    ("oom_kills", "row"),
    [(0, "| none | 3 | 2 | 9 | 400 |"), (1, "| none | 2 | 2 | 9 | 400 |")],
)
def test_of_many_that_ask_it_is_told_how_many_are_healthy_and_when(raw, crowd, oom_kills, row):
    text = tables([crowd(raw, [9.0, 1.0, 2.0, None], oom_kills)])
    assert "| contender | healthy of 4 | P50 to ready, s | P99 to ready, s |" in text
    assert row in text


@given(st.lists(st.floats(0, 1e4), min_size=1), st.floats(0.01, 1))
def test_so_large_a_share_was_ready_by_then_and_no_time_before_would_do(times_s, share):
    pods = [SimpleNamespace(ready_s=seconds) for seconds in times_s]
    told_s = ready_s(pods, share)
    assert told_s in times_s
    assert sum(seconds <= told_s for seconds in times_s) >= share * len(times_s)
    assert sum(seconds < told_s for seconds in times_s) < share * len(times_s)


def test_many_pods_of_a_kind_are_one_row_with_their_sums(raw, crowd):
    text = tables([crowd(raw, [1.0, 2.0, 3.0])])
    assert "| none | 3 sandbox | 750, 735 | 300 | 1 | 300 |" in text
    assert "sandbox-1" not in text


def test_a_single_one_that_asks_is_told_of_in_the_table_of_the_node(runs):
    assert "healthy" not in tables(runs)


def test_who_was_killed_is_named(raws):
    raw = raws("none", 1)
    last = raw.samples[-1].pods["critical"].model_copy(update={"oom_kills": 1})
    pods = dict(raw.samples[-1].pods) | {"critical": last}
    samples = (*raw.samples[:-1], raw.samples[-1].model_copy(update={"pods": pods}))
    assert "| critical 1 |" in tables([run(raw.model_copy(update={"samples": samples}))])
