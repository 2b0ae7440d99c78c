"""Processes by identity, simulated and read from a proc root; memory by identity."""

import os
from pathlib import Path

import pytest

from damon_mock.damon import (
    KTHREADD,
    MIB,
    Emulator,
    HostProcesses,
    Identity,
    MeminfoMemory,
    SimulatedMemory,
    SimulatedProcesses,
    Usage,
)


def stat(pid, *, flags=0, state="S", start_ticks=500, name="(sd-pam)"):
    fields = [state, "1", "1", "1", "0", "-1", str(flags), *["0"] * 12, str(start_ticks), "0"]
    return f"{pid} ({name}) {' '.join(fields)}\n"


@pytest.fixture
def proc(tmp_path):
    def put(pid, **how):
        (tmp_path / str(pid)).mkdir(exist_ok=True)
        (tmp_path / str(pid) / "stat").write_text(stat(pid, **how))

    put(2, flags=0x0020_8040, name="kthreadd", start_ticks=1)
    put(40)
    tmp_path.joinpath("put").touch()
    return tmp_path, put


def test_a_reused_number_is_another_process():
    processes = SimulatedProcesses()
    old = processes.spawn()
    processes.kill(old.pid)
    assert processes.identity(old.pid) is None
    new = processes.spawn(old.pid)
    assert new.pid == old.pid
    assert new != old
    assert processes.exists(new)
    assert not processes.exists(old)
    assert processes.is_running(new.pid, new.start_ticks)
    assert not processes.is_running(old.pid, old.start_ticks)


def test_a_number_in_use_is_not_given_twice():
    processes = SimulatedProcesses()
    one = processes.spawn()
    with pytest.raises(ValueError, match=str(one.pid)):
        processes.spawn(one.pid)
    assert processes.spawn(5000).pid == 5000


def test_a_zombie_exists_but_has_no_memory():
    processes = SimulatedProcesses()
    one = processes.spawn()
    processes.exit(one.pid)
    assert processes.exists(one)
    assert not processes.has_memory(one)
    assert not processes.is_running(one.pid, one.start_ticks)


def test_kthreadd_is_always_there_and_never_ends():
    processes = SimulatedProcesses()
    kthreadd = processes.identity(KTHREADD)
    assert kthreadd is not None
    assert not processes.has_memory(kthreadd)
    with pytest.raises(LookupError):
        processes.exit(KTHREADD)


def test_a_proc_root_gives_identities_by_start_time(proc):
    root, put = proc
    processes = HostProcesses(root)
    assert processes.identity(40) == Identity(40, 500)
    put(40, start_ticks=900)
    assert not processes.exists(Identity(40, 500))
    assert processes.exists(Identity(40, 900))
    assert processes.identity(41) is None
    assert processes.identity(0) is None
    assert processes.identity(-1) is None


def test_a_proc_root_tells_kernel_threads_and_zombies(proc):
    root, put = proc
    processes = HostProcesses(root)
    assert not processes.has_memory(Identity(2, 1))
    assert processes.has_memory(Identity(40, 500))
    put(40, state="Z")
    assert processes.exists(Identity(40, 500))
    assert not processes.has_memory(Identity(40, 500))


def test_a_dangling_link_is_a_process_that_is_gone(proc):
    root, _ = proc
    (root / "50").mkdir()
    (root / "50" / "stat").symlink_to("/proc/0/stat")
    assert HostProcesses(root).identity(50) is None


def test_this_very_process_is_found_in_proc():
    identity = HostProcesses(Path("/proc")).identity(os.getpid())
    assert identity is not None
    assert HostProcesses(Path("/proc")).has_memory(identity)


def test_meminfo_gives_the_permille_of_memfree(tmp_path):
    meminfo = tmp_path / "meminfo"
    memory = MeminfoMemory(meminfo)
    assert memory.free_permille() == 500  # nothing to read yet
    meminfo.write_text("MemTotal:  1000 kB\nMemFree:  123 kB\nMemAvailable: 900 kB\n")
    assert memory.free_permille() == 123


def test_no_swap_in_meminfo_means_nothing_goes(tmp_path):
    meminfo = tmp_path / "meminfo"
    memory = MeminfoMemory(meminfo)
    meminfo.write_text("MemTotal: 10 kB\nMemFree: 5 kB\nSwapTotal: 0 kB\n")
    assert memory.page_out(Identity(5, 5), MIB) == 0
    meminfo.write_text("MemTotal: 10 kB\nMemFree: 5 kB\nSwapTotal: 9 kB\n")
    assert memory.page_out(Identity(5, 5), MIB) == MIB


def test_paged_out_bytes_move_from_cold_to_swapped_and_become_free():
    memory = SimulatedMemory(total_bytes=100 * MIB, free_bytes=10 * MIB, swap_free_bytes=3 * MIB)
    who = Identity(5, 5)
    memory.set_usage(who, Usage(cold_bytes=8 * MIB, hot_bytes=MIB))
    assert memory.page_out(who, 2 * MIB) == 2 * MIB
    assert memory.page_out(who, 8 * MIB) == MIB  # the swap is full
    assert memory.usage(who) == Usage(5 * MIB, MIB, 3 * MIB)
    assert memory.free_bytes == 13 * MIB


@pytest.mark.parametrize("permille", [0, 1, 333, 999, 1000])
def test_free_memory_can_be_set_to_an_exact_permille(permille):
    memory = SimulatedMemory()
    memory.set_free_permille(permille)
    assert memory.free_permille() == permille


def test_pid_2_is_kthreadd_even_in_the_proc_of_another_namespace(tmp_path):
    processes = HostProcesses(tmp_path)
    kthreadd = processes.identity(2)
    assert kthreadd is not None
    assert processes.exists(kthreadd)
    assert not processes.has_memory(kthreadd)


def test_a_kdamond_is_a_thread_named_after_how_many_ran_before_it(make_machine):
    machine = make_machine("7.2")
    machine.allocate(2)
    for kdamond in (0, 1):
        machine.aim(machine.processes.spawn(), kdamond=kdamond)
        machine.command("on", kdamond)
    pids = [int(machine.read(f"{kdamond}/pid")) for kdamond in (0, 1)]
    assert [machine.processes.comm(pid) for pid in pids] == ["kdamond.0", "kdamond.1"]
    machine.command("off", 0)
    assert machine.processes.comm(pids[0]) is None
    machine.command("on", 0)
    assert machine.processes.comm(int(machine.read("0/pid"))) == "kdamond.1"
    machine.emulator.reboot()
    assert machine.processes.comm(pids[1]) is None


def test_threads_of_the_emulated_kernel_appear_in_a_proc_view(proc):
    root, _ = proc
    processes = HostProcesses(root, shows_threads=True)
    emulator = Emulator("7.2", processes)
    kdamonds = "damon/admin/kdamonds"
    for path, value in (
        ("nr_kdamonds", "1"),
        ("0/contexts/nr_contexts", "1"),
        ("0/contexts/0/targets/nr_targets", "1"),
        ("0/contexts/0/targets/0/pid_target", "40"),
        ("0/state", "on"),
    ):
        emulator.write(f"{kdamonds}/{path}", value.encode())
    pid = int(emulator.read(f"{kdamonds}/0/pid"))
    assert (root / str(pid) / "comm").read_text() == "kdamond.0\n"
    thread = processes.identity(pid)
    assert thread is not None
    assert not processes.has_memory(thread)
    emulator.write(f"{kdamonds}/0/state", b"off")
    assert processes.identity(pid) is None
    assert not list(root.glob(f".{pid}*"))


def test_a_thread_that_crashed_is_gone_while_its_kdamond_reads_on(make_machine):
    machine = make_machine("rfc")
    machine.emulator.panic_on_oops = False
    machine.prepare(machine.processes.spawn())
    machine.set("targets/0/target_priority", 50)
    machine.command("on")
    pid = int(machine.read("0/pid"))
    assert machine.processes.comm(pid) == "kdamond.0"
    machine.emulator.advance(10_000)
    assert machine.state() == "on"
    assert machine.read("0/pid") == str(pid)
    assert machine.processes.comm(pid) is None
