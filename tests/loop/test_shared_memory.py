"""Anonymous memory that processes share is out of the lanes' reach, and goes by memory.reclaim."""

import pytest
from reclaimed_node import MIB, figure, populated, swapped_in

from damon_agent.reclaim.steps import LEAST_BYTES
from damon_mock.nodes.reclaim import Held

A = "a1" * 32
HELD = Held(anon_bytes=100 * MIB, file_bytes=0, hot_anon_bytes=20 * MIB)
WORKERS = 5


@pytest.fixture(name="home")
def home_fixture(reclaimer, kernel, pod):
    """The cgroup of an eager pod whose workers all map its memory."""
    (home,) = populated(reclaimer, kernel, A, held=HELD)
    for pid in range(11, 10 + WORKERS):
        reclaimer.start(pid, home)
    mapped(reclaimer, mib=100)
    reclaimer.plan(pod(1, A, priority=10))
    return home


def mapped(machine, *, mib):
    """Let each process of the pod have so much resident, and 2 MiB of files besides."""
    for pid in range(10, 10 + WORKERS):
        (machine.proc / str(pid) / "statm").write_text(f"99999 {(mib + 2) * 256} 512 0 0 0 0\n")


def test_its_cold_part_goes_little_by_little(reclaimer, kernel, home):
    reclaimer.run(300)
    assert figure(home, "anon") < 50 * MIB
    assert all(text.endswith(" swappiness=max") for text in kernel.asked)
    assert max(int(text.split()[0]) for text in kernel.asked) <= 5 * MIB


def test_it_is_left_alone_while_the_brake_spares_the_pod(reclaimer, kernel, home):
    reclaimer.run(10)
    swapped_in(home, 5000)
    reclaimer.run(20)
    assert reclaimer.status.pods[0].spared.cause == "Refaults"
    asked = len(kernel.asked)
    reclaimer.run(30)
    assert len(kernel.asked) == asked


@pytest.mark.usefixtures("home")
def test_processes_with_memory_of_their_own_are_left_to_their_lane(reclaimer, kernel):
    mapped(reclaimer, mib=100 // WORKERS)
    reclaimer.run(120)
    assert not kernel.asked


def test_without_swap_there_is_nowhere_to_go(make_machine, kernel, pod):
    machine = make_machine(reclaim_file=kernel, swap_kib=0)
    (home,) = populated(machine, kernel, A, held=HELD)
    machine.start(11, home)
    for pid in (10, 11):
        (machine.proc / str(pid) / "statm").write_text("99999 51200 0 0 0 0 0\n")
    machine.plan(pod(1, A, priority=10))
    machine.run(120)
    assert not [text for text in kernel.asked if text.endswith(" swappiness=max")]


@pytest.mark.usefixtures("home")
def test_one_worker_that_cannot_be_read_keeps_nobody_else_from_it(reclaimer, kernel):
    (reclaimer.proc / "12" / "statm").unlink()
    (reclaimer.proc / "12" / "statm").mkdir()
    reclaimer.run(60)
    assert kernel.asked
    (reclaimer.proc / "12" / "statm").rmdir()


def test_to_be_asked_for_page_cache_does_not_tell_what_of_the_rest_is_hot(reclaimer, kernel, pod):
    held = Held(anon_bytes=100 * MIB, file_bytes=200 * MIB)
    (home,) = populated(reclaimer, kernel, A, held=held)
    for pid in range(11, 10 + WORKERS):
        reclaimer.start(pid, home)
    mapped(reclaimer, mib=100 // WORKERS)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(20)
    assert len(kernel.asked) > 1
    mapped(reclaimer, mib=100)
    reclaimer.run(20)
    first = next(text for text in kernel.asked if text.endswith(" swappiness=max"))
    assert int(first.split()[0]) == LEAST_BYTES
