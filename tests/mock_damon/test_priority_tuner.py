"""The priority patches' tuner, defects included: arming, marks, and where the kernel dies."""

import pytest

from damon_mock.damon import KTHREADD, MIB

WRAP = 2**64


@pytest.fixture
def machine(make_machine):
    machine = make_machine("rfc")
    machine.memory.set_free_permille(893)
    return machine


def start(machine, *priorities, kdamond=0, schemes=1, processes=None):
    """Switch on a kdamond with a process per priority (0 is not written)."""
    processes = processes or [machine.processes.spawn() for _ in priorities]
    machine.prepare(*processes, schemes=schemes, kdamond=kdamond)
    for slot, priority in enumerate(priorities):
        if priority:
            machine.set(f"targets/{slot}/target_priority", priority, kdamond)
    machine.command("on", kdamond)
    machine.emulator.advance(10_000)
    return processes


def marks(machine, kdamond=0):
    return [scheme.wanted.watermarks.high for scheme in machine.schemes(kdamond)]


def kinds(machine):
    return [event.kind for event in machine.emulator.events]


class TestArming:
    @pytest.mark.parametrize(
        ("priorities", "free", "expected"),
        [
            ((10, 50, 90), 893, [100, 496, 893]),
            ((0, 50, 100), 872, [100, 486, 872]),
            ((10, 50, 90), 10, [100, (WRAP - 3600) // 80 + 100, (WRAP - 7200) // 80 + 100]),
            ((50, 51), 11, [100, 11]),
        ],
    )
    def test_marks_go_from_100_to_what_is_free_and_wrap_below_100(
        self, machine, priorities, free, expected
    ):
        machine.memory.set_free_permille(free)
        start(machine, *priorities)
        assert marks(machine) == expected

    def test_it_destroys_the_users_schemes_in_the_kernel_and_sysfs_keeps_them(self, machine):
        machine.memory.set_free_permille(893)
        start(machine, 10, 90, schemes=5)
        assert len(machine.schemes()) == 2
        assert machine.get("schemes/nr_schemes") == "5"
        wanted = machine.schemes()[1].wanted
        assert (wanted.action, wanted.pattern.min_age) == ("pageout", 120)
        assert (wanted.pattern.min_bytes, wanted.pattern.max_accesses) == (4096, 0)
        assert (wanted.watermarks.low, wanted.watermarks.interval_us) == (0, 5_000_000)
        limits = wanted.limits
        assert (limits.time_ms, limits.size_bytes, limits.window_ms) == (10, 128 * MIB, 1000)

    def test_without_swap_it_applies_and_nothing_goes(self, machine):
        machine.memory.swap_free_bytes = 0
        _, high = start(machine, 10, 90, schemes=2)
        before = machine.memory.usage(high)
        machine.memory.set_free_permille(600)
        machine.emulator.advance(15_000_000)
        machine.command("update_schemes_stats")
        assert int(machine.get("schemes/1/stats/sz_applied")) > 0
        assert machine.memory.usage(high) == before
        assert machine.reclaims() == []

    def test_only_the_largest_number_works_at_first_and_sleeps_when_memory_is_freed(self, machine):
        start(machine, 10, 50, 90)
        assert [scheme.activated for scheme in machine.schemes()] == [False, False, True]
        machine.memory.set_free_permille(895)
        machine.emulator.advance(10_000)
        assert not any(scheme.activated for scheme in machine.schemes())

    def test_all_asleep_keywords_take_up_to_five_seconds_and_off_none(self, machine):
        start(machine, 10, 50, 90)
        machine.memory.set_free_permille(999)
        machine.emulator.advance(10_000)
        began_us = machine.emulator.now_us
        machine.command("update_schemes_stats")
        assert 3_000_000 < machine.emulator.now_us - began_us <= 5_000_000
        began_us = machine.emulator.now_us
        machine.command("off")
        assert machine.emulator.now_us == began_us


class TestDivisionByZero:
    @pytest.mark.parametrize("priorities", [(50, 50), (50,)])
    def test_equal_priorities_or_one_target_panic_after_on_returned_success(
        self, machine, priorities
    ):
        processes = [machine.processes.spawn() for _ in priorities]
        machine.prepare(*processes)
        for slot, priority in enumerate(priorities):
            machine.set(f"targets/{slot}/target_priority", priority)
        assert machine.command_errno("on") == 0
        assert machine.emulator.panicked is None
        machine.emulator.advance(10_000)
        assert "divide error" in machine.emulator.panicked

    def test_one_exit_that_leaves_one_priority_panics_at_the_next_look(self, machine):
        machine.memory.set_free_permille(300)
        low, _ = start(machine, 10, 90)
        machine.processes.kill(low.pid)
        machine.emulator.advance(4_000_000)
        assert machine.emulator.panicked is None
        machine.memory.set_free_permille(300)
        machine.emulator.advance(2_000_000)
        assert "divide error" in machine.emulator.panicked

    @pytest.mark.parametrize("index", [0, 1, 2, None])
    def test_dropping_the_tail_to_equal_priorities_panics_if_a_scheme_is_for_who_is_left(
        self, machine, index
    ):
        machine.memory.set_free_permille(300)
        processes = start(machine, 10, 10, 90)
        machine.aim(*processes[:2])
        if index is not None:
            machine.set("schemes/0/core_filters/nr_filters", 1)
            machine.set("schemes/0/core_filters/0/type", "target")
            machine.set("schemes/0/core_filters/0/damon_target_idx", index)
        machine.command("commit")
        machine.emulator.advance(11_000_000)
        assert bool(machine.emulator.panicked) == (index in {0, 1})

    def test_an_exit_panics_while_all_schemes_sleep_too(self, machine):
        _, high = start(machine, 10, 90)
        machine.memory.set_free_permille(999)
        machine.emulator.advance(1_000_000)
        machine.processes.kill(high.pid)
        machine.emulator.advance(10_000_000)
        assert "divide error" in machine.emulator.panicked

    def test_after_a_panic_everything_is_eio_until_the_next_boot(self, machine):
        start(machine, 50)
        for access in (
            lambda: machine.read("nr_kdamonds"),
            lambda: machine.command("off"),
            lambda: machine.files.list("admin"),
        ):
            with pytest.raises(OSError, match="Input/output"):
                access()
        machine.emulator.reboot()
        assert machine.emulator.panicked is None
        assert machine.read("nr_kdamonds") == "0"

    def test_sentinels_on_kthreadd_prevent_it(self, machine):
        machine.memory.set_free_permille(300)
        one = machine.processes.spawn()
        start(machine, 1, 100, 50, processes=[KTHREADD, KTHREADD, one])
        machine.processes.kill(one.pid)
        machine.emulator.advance(30_000_000)
        assert machine.emulator.panicked is None
        assert machine.state() == "on"


class TestOncePerBoot:
    def test_a_second_kdamond_goes_on_computing_marks_for_one_that_has_stopped(self, machine):
        machine.allocate(2)
        processes = [machine.processes.spawn() for _ in range(3)]
        for kdamond in (0, 1):
            machine.aim(*processes, kdamond=kdamond)
            for slot, priority in enumerate((10, 50, 90)):
                machine.set(f"targets/{slot}/target_priority", priority, kdamond)
            machine.set("schemes/nr_schemes", 1, kdamond)
            machine.command("on", kdamond)
            machine.emulator.advance(10_000)
        machine.command("off", 0)
        assert marks(machine, 0) == [100, 496, 893]
        machine.memory.set_free_permille(700)
        machine.processes.kill(processes[1].pid)
        machine.emulator.advance(6_000_000)
        assert marks(machine, 0) == [100, 496, 700]
        assert marks(machine, 1) == [0]

    def test_a_reboot_forgets_everything(self, machine):
        start(machine, 10, 90)
        machine.emulator.reboot()
        start(machine, 10, 90)
        assert machine.emulator.panicked is None
        assert kinds(machine).count("arm") == 2


class TestCommitAndRetune:
    def test_a_commit_never_transfers_a_priority(self, machine):
        start(machine, 10, 90)
        machine.set("targets/0/target_priority", 95)
        new = machine.processes.spawn()
        machine.set("targets/0/pid_target", new.pid)
        machine.command("commit")
        assert [target.priority for target in machine.targets()] == [10, 90]
        assert machine.targets()[0].process == new

    def test_appended_targets_get_0_the_most_protected(self, machine):
        processes = start(machine, 10, 90)
        machine.aim(*processes, machine.processes.spawn())
        machine.set("targets/2/target_priority", 50)
        machine.command("commit")
        assert machine.targets()[2].priority == 0

    def test_priorities_first_written_after_on_have_no_effect(self, machine):
        start(machine, 0, 0)
        for slot in (0, 1):
            machine.set(f"targets/{slot}/target_priority", 10 + slot)
        machine.command("commit")
        machine.emulator.advance(10_000_000)
        assert "arm" not in kinds(machine)

    def test_a_commit_of_no_schemes_leaves_none_for_good(self, machine):
        start(machine, 10, 90)
        machine.set("schemes/nr_schemes", 0)
        machine.command("commit")
        machine.emulator.advance(20_000_000)
        assert machine.schemes() == []

    def test_placeholders_switch_the_automatic_schemes_off(self, machine):
        start(machine, 10, 90, schemes=2)
        machine.command("commit")
        assert [scheme.wanted.action for scheme in machine.schemes()] == ["stat", "stat"]

    def test_a_changed_count_of_live_targets_retunes_from_the_present_free_memory(self, machine):
        _, middle, _ = start(machine, 10, 50, 90)
        machine.memory.set_free_permille(600)
        machine.processes.exit(middle.pid)
        machine.emulator.advance(6_000_000)
        assert marks(machine)[2] == 893  # a zombie still counts
        machine.processes.reap(middle.pid)
        machine.memory.set_free_permille(600)
        machine.emulator.advance(6_000_000)
        assert marks(machine) == [100, 496, 600]
        assert kinds(machine).count("retune") == 1

    def test_an_exit_is_seen_while_all_schemes_sleep(self, machine):
        _, middle, _ = start(machine, 10, 50, 90)
        machine.memory.set_free_permille(950)
        machine.emulator.advance(1_000_000)
        assert not any(scheme.activated for scheme in machine.schemes())
        machine.processes.kill(middle.pid)
        machine.emulator.advance(10_000_000)
        assert marks(machine) == [100, 496, 950]
        assert not any(scheme.activated for scheme in machine.schemes())

    def test_an_unchanged_count_does_not_retune(self, machine):
        start(machine, 10, 50, 90)
        machine.memory.set_free_permille(600)
        machine.emulator.advance(12_000_000)
        assert marks(machine) == [100, 496, 893]

    def test_filling_a_dead_slot_is_one_more_retune(self, machine):
        _, middle, _ = start(machine, 10, 50, 90)
        machine.memory.set_free_permille(600)
        machine.processes.kill(middle.pid)
        machine.emulator.advance(6_000_000)
        machine.set("targets/1/pid_target", machine.processes.spawn().pid)
        machine.set("schemes/nr_schemes", 0)
        machine.command("commit")
        machine.emulator.advance(6_000_000)
        assert kinds(machine).count("retune") == 2

    def test_below_100_permille_a_retune_wraps_and_stays_active_for_good(self, machine):
        _, middle, _ = start(machine, 10, 50, 90)
        machine.memory.set_free_permille(50)
        machine.memory.swap_free_bytes = 0
        machine.processes.kill(middle.pid)
        machine.emulator.advance(6_000_000)
        assert marks(machine)[2] > 10**17
        machine.memory.set_free_permille(960)
        machine.emulator.advance(100_000)
        assert machine.schemes()[2].activated

    def test_a_scheme_without_metric_gets_the_numbers_and_ignores_them(self, machine):
        _, middle, _ = start(machine, 10, 50, 90, schemes=3)
        base = "schemes/2/core_filters/"
        machine.set(base + "nr_filters", 1)
        machine.set(base + "0/type", "target")
        machine.set(base + "0/matching", "Y")
        machine.set(base + "0/allow", "Y")
        machine.set(base + "0/damon_target_idx", 2)
        machine.command("commit")
        machine.memory.set_free_permille(700)
        machine.processes.kill(middle.pid)
        machine.emulator.advance(6_000_000)
        assert marks(machine) == [0, 0, 700]
        assert machine.schemes()[2].activated

    def test_a_dead_pid_in_a_slot_fails_the_commit_and_harms_nothing(self, machine):
        start(machine, 10, 50, 90)
        machine.set("targets/1/pid_target", 999_999)
        assert machine.command_errno("commit") != 0
        assert machine.state() == "on"
