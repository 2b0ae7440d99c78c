"""Who holds what while a keyword waits for its kdamond."""

import errno

import pytest

from damon_mock.damon import WouldHangForever

OLD = ["6.1", "6.12"]
NEW = ["6.18", "7.2", "rfc"]


@pytest.fixture
def sleeping(make_machine):
    """Return a maker of machines whose only scheme sleeps by its watermarks, for 3 s at a time."""

    def make(profile):
        machine = make_machine(profile)
        machine.prepare(machine.processes.spawn())
        machine.memory.set_free_permille(900)
        machine.scheme(0, marks=(300, 300, 0))
        machine.command("on")
        machine.emulator.advance(100_000)
        return machine

    return make


@pytest.mark.parametrize("profile", NEW)
def test_since_6_16_a_pending_commit_holds_the_lock_for_its_whole_wait(sleeping, profile):
    machine = sleeping(profile)
    pending = machine.emulator_write("0/state", "commit")
    assert not pending.done
    for path, value in (("0/state", "off"), ("nr_kdamonds", 1), ("0/contexts/nr_contexts", 1)):
        assert machine.errno_of(path, value) == errno.EBUSY
    for path in ("0/state", "0/pid"):
        with pytest.raises(OSError, match="busy"):
            machine.read(path)
    machine.set("schemes/0/quotas/bytes", 5)
    machine.set("targets/0/pid_target", 5)  # scalars take no lock
    assert machine.get("targets/0/pid_target") == "5"


@pytest.mark.parametrize("profile", NEW)
def test_since_6_16_paths_are_busy_too_while_the_lock_is_held(make_machine, profile):
    machine = make_machine(profile)
    machine.prepare(machine.processes.spawn())
    machine.set("schemes/0/filters/nr_filters", 1)
    machine.command("on")
    machine.emulator_write("0/state", "commit")
    path = "0/contexts/0/schemes/0/filters/0/memcg_path"
    assert machine.errno_of(path, "/pod") == errno.EBUSY
    with pytest.raises(OSError, match="busy"):
        machine.read(path)
    machine.emulator.advance(10_000)
    assert machine.errno_of(path, "/pod") == 0


@pytest.mark.parametrize("profile", NEW)
def test_since_6_16_a_sleeping_kdamond_serves_when_it_looks_at_its_watermarks(sleeping, profile):
    machine = sleeping(profile)
    started_us = machine.emulator.now_us
    machine.command("commit")
    assert 2_000_000 < machine.emulator.now_us - started_us <= 3_000_000


@pytest.mark.parametrize("profile", NEW)
def test_since_6_16_a_walk_is_cancelled_while_all_schemes_sleep(sleeping, profile):
    assert sleeping(profile).command_errno("update_schemes_tried_regions") == errno.ECANCELED


@pytest.mark.parametrize("profile", NEW)
def test_since_6_16_a_waiting_keyword_is_cancelled_when_the_kdamond_ends(make_machine, profile):
    machine = make_machine(profile)
    process = machine.processes.spawn()
    machine.prepare(process)
    machine.command("on")
    machine.emulator.advance(10_000)
    pending = machine.emulator_write("0/state", "update_schemes_tried_regions")
    machine.processes.kill(process.pid)
    machine.emulator.advance(50_000)
    assert pending.error is not None
    assert pending.error.errno == errno.ECANCELED
    assert machine.state() == "off"


@pytest.mark.parametrize("profile", OLD)
def test_before_6_16_state_stays_readable_but_a_second_keyword_is_busy(sleeping, profile):
    machine = sleeping(profile)
    machine.emulator_write("0/state", "commit")
    assert machine.state() == "on"
    assert machine.command_errno("update_schemes_stats") == errno.EBUSY
    assert machine.errno_of("nr_kdamonds", 1) == errno.EBUSY
    assert machine.command_errno("off") == 0


@pytest.mark.parametrize("profile", OLD)
def test_before_6_16_the_request_is_one_for_all_kdamonds(make_machine, profile):
    machine = make_machine(profile)
    machine.prepare(1, kdamond=1)
    machine.aim(1)
    machine.command("on", 0)
    machine.command("on", 1)
    machine.emulator_write("0/state", "commit")
    assert machine.command_errno("commit", 1) == errno.EBUSY


def test_6_12_never_commits_while_all_schemes_sleep_and_off_frees_the_writer(sleeping):
    machine = sleeping("6.12")
    with pytest.raises(WouldHangForever) as hang:
        machine.command("commit")
    assert machine.command_errno("commit") == errno.EBUSY
    machine.command("off")
    assert machine.command_errno("on") == errno.EBUSY  # for up to 100 ms
    assert machine.errno_of("nr_kdamonds", 1) == errno.EBUSY
    machine.files.finish(hang.value.pending)  # returns success though nothing was committed
    assert machine.command_errno("on") == 0
    assert [event.kind for event in machine.emulator.events].count("commit") == 0


def test_6_12_commits_as_soon_as_a_scheme_wakes_up(sleeping):
    machine = sleeping("6.12")
    pending = machine.emulator_write("0/state", "commit")
    machine.memory.set_free_permille(200)
    machine.emulator.advance(4_000_000)
    assert pending.done
    assert pending.error is None


def test_6_12_with_a_keep_alive_scheme_commits_although_the_others_sleep(sleeping):
    machine = sleeping("6.12")
    machine.command("off")
    machine.emulator.advance(100_000)
    machine.set("schemes/nr_schemes", 2)
    machine.scheme(1, marks=(300, 300, 0))
    machine.command("on")
    assert machine.command_errno("commit") == 0


def test_6_1_serves_a_commit_while_sleeping(sleeping):
    assert sleeping("6.1").command_errno("commit") == 0


@pytest.mark.parametrize("profile", OLD)
def test_an_interval_of_0_keeps_a_kdamond_awake_whose_schemes_are_inactive(make_machine, profile):
    machine = make_machine(profile)
    machine.prepare(machine.processes.spawn())
    machine.memory.set_free_permille(900)
    machine.scheme(0, marks=(300, 300, 0), interval_us=0)
    machine.command("on")
    assert machine.command_errno("commit") == 0
    machine.emulator.advance(5_000_000)
    assert machine.reclaims() == []
