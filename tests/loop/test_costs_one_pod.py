"""What is wrong with one pod is told of it, in the node's status, and costs no other pod."""

import errno
import os
import sys

import pytest

from damon_agent.kernel.ladder import permille

A = "a1" * 32
B = "b2" * 32
WELL = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
STAT = f"anon {64 << 20}\nfile 0\nworkingset_refault_anon 1\n"


@pytest.fixture
def planned(machine, pod):
    """Two pods with a process each."""
    for pid, container in ((10, A), (20, B)):
        home = machine.container(container)
        (home / "memory.pressure").write_text(WELL)
        (home / "memory.stat").write_text(STAT)
        machine.start(pid, home)
    machine.plan(pod(1, A), pod(2, B, priority=30))
    return machine


def become_unreadable(path):
    """EISDIR here; EACCES, EIO and the like on a node."""
    path.unlink()
    path.mkdir()


def odd_pressure(machine):
    (machine.container(A) / "memory.pressure").write_text("nobody knows\n")


def odd_swap(machine):
    (machine.container(A) / "memory.swap.current").write_text("much\n")


def unreadable_stat(machine):
    become_unreadable(machine.container(A) / "memory.stat")


def unreadable_swap_limit(machine):
    become_unreadable(machine.container(A) / "memory.swap.max")


def unreadable_list(machine):
    become_unreadable(machine.container(A) / "cgroup.procs")


def odd_list(machine):
    (machine.container(A) / "cgroup.procs").write_text("10\nx\n")


def odd_process(machine):
    machine.start(11, machine.container(A))
    (machine.proc / "11/stat").write_text("nobody knows\n")


def unreadable_process(machine):
    machine.start(11, machine.container(A))
    become_unreadable(machine.proc / "11/stat")


@pytest.mark.parametrize(
    "breaks",
    [
        odd_pressure,
        odd_swap,
        unreadable_stat,
        unreadable_swap_limit,
        unreadable_list,
        odd_list,
        odd_process,
        unreadable_process,
    ],
)
def test_what_cannot_be_read_of_one_pod_is_told_there(planned, breaks):
    breaks(planned)
    planned.run(90)
    assert planned.targets() == [10, 20]
    assert planned.condition("Ready").status == "True"
    assert "1 are not tuned as a whole" in planned.condition("Ready").message
    hurt, well = planned.status.pods
    assert (hurt.reason, well.reason) == ("Unreadable", None)
    assert ":" in hurt.message
    assert planned.loop.ticks.failed == 0


@pytest.mark.parametrize("file", ["stat", "statm"])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ENOMEM, errno.ENAMETOOLONG])
def test_a_target_that_becomes_unreadable_costs_only_itself(planned, monkeypatch, file, code):
    planned.run(100)
    opened = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith(f"proc/10/{file}"):
            raise OSError(code, os.strerror(code), path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    planned.run(100)
    assert planned.loop.ticks.failed == 0
    assert 20 in planned.targets()
    assert planned.status.pods[1].cold_bytes


def test_a_process_of_which_nobody_knows_whose_it_is_is_told_of_the_node(planned):
    planned.appear(12, "/")
    become_unreadable(planned.proc / "12/cgroup")
    (planned.container(B) / "cgroup.procs").write_text("")  # so that /proc is looked through
    planned.run(30)
    assert "1 processes can't be read" in planned.condition("Ready").message
    assert planned.targets() == [10, 20]


def test_what_does_not_fit_is_told_of_the_pod_that_has_too_much(planned):
    planned.loop._resolver._most = 20
    planned.run(10)
    for pid in range(100, 150):
        planned.start(pid, planned.container(A))
    planned.run(60)
    many, few = planned.status.pods
    assert (many.reason, many.processes) == ("TooManyProcesses", 19)
    assert many.message.startswith("32 of its processes")
    assert (few.reason, few.processes) == (None, 1)
    assert {10, 20} <= set(planned.targets()), "those that were there before stay"
    assert len(planned.targets()) == 20
    assert planned.condition("Ready").status == "True"


def test_no_process_of_this_machine_is_taken_for_one_of_an_emulated_node(machine, pod):
    machine.start(os.getpid(), machine.container(A))
    machine.plan(pod(1, A))
    machine.run(20)
    assert machine.targets() == [os.getpid()]
    assert not machine.loop._exits.watched


def calls_of_ticks(machine, seconds):
    """Return how many functions are called: CPU time, but for the machine's other work."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in {"call", "c_call"}

    end_us = machine.emulator.now_us + seconds * 1_000_000
    while machine.emulator.now_us < end_us:
        sys.setprofile(count)
        next_us = machine.loop.guarded_tick()
        sys.setprofile(None)
        machine.emulator.advance(max(20_000, min(next_us, end_us) - machine.emulator.now_us))
        machine.commands.collect()
    return calls


def test_a_burst_of_forks_costs_as_much_as_it_is_large(make_machine, pod):
    calls = {}
    for number in (100, 400):
        machine = make_machine(str(number))
        machine.start(10, machine.container(A))
        machine.plan(pod(1, A))
        machine.run(20)
        idle = calls_of_ticks(machine, 10)
        for pid in range(1000, 1000 + number):
            machine.start(pid, machine.container(A))
        calls[number] = calls_of_ticks(machine, 10) - idle
        assert len(machine.targets()) == number + 1
    assert calls[400] < 5 * calls[100]


def test_huge_pages_neither_raise_the_floor_nor_wake_a_lane(machine, pod):
    gib = 1 << 20
    (machine.proc / "meminfo").write_text(
        f"MemTotal: {128 * gib} kB\nMemFree: {20 * gib} kB\nMemAvailable: {60 * gib} kB\n"
        f"SwapTotal: {8 * gib} kB\nSwapFree: {8 * gib} kB\nHugetlb: {64 * gib} kB\n"
    )
    machine.start(10, machine.container(A))
    machine.plan(pod(1, A), reserved_bytes=1 << 30)
    machine.run(20)
    memory = machine.status.memory
    assert memory.capacity_bytes == 64 << 30
    assert permille(memory.available_bytes, memory.capacity_bytes) > 900
    assert memory.floor_permille < 20
    assert not machine.status.lanes[0].active


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads what nobody may")
def test_a_directory_that_nobody_may_read_costs_its_own_pod(planned):
    home = planned.container(A)
    home.chmod(0)
    try:
        planned.run(30)
        assert planned.status.pods[0].reason == "Unreadable"
        assert 20 in planned.targets()
    finally:
        home.chmod(0o755)
