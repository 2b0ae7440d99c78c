"""Targets are matched by index: who inherits whose regions and ages, and how to prevent it."""

import errno

import pytest

from damon_mock.damon import KTHREADD, MIB, Usage

WITH_OBSOLETE = ["7.2", "rfc"]


@pytest.fixture
def machine(profile, make_machine):
    return make_machine(profile)


def run(machine, *processes, seconds=4):
    machine.prepare(*processes)
    machine.command("on")
    machine.emulator.advance(seconds * 1_000_000)


def ages(machine, slot):
    return [region.age for region in machine.targets()[slot].regions]


def put(machine, slot, pid, *, dummy):
    """Change a slot, with the one-region trick that empties it or without."""
    if dummy:
        machine.set(f"targets/{slot}/regions/nr_regions", 1)
        machine.set(f"targets/{slot}/regions/0/start", 4096)
        machine.set(f"targets/{slot}/regions/0/end", 8192)
    machine.set(f"targets/{slot}/pid_target", pid)
    machine.command("commit")
    if dummy:
        machine.set(f"targets/{slot}/regions/nr_regions", 0)


def test_a_process_has_three_regions_from_the_start(machine):
    run(machine, machine.processes.spawn(), seconds=0)
    machine.emulator.advance(1000)
    assert len(machine.targets()[0].regions) == 3


def test_cold_regions_age_and_hot_ones_do_not_look_cold(machine):
    run(machine, machine.processes.spawn())
    heap, mappings, _ = machine.targets()[0].regions
    assert (heap.nr_accesses, heap.age) == (0, 40)
    assert mappings.nr_accesses == 20


def test_a_slot_given_to_another_process_keeps_regions_and_ages_of_the_old(machine):
    old, new = machine.processes.spawn(), machine.processes.spawn()
    run(machine, old, machine.processes.spawn())
    put(machine, 0, new.pid, dummy=False)
    found = machine.emulator.inherited()
    assert {(entry.slot, entry.process, entry.owner) for entry in found} == {(0, new, old)}
    assert max(entry.age for entry in found) >= 38
    machine.emulator.advance(3_000_000)  # the next ops update moves the ranges, not the ages
    assert machine.emulator.inherited()
    assert max(ages(machine, 0)) >= 60


def test_a_hot_heir_is_paged_out_at_once(machine):
    idle, hot = machine.processes.spawn(), machine.processes.spawn()
    machine.memory.set_usage(idle, Usage(cold_bytes=64 * MIB, hot_bytes=0))
    machine.memory.set_usage(hot, Usage(cold_bytes=0, hot_bytes=64 * MIB))
    machine.prepare(idle)
    machine.command("on")
    machine.emulator.advance(4_000_000)
    machine.scheme(0, "pageout", min_age=20)
    put(machine, 0, hot.pid, dummy=False)
    machine.emulator.advance(2_000_000)
    assert sum(event.hot_bytes for event in machine.reclaims(hot.pid)) > 0


def test_without_swap_not_even_a_hot_heir_loses_anything(machine):
    machine.memory.swap_free_bytes = 0
    idle, heir = machine.processes.spawn(), machine.processes.spawn()
    machine.memory.set_usage(idle, Usage(hot_bytes=0))
    machine.prepare(idle)
    machine.command("on")
    machine.emulator.advance(4_000_000)
    machine.scheme(0, "pageout", min_age=20)
    put(machine, 0, heir.pid, dummy=False)
    machine.emulator.advance(2_000_000)
    assert machine.reclaims() == []


def test_a_hot_process_in_a_clean_slot_is_left_alone(machine):
    idle, hot = machine.processes.spawn(), machine.processes.spawn()
    machine.memory.set_usage(hot, Usage(cold_bytes=0, hot_bytes=64 * MIB))
    machine.prepare(idle)
    machine.scheme(0, "pageout", min_age=20)
    machine.command("on")
    machine.emulator.advance(4_000_000)
    put(machine, 0, hot.pid, dummy=True)
    machine.emulator.advance(10_000_000)
    assert machine.reclaims(hot.pid) == []


def test_the_dummy_region_clears_a_slot_and_the_next_update_gives_fresh_ranges(machine):
    old, new = machine.processes.spawn(), machine.processes.spawn()
    run(machine, old)
    put(machine, 0, new.pid, dummy=True)
    assert [(r.start, r.end) for r in machine.targets()[0].regions] == [(4096, 8192)]
    assert machine.emulator.inherited() == []
    machine.emulator.advance(2_100_000)
    assert len(machine.targets()[0].regions) == 3
    assert max(ages(machine, 0)) < 25
    assert machine.emulator.inherited() == []


def test_a_dummy_region_left_in_sysfs_is_imposed_by_every_later_commit(machine):
    run(machine, machine.processes.spawn())
    machine.set("targets/0/regions/nr_regions", 1)
    machine.set("targets/0/regions/0/start", 4096)
    machine.set("targets/0/regions/0/end", 8192)
    machine.command("commit")
    machine.emulator.advance(2_100_000)
    assert len(machine.targets()[0].regions) == 3
    machine.command("commit")
    assert len(machine.targets()[0].regions) == 1


def test_explicit_regions_are_only_initial_under_vaddr(machine):
    machine.prepare(machine.processes.spawn())
    machine.set("targets/0/regions/nr_regions", 1)
    machine.set("targets/0/regions/0/start", 0x10000)
    machine.set("targets/0/regions/0/end", 0x20000)
    machine.command("on")
    machine.emulator.advance(500_000)
    assert len(machine.targets()[0].regions) == 1
    machine.emulator.advance(1_000_000)
    assert len(machine.targets()[0].regions) == 3


def test_appended_targets_have_no_regions_until_the_next_ops_update(machine):
    one, two = machine.processes.spawn(), machine.processes.spawn()
    machine.prepare(one)
    machine.set("monitoring_attrs/intervals/update_us", 4_000_000)
    machine.command("on")
    machine.emulator.advance(500_000)
    machine.aim(one, two)
    machine.command("commit")
    machine.emulator.advance(2_000_000)
    assert machine.targets()[1].regions == []
    machine.emulator.advance(4_000_000)
    assert len(machine.targets()[1].regions) == 3


def test_6_12_starves_new_targets_when_commits_come_faster_than_ops_updates(machine, profile):
    one, two = machine.processes.spawn(), machine.processes.spawn()
    machine.prepare(one)
    machine.set("monitoring_attrs/intervals/update_us", 4_000_000)
    machine.command("on")
    machine.aim(one, two)
    for _ in range(9):
        machine.command("commit")
        machine.emulator.advance(1_000_000)
    assert bool(machine.targets()[1].regions) == (profile != "6.12")


def test_a_shorter_list_drops_targets_from_the_tail_whoever_left(machine):
    a, b, c = (machine.processes.spawn() for _ in range(3))
    run(machine, a, b, c)
    machine.aim(a, c)
    machine.command("commit")
    assert [target.process for target in machine.targets()] == [a, c]
    assert {entry.owner for entry in machine.emulator.inherited()} == {b}


def test_the_same_process_in_its_slot_keeps_its_ages(machine):
    process = machine.processes.spawn()
    run(machine, process)
    machine.aim(process)
    machine.command("commit")
    assert max(ages(machine, 0)) >= 40
    assert machine.emulator.inherited() == []


def test_a_dead_slot_does_not_follow_its_number_until_the_next_commit_does(machine):
    one, other = machine.processes.spawn(), machine.processes.spawn()
    run(machine, one, other)
    machine.processes.kill(one.pid)
    reuse = machine.processes.spawn(one.pid)
    machine.emulator.advance(1_000_000)
    assert machine.targets()[0].process == one
    machine.command("commit")
    assert machine.targets()[0].process == reuse
    assert machine.emulator.inherited()


def test_a_tombstone_with_a_dummy_region_stays_one_region_forever(machine):
    one, other = machine.processes.spawn(), machine.processes.spawn()
    run(machine, one, other)
    put(machine, 0, KTHREADD, dummy=True)
    machine.processes.kill(one.pid)
    machine.emulator.advance(5_000_000)
    assert [(r.start, r.end) for r in machine.targets()[0].regions] == [(4096, 8192)]
    assert machine.state() == "on"


def test_a_tombstone_without_the_dummy_keeps_the_old_ranges_and_eats_quota(machine):
    one, other = machine.processes.spawn(), machine.processes.spawn()
    run(machine, one, other)
    put(machine, 0, KTHREADD, dummy=False)
    machine.scheme(0, "pageout", min_age=20)
    machine.command("commit")
    machine.emulator.advance(2_000_000)
    assert len(machine.targets()[0].regions) == 3
    assert machine.schemes()[0].stats.sz_tried > machine.schemes()[0].stats.sz_applied
    assert machine.reclaims(KTHREADD) == []


def test_a_kthread_alone_keeps_the_kdamond_running(machine):
    run(machine, KTHREADD, seconds=2)
    assert machine.state() == "on"


def test_only_tombstones_left_after_the_last_exit_still_run(machine):
    process = machine.processes.spawn()
    run(machine, process, KTHREADD)
    machine.processes.kill(process.pid)
    machine.emulator.advance(1_000_000)
    assert machine.state() == "on"


@pytest.mark.parametrize("profile", WITH_OBSOLETE)
class TestObsoleteTarget:
    def prepared(self, machine):
        self.a, self.b, self.c = (machine.processes.spawn() for _ in range(3))
        run(machine, self.a, self.b, self.c)

    def test_survivors_shift_and_keep_their_ages(self, machine):
        self.prepared(machine)
        machine.set("targets/1/obsolete_target", "Y")
        machine.command("commit")
        assert [target.process for target in machine.targets()] == [self.a, self.c]
        assert machine.emulator.inherited() == []
        assert max(ages(machine, 1)) >= 40

    def test_committing_again_with_the_flag_still_set_removes_another(self, machine):
        self.prepared(machine)
        machine.set("targets/1/obsolete_target", "Y")
        machine.command("commit")
        machine.command("commit")
        # Slot 1 of sysfs now removes C, and slot 2 appends it anew, without ages.
        assert [target.process for target in machine.targets()] == [self.a, self.c]
        assert machine.targets()[1].regions == []

    def test_beyond_the_end_of_the_kernels_list_it_is_einval(self, machine):
        self.prepared(machine)
        machine.aim(self.a, self.b, self.c, self.a)
        machine.set("targets/3/obsolete_target", "Y")
        assert machine.command_errno("commit") == errno.EINVAL
        assert len(machine.targets()) == 3

    def test_a_dead_pid_in_the_obsolete_slot_fails_the_whole_commit(self, machine):
        self.prepared(machine)
        machine.processes.kill(self.b.pid)
        machine.set("targets/1/obsolete_target", "Y")
        assert machine.command_errno("commit") == errno.EINVAL
        machine.set("targets/1/pid_target", KTHREADD)
        assert machine.command_errno("commit") == 0

    def test_on_ignores_it(self, machine):
        machine.prepare(machine.processes.spawn())
        machine.set("targets/0/obsolete_target", "Y")
        machine.command("on")
        assert len(machine.targets()) == 1
