"""Schemes really act: whose memory goes when, under which quota and filters; what is counted."""

import pytest

from damon_mock.damon import KTHREADD, MIB, Usage

WITH_FILTERS = ["6.12", "6.18", "7.2", "rfc"]
ALLOWING = ["6.18", "7.2", "rfc"]


@pytest.fixture
def machine(profile, make_machine):
    return make_machine(profile)


def start(machine, *processes, min_age=20, schemes=1):
    machine.prepare(*processes, schemes=schemes)
    machine.scheme(schemes - 1, "pageout", min_age=min_age)


def stats(machine, index=0):
    machine.command("update_schemes_stats")
    names = machine.files.list(f"admin/kdamonds/0/contexts/0/schemes/{index}/stats")
    return {name: int(machine.get(f"schemes/{index}/stats/{name}")) for name in names}


def test_a_pattern_of_zeros_matches_nothing(machine):
    machine.prepare(machine.processes.spawn())
    machine.set("schemes/0/action", "pageout")
    machine.command("on")
    machine.emulator.advance(5_000_000)
    assert machine.reclaims() == []
    assert stats(machine)["nr_tried"] == 0


def test_cold_memory_goes_when_it_is_old_enough_and_hot_memory_stays(machine):
    process = machine.processes.spawn()
    start(machine, process, min_age=20)
    machine.command("on")
    machine.emulator.advance(1_950_000)
    assert machine.reclaims() == []
    machine.emulator.advance(200_000)
    (event,) = machine.reclaims()
    assert (event.pid, event.start_ticks) == (process.pid, process.start_ticks)
    assert (event.size_bytes, event.hot_bytes, event.time_us) == (64 * MIB, 0, 2_000_000)
    usage = machine.memory.usage(process)
    assert (usage.cold_bytes, usage.swapped_bytes, usage.hot_bytes) == (0, 64 * MIB, 16 * MIB)


def test_the_order_of_first_reclaim_is_in_the_events(machine):
    one, other = machine.processes.spawn(), machine.processes.spawn()
    machine.allocate(2)
    for kdamond, process, min_age in ((0, one, 30), (1, other, 10)):
        machine.aim(process, kdamond=kdamond)
        machine.set("schemes/nr_schemes", 1, kdamond)
        machine.scheme(0, "pageout", min_age=min_age, kdamond=kdamond)
        machine.command("on", kdamond)
    machine.emulator.advance(4_000_000)
    assert [event.pid for event in machine.reclaims()] == [other.pid, one.pid]
    assert [event.kdamond for event in machine.reclaims()] == [1, 0]


def test_an_action_resets_the_age_and_stat_does_not(machine):
    process = machine.processes.spawn()
    start(machine, process, min_age=5)
    machine.command("on")
    machine.emulator.advance(1_950_000)
    assert machine.targets()[0].regions[0].age < 6
    machine.command("off")
    machine.emulator.advance(200_000)
    machine.set("schemes/0/action", "stat")
    machine.command("on")
    machine.emulator.advance(1_950_000)
    assert machine.targets()[0].regions[0].age >= 18


def test_stats_show_only_after_an_update(machine):
    start(machine, machine.processes.spawn())
    machine.command("on")
    machine.emulator.advance(3_000_000)
    assert machine.get("schemes/0/stats/sz_tried") == "0"
    assert stats(machine)["sz_tried"] == 64 * MIB


def test_without_swap_sz_applied_grows_though_nothing_is_reclaimed(machine):
    process = machine.processes.spawn()
    machine.memory.swap_free_bytes = 0
    start(machine, process)
    machine.command("on")
    machine.emulator.advance(3_000_000)
    assert machine.reclaims() == []
    assert machine.memory.usage(process).cold_bytes == 64 * MIB
    assert stats(machine)["sz_applied"] > 0


def test_a_region_with_a_hole_is_paged_out_but_counts_as_not_applied(machine):
    process = machine.processes.spawn()
    machine.memory.set_usage(process, Usage(hole_bytes=1024 * MIB))
    start(machine, process)
    machine.command("on")
    machine.emulator.advance(3_000_000)
    assert machine.reclaims(process.pid)
    found = stats(machine)
    assert (found["sz_applied"], found["sz_tried"]) == (0, 1088 * MIB)


def test_an_exited_target_is_skipped_and_a_kthread_never_gives_anything(machine):
    gone, other = machine.processes.spawn(), machine.processes.spawn()
    start(machine, gone, other, KTHREADD)
    machine.command("on")
    machine.emulator.advance(500_000)
    machine.processes.kill(gone.pid)
    machine.emulator.advance(3_000_000)
    assert {event.pid for event in machine.reclaims()} == {other.pid}


@pytest.mark.parametrize("profile", ["7.2", "rfc"])
def test_snapshots_count_valid_targets_only(machine):
    gone, other = machine.processes.spawn(), machine.processes.spawn()
    start(machine, gone, other)
    machine.command("on")
    machine.emulator.advance(10_000)
    machine.processes.kill(gone.pid)
    machine.emulator.advance(1_000_000)
    assert stats(machine)["nr_snapshots"] == 10


class TestQuota:
    def limited(self, machine, size_bytes, window_ms):
        self.process = machine.processes.spawn()
        start(machine, self.process, min_age=1)
        machine.set("schemes/0/quotas/bytes", size_bytes)
        machine.set("schemes/0/quotas/reset_interval_ms", window_ms)
        machine.command("on")

    def test_bytes_are_charged_per_window(self, machine):
        self.limited(machine, 4 * MIB, 1000)
        machine.emulator.advance(1_050_000)  # past the window some kernels leave open
        went = machine.memory.usage(self.process).swapped_bytes
        machine.emulator.advance(1_000_000)
        assert machine.memory.usage(self.process).swapped_bytes - went in {0, 4 * MIB}

    def test_the_first_window_is_unlimited_on_6_12_only(self, machine, profile):
        self.limited(machine, 4 * MIB, 10_000)
        machine.emulator.advance(5_000_000)
        swapped = machine.memory.usage(self.process).swapped_bytes
        assert swapped == (64 * MIB if profile == "6.12" else 4 * MIB)

    def test_holes_use_it_up_before_anything_goes(self, machine):
        process = machine.processes.spawn()
        machine.memory.set_usage(process, Usage(hole_bytes=400 * MIB))
        start(machine, process, min_age=1)
        machine.set("schemes/0/quotas/bytes", 40 * MIB)
        machine.command("on")
        machine.emulator.advance(1_000_000)
        assert machine.memory.usage(process).swapped_bytes == 0
        machine.emulator.advance(200_000)
        assert machine.memory.usage(process).swapped_bytes > 0

    def test_with_a_window_of_0_each_application_is_one(self, machine):
        self.limited(machine, 4 * MIB, 0)
        machine.emulator.advance(1_050_000)
        assert 4 * MIB < machine.memory.usage(self.process).swapped_bytes <= 40 * MIB

    def test_the_next_window_goes_on_where_the_last_ended(self, machine):
        self.limited(machine, 16 * MIB, 0)
        machine.emulator.advance(1_000_000)
        assert machine.memory.usage(self.process).swapped_bytes == 64 * MIB
        sizes = [event.size_bytes for event in machine.reclaims()]
        assert sizes == [16 * MIB] * 4

    def test_targets_take_turns_so_that_none_starves(self, machine):
        one, other = machine.processes.spawn(), machine.processes.spawn()
        start(machine, one, other, min_age=1)
        machine.set("schemes/0/quotas/bytes", 64 * MIB)
        machine.command("on")
        machine.emulator.advance(2_000_000)
        assert [event.pid for event in machine.reclaims()] == [one.pid, other.pid]

    @pytest.mark.parametrize("profile", WITH_FILTERS)
    def test_effective_bytes_show_after_their_own_update(self, machine):
        self.limited(machine, 4 * MIB, 0)
        machine.emulator.advance(500_000)
        machine.command("update_schemes_stats")
        assert machine.get("schemes/0/quotas/effective_bytes") == "0"
        machine.command("update_schemes_effective_quotas")
        assert machine.get("schemes/0/quotas/effective_bytes") == str(4 * MIB)

    def test_full_windows_are_counted(self, machine):
        self.limited(machine, 4 * MIB, 0)
        machine.emulator.advance(1_050_000)
        assert stats(machine)["qt_exceeds"] >= 8


class TestFilters:
    """Two targets; the question is which of them is reclaimed."""

    def run(self, machine, *filters, directory="filters"):
        self.zero, self.one = machine.processes.spawn(), machine.processes.spawn()
        start(machine, self.zero, self.one)
        base = f"schemes/0/{directory}"
        machine.set(f"{base}/nr_filters", len(filters))
        for number, described in enumerate(filters):
            for name, value in described.items():
                machine.set(f"{base}/{number}/{name}", value)
        machine.command("on")
        machine.emulator.advance(3_000_000)
        hit = {event.pid for event in machine.reclaims()}
        return [slot for slot, who in enumerate((self.zero, self.one)) if who.pid in hit]

    def test_6_1_has_no_filters(self, make_machine):
        machine = make_machine("6.1")
        machine.prepare(1)
        names = machine.files.list("admin/kdamonds/0/contexts/0/schemes/0")
        assert not {"filters", "core_filters", "ops_filters"} & set(names)

    @pytest.mark.parametrize("profile", WITH_FILTERS)
    def test_matching_y_rejects_the_target_itself(self, machine):
        reject = {"type": "target", "matching": "Y", "damon_target_idx": 0}
        assert self.run(machine, reject) == [1]

    @pytest.mark.parametrize("profile", WITH_FILTERS)
    def test_matching_n_rejects_all_others(self, machine):
        reject = {"type": "target", "matching": "N", "damon_target_idx": 0}
        assert self.run(machine, reject) == [0]

    @pytest.mark.parametrize("profile", WITH_FILTERS)
    @pytest.mark.parametrize("index", [-1, 99])
    def test_an_index_nobody_has_matches_nothing(self, machine, index):
        reject = {"type": "target", "matching": "Y", "damon_target_idx": index}
        assert self.run(machine, reject) == [0, 1]

    @pytest.mark.parametrize("profile", ALLOWING)
    @pytest.mark.parametrize("directory", ["filters", "core_filters"])
    def test_an_allowing_filter_last_rejects_the_rest(self, machine, directory):
        allow = {"type": "target", "matching": "Y", "allow": "Y", "damon_target_idx": 1}
        assert self.run(machine, allow, directory=directory) == [1]

    @pytest.mark.parametrize("profile", ALLOWING)
    def test_an_ops_filter_beside_it_lets_everything_through(self, machine):
        allow = {"type": "target", "matching": "Y", "allow": "Y", "damon_target_idx": 1}
        assert self.run(machine, allow, {"type": "anon", "matching": "Y"}) == [0, 1]

    @pytest.mark.parametrize("profile", WITH_FILTERS)
    def test_pageout_ignores_ops_filters(self, machine):
        assert self.run(machine, {"type": "anon", "matching": "Y"}) == [0, 1]


@pytest.mark.parametrize("profile", WITH_FILTERS)
class TestTriedRegions:
    def test_they_show_what_the_scheme_met_with_its_age(self, machine, profile):
        start(machine, machine.processes.spawn(), min_age=5)
        machine.set("schemes/0/action", "stat")
        machine.command("on")
        machine.emulator.advance(1_000_000)
        machine.command("update_schemes_tried_regions")
        base = "schemes/0/tried_regions"
        assert machine.get(f"{base}/total_bytes") == str(64 * MIB)
        region = f"{base}/{1 if profile == '6.18' else 0}"
        start_at, end = int(machine.get(f"{region}/start")), int(machine.get(f"{region}/end"))
        assert end - start_at == 64 * MIB
        assert machine.get(f"{region}/nr_accesses") == "0"
        assert int(machine.get(f"{region}/age")) >= 5

    def test_tried_bytes_have_no_directories_and_clear_removes_them(self, machine):
        start(machine, machine.processes.spawn(), min_age=1)
        machine.command("on")
        machine.emulator.advance(1_000_000)
        machine.command("update_schemes_tried_regions")
        directory = "admin/kdamonds/0/contexts/0/schemes/0/tried_regions"
        assert len(machine.files.list(directory)) == 2
        machine.command("clear_schemes_tried_regions")
        assert machine.files.list(directory) == ["total_bytes"]
        machine.command("update_schemes_tried_bytes")
        assert machine.files.list(directory) == ["total_bytes"]
