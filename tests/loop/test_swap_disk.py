"""What a swap disk leaves in memory of what lanes have paged out goes by memory.reclaim."""

import pytest
from reclaimed_node import MIB, Kernel, figure, populated, swapped_in

from damon_mock.nodes.reclaim import Held

A, B = "a1" * 32, "b2" * 32


def test_what_a_swap_disk_leaves_in_memory_of_what_lanes_took_is_asked_for(reclaimer, kernel, pod):
    held = Held(anon_bytes=5 * MIB, file_bytes=0, left_bytes=245 * MIB)
    eager, protected = populated(reclaimer, kernel, A, B, held=held)
    reclaimer.plan(pod(1, A, priority=10), pod(2, B, priority=90))
    reclaimer.run(60)
    assert kernel.asked == [f"{245 * MIB} swappiness=max"]
    assert figure(eager, "swapcached") == 0
    assert figure(eager, "anon") == 5 * MIB
    assert figure(protected, "swapcached") == 245 * MIB
    assert reclaimer.status.pods[0].reclaim.working_set_bytes == 245 * MIB


LEFT = Held(anon_bytes=5 * MIB, file_bytes=80 * MIB, hot_file_bytes=60 * MIB, left_bytes=200 * MIB)


def anonymous(kernel):
    return [text for text in kernel.asked if not text.endswith(" swappiness=0")]


def test_page_cache_stays_where_the_kernel_can_be_told_so(reclaimer, kernel, pod):
    (home,) = populated(reclaimer, kernel, A, held=LEFT)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(20)
    assert anonymous(kernel) == [f"{200 * MIB} swappiness=max"]
    assert figure(home, "swapcached") == 0


@pytest.fixture
def before_6_16(make_machine, tmp_path):
    """A machine whose kernel takes page cache instead, and that kernel."""
    kernel = Kernel(tmp_path / "node", takes_max=False)
    return make_machine(reclaim_file=kernel), kernel


def test_before_6_16_page_cache_may_go_instead_and_its_brake_stops_that(before_6_16, pod):
    machine, kernel = before_6_16
    (home,) = populated(machine, kernel, A, held=LEFT)
    machine.plan(pod(1, A, priority=10))
    machine.run(40)
    asked = anonymous(kernel)
    assert all(text.endswith(" swappiness=200") for text in asked)
    assert max(int(text.split()[0]) for text in asked) < 285 * MIB / 20
    assert machine.status.pods[0].reclaim.spared.cause == "Refaults"
    machine.run(30)
    assert anonymous(kernel) == asked
    assert figure(home, "swapcached") > 0


def test_before_6_16_a_pod_with_little_page_cache_is_asked_for_all_of_it(before_6_16, pod):
    machine, kernel = before_6_16
    held = Held(anon_bytes=5 * MIB, file_bytes=8 * MIB, left_bytes=200 * MIB)
    (home,) = populated(machine, kernel, A, held=held)
    machine.plan(pod(1, A, priority=10))
    machine.run(20)
    assert anonymous(kernel) == [f"{200 * MIB} swappiness=200"]
    assert figure(home, "swapcached") == 0


def test_what_lies_there_is_not_asked_for_while_swap_is_used_up(reclaimer, kernel, pod):
    populated(reclaimer, kernel, A, held=LEFT)
    meminfo = reclaimer.proc / "meminfo"
    meminfo.write_text(meminfo.read_text() + "SwapFree: 0 kB\n")
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(60)
    assert kernel.asked
    assert not anonymous(kernel)


def test_a_pod_with_less_left_than_it_seemed_goes_on_with_page_cache(reclaimer, kernel, pod):
    (home,) = populated(reclaimer, kernel, A, held=LEFT)
    reclaimer.plan(pod(1, A, priority=10))
    kernel.lacks = "swappiness=max"
    reclaimer.run(60)
    assert len(anonymous(kernel)) == 1, "it rests for a minute"
    assert figure(home, "file") < 80 * MIB
    assert len(kernel.asked) > 4


def test_pages_that_came_back_from_a_swap_disk_and_keep_their_place_are_in_use(
    reclaimer, kernel, pod
):
    (home,) = populated(reclaimer, kernel, A, held=Held(anon_bytes=64 * MIB, file_bytes=0))
    stat = (home / "memory.stat").read_text()
    (home / "memory.stat").write_text(stat.replace("swapcached 0", f"swapcached {48 * MIB}"))
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(60)
    assert not kernel.asked


def test_a_pod_that_the_brake_spares_keeps_what_a_swap_disk_has_left(reclaimer, kernel, pod):
    (home,) = populated(reclaimer, kernel, A, held=Held(anon_bytes=64 * MIB, file_bytes=0))
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(10)
    swapped_in(home, 5000)
    reclaimer.run(20)
    assert reclaimer.status.pods[0].spared.cause == "Refaults"
    held = Held(anon_bytes=19 * MIB, file_bytes=0, left_bytes=45 * MIB)
    kernel.memory.hold(home, held)
    swapped_in(home, 5000)
    reclaimer.run(20)
    assert reclaimer.status.pods[0].spared is not None
    assert not kernel.asked


def test_shared_memory_is_in_the_kernels_lists_and_was_not_left_there(reclaimer, kernel, pod):
    (home,) = populated(reclaimer, kernel, A, held=Held(anon_bytes=64 * MIB, file_bytes=0))
    text = (home / "memory.stat").read_text()
    for name, was, now in (
        ("inactive_anon", 64 * MIB, 112 * MIB),
        ("shmem", 0, 48 * MIB),
        ("swapcached", 0, 48 * MIB),
    ):
        text = text.replace(f"{name} {was}\n", f"{name} {now}\n")
    (home / "memory.stat").write_text(text)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(60)
    assert not kernel.asked
