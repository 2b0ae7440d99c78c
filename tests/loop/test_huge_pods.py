"""memory.reclaim on a node so large that one step takes longer than there is between two."""

import pytest
from reclaimed_node import MIB, figure

from damon_agent.reclaim.round import PIECE_BYTES
from damon_agent.reclaim.steps import LEAST_BYTES
from damon_mock.nodes.reclaim import Held

A, B = "a1" * 32, "b2" * 32
GIB = 1 << 30
BYTES_PER_S = 2 * GIB


@pytest.fixture
def homes(reclaimer, kernel):
    """The cgroups of a pod with 1 TiB of page cache, and of one with 4 GiB."""
    found = []
    for n, (container, file_bytes) in enumerate(((A, 1024 * GIB), (B, 4 * GIB)), 1):
        above = reclaimer.cgroup / f"kubepods.slice/kubepods-pod{n}.slice"
        home = above / f"cri-containerd-{container}.scope"
        home.mkdir(parents=True)
        (home / "cgroup.procs").touch()
        (home / "memory.swap.max").write_text("max\n")
        kernel.memory.hold(home, Held(file_bytes=file_bytes, hot_file_bytes=MIB))
        reclaimer.start(9 + n, home)
        found.append(home)
    write = kernel.write

    def slow(directory, text):
        write(directory, text)
        us = int(text.split()[0]) * 1_000_000 // BYTES_PER_S
        reclaimer.emulator.advance(max(1, us))

    kernel.write = slow
    return found


def asked_of(kernel, home):
    return [
        int(text.split()[0])
        for name, text in kernel.written
        if name == home.name and not text.startswith("0 ")
    ]


def test_a_huge_pod_keeps_no_other_from_being_asked(reclaimer, kernel, pod, homes):
    huge, other = homes
    reclaimer.plan(pod(1, A, priority=10), pod(2, B, priority=11))
    reclaimer.run(300)
    assert max(asked_of(kernel, huge)) == PIECE_BYTES
    assert figure(other, "file") < GIB
    assert figure(huge, "file") < 900 * GIB
    assert reclaimer.condition("Ready").reason != "NoMemoryReclaim"


def test_who_was_not_asked_for_want_of_time_is_asked_for_the_least_first(
    reclaimer, kernel, pod, homes
):
    huge, other = homes
    write = kernel.write

    def slow_at_first(directory, text):
        if directory == str(huge) and not asked_of(kernel, huge) and not text.startswith("0 "):
            reclaimer.emulator.advance(7_000_000)
        write(directory, text)

    kernel.write = slow_at_first
    reclaimer.plan(pod(1, A, priority=10), pod(2, B, priority=11))
    reclaimer.run(60)
    assert asked_of(kernel, other)[0] == LEAST_BYTES
    assert asked_of(kernel, other)[1] > LEAST_BYTES


@pytest.mark.parametrize("changes", [{"mode": "Observe"}, {"generation": 2}, None])
def test_what_is_under_way_ends_when_the_plan_changes_or_the_agent_is_to_end(
    make_machine, kernel, pod, changes
):
    works = []
    machine = make_machine(reclaim_file=kernel, beside_the_loop=works.append)
    home = machine.container(A)
    kernel.memory.hold(home, Held(file_bytes=1024 * GIB))
    machine.start(10, home)
    machine.plan(pod(1, A, priority=10))
    machine.run(2)
    assert len(works) == 1
    if changes is None:
        machine.loop.stop()
    else:
        machine.plan(pod(1, A, priority=10), **changes)
    machine.run(1)
    works[0]()
    assert not kernel.asked
