"""What follows from a recorded run."""

import pytest
from efficacy.measures import IncompleteError, measures

MIB = 1 << 20


def test_what_is_told_of_the_node(raw):
    told = measures(raw)
    assert told.satisfied_s == 4
    assert (told.available_bytes, told.available_before_bytes) == (170 * MIB, 170 * MIB)
    assert (told.pressure_some_before_s, told.pressure_some_s) == (0.5, 3.0)
    assert (told.swapped_out_bytes, told.swapped_in_bytes) == (200 * MIB, MIB)
    assert (told.agent_cpu_s, told.agent_memory_bytes) == (5, 48 * MIB)
    assert told.contender_cpu_s == 1.5


def test_threads_that_came_and_went_count(raw):
    told = measures(raw)
    assert told.kdamonds_cpu_s == 5
    assert told.kswapd_cpu_s == 3.5


def test_what_a_pod_gave_up_and_what_came_back_is_of_the_time_before_the_spike(raw):
    idle = measures(raw).pods["idle"]
    assert idle.given_up_bytes == 100 * MIB
    # 640 pages of 64,000 in 59.7 s
    assert idle.promoted_percent_per_minute == pytest.approx(60 / 59.7)
    assert (idle.major_faults_before, idle.memory_bytes) == (2, 250 * MIB)


def test_what_is_in_huge_pages_is_told_of_the_beginning_and_before_the_spike(
    raw, raw_with_huge_pages
):
    assert measures(raw).pods["idle"].huge_bytes == 0
    idle = measures(raw_with_huge_pages).pods["idle"]
    assert (idle.huge_bytes, idle.huge_before_bytes) == (240 * MIB, 4 * MIB)


def test_what_was_given_up_may_still_be_in_memory(raw_of_disk):
    idle = measures(raw_of_disk).pods["idle"]
    assert (idle.given_up_bytes, idle.cached_before_bytes) == (100 * MIB, 80 * MIB)


def test_what_the_kubelet_counts_as_available_is_free_or_not_used_page_cache(raw):
    assert measures(raw).kubelet_least_bytes is None
    sizes = [(40, 100), (20, 90), (60, 80)]
    samples = [
        sample.model_copy(
            update={"memory": {**sample.memory, "free_bytes": free, "inactive_file_bytes": file}}
        )
        for sample, (free, file) in zip(raw.samples, sizes, strict=True)
    ]
    assert measures(raw.model_copy(update={"samples": samples})).kubelet_least_bytes == 110


def test_page_cache_is_given_up_and_comes_back_and_the_kubelet_counts_a_part_of_it(raw_with_files):
    idle = measures(raw_with_files).pods["idle"]
    assert (idle.file_bytes, idle.file_given_up_bytes) == (150 * MIB, 60 * MIB)
    assert (idle.file_refaults_before, idle.refaults_file) == (5120, 5120)
    assert idle.in_use_before_bytes == 250 * MIB
    assert idle.cold_file_bytes == 130 * MIB


def test_a_pod_that_is_gone_at_the_end_has_what_it_said_last(raw):
    assert measures(raw).pods["idle"].swapped_bytes == 100 * MIB


def test_the_critical_pod_tells_its_latency_step_by_step(raw):
    critical = measures(raw).pods["critical"]
    assert critical.swapped_bytes == 20 * MIB
    assert critical.major_faults == 7
    assert critical.steps["cold"].operations_per_s == pytest.approx(1000)
    assert critical.steps["spike"].p999_us > critical.steps["spike"].p50_us
    assert "hold" not in critical.steps


def test_a_spike_that_was_never_satisfied_has_no_time(raws):
    assert measures(raws(satisfied_s=None)).satisfied_s is None


@pytest.mark.parametrize("lost", [{"samples": ()}, {"steps": ()}])
def test_a_record_that_lacks_something_is_no_run(raw, lost):
    with pytest.raises(IncompleteError, match="main-none-1"):
        measures(raw.model_copy(update=lost))
