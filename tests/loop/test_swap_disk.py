"""What a swap disk leaves in memory of what lanes have paged out goes by memory.reclaim."""

from reclaimed_node import MIB, figure, populated, swapped_in

from damon_mock.nodes.reclaim import Held

A, B = "a1" * 32, "b2" * 32


def test_what_a_swap_disk_leaves_in_memory_of_what_lanes_took_is_asked_for(reclaimer, kernel, pod):
    held = Held(anon_bytes=5 * MIB, file_bytes=0, left_bytes=245 * MIB)
    eager, protected = populated(reclaimer, kernel, A, B, held=held)
    reclaimer.plan(pod(1, A, priority=10), pod(2, B, priority=90))
    reclaimer.run(60)
    assert kernel.asked == [f"{245 * MIB} swappiness=200"]
    assert figure(eager, "swapcached") == 0
    assert figure(eager, "anon") == 5 * MIB
    assert figure(protected, "swapcached") == 245 * MIB
    assert reclaimer.status.pods[0].reclaim.working_set_bytes == 245 * MIB


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
