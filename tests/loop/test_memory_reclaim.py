"""Page cache goes by memory.reclaim: beside lanes, without swap, and on a node without DAMON."""

import errno
from dataclasses import replace

import pytest
from reclaimed_node import CACHE, MIB, Kernel, figure, populated, swapped_in

from damon_agent.kernel.report import Fault
from damon_agent.reclaim.steps import LEAST_BYTES
from damon_contract.v1alpha1.node import NodeReason
from damon_mock.nodes.reclaim import Held

A, B, C = "a1" * 32, "b2" * 32, "c3" * 32
NOTHING_IS_SHORT = {"watermarks": {"floorPermille": 100, "ceilingPermille": 300}}


def cache_mib(home):
    return figure(home, "file") / MIB


def test_cold_cache_of_an_eager_pod_goes_and_its_hot_part_stays(reclaimer, kernel, pod):
    (home,) = populated(reclaimer, kernel, A)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(300)
    assert cache_mib(home) == 20
    assert figure(home, "anon") == 64 * MIB, "DAMON sees to that"
    assert all(text.endswith(" swappiness=0") for text in kernel.asked)
    first, second = (int(text.split()[0]) for text in kernel.asked[:2])
    assert (first, second > 3 * MIB) == (LEAST_BYTES, True), "the kernel first learns what is hot"
    status = reclaimer.status
    assert status.memory_reclaim.takes == "FilePages"
    assert status.memory_reclaim.file_bytes == status.pods[0].reclaim.file_bytes == 60 * MIB
    assert status.pods[0].reclaim.spared.cause == "Refaults"
    assert status.pods[0].spared is None, "its lane goes on"


def test_in_the_order_of_the_ladder_and_never_from_protected_pods(reclaimer, kernel, pod):
    eager, ladder, protected = populated(reclaimer, kernel, A, B, C)
    pods = [pod(1, A, priority=10), pod(2, B, priority=50), pod(3, C, priority=90)]
    reclaimer.plan(*pods, settings=NOTHING_IS_SHORT)
    reclaimer.run(300)
    assert [cache_mib(home) for home in (eager, ladder, protected)] == [20, 80, 80]
    short = {"watermarks": {"floorPermille": 700, "ceilingPermille": 900}}
    reclaimer.plan(*pods, settings=short, generation=2)
    reclaimer.run(300)
    assert [cache_mib(home) for home in (eager, ladder, protected)] == [20, 20, 80]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mode": "Observe"}, "mode Observe"),
        ({"settings": {"brake": {"enabled": False}}}, "brake.enabled is false"),
        ({"settings": {"brake": {"refaultsPermille": 50}}}, "brake.refaultsPermille is 50"),
        ({"settings": {"reclaim": {"action": "cold"}}}, "reclaim.action is cold"),
    ],
)
def test_nothing_goes_where_nothing_is_to_be_reclaimed_or_nobody_would_stop_it(
    reclaimer, kernel, pod, changes, why
):
    (home,) = populated(reclaimer, kernel, A)
    reclaimer.plan(pod(1, A, priority=10), **changes)
    reclaimer.run(120)
    assert (cache_mib(home), kernel.asked) == (80, [])
    assert reclaimer.status.memory_reclaim.takes == "Nothing"
    assert reclaimer.status.memory_reclaim.message.startswith(why)
    assert reclaimer.condition("Ready").reason != "NoMemoryReclaim", "it is as it was told"


def test_where_it_is_not_switched_on_nothing_is_told_of_it(machine, pod):
    machine.start(10, machine.container(A))
    machine.plan(pod(1, A, priority=10))
    machine.run(30)
    assert machine.status.memory_reclaim is None
    assert machine.status.pods[0].reclaim is None


def test_a_node_without_damon_is_served_this_way_alone(make_machine, kernel, pod):
    machine = make_machine(reclaim_file=kernel)
    machine.emulator.present = False
    held = Held(anon_bytes=64 * MIB, file_bytes=0, hot_anon_bytes=0)
    low, high = populated(machine, kernel, A, B, held=held)
    machine.plan(pod(1, A, priority=10), pod(2, B, priority=90))
    machine.run(300)
    assert figure(low, "anon") < 16 * MIB
    assert figure(high, "anon") == 64 * MIB
    assert machine.status.memory_reclaim.takes == "AllMemory"
    assert not any("swappiness" in text for text in kernel.asked)
    assert machine.condition("Applied").status == "True"
    ready = machine.condition("Ready")
    assert (ready.status, ready.reason) == ("True", "NoDamon")
    assert machine.condition("DamonAvailable").status == "False"
    assert "goes by memory.reclaim" in machine.condition("Applied").message


def test_without_damon_a_limit_of_the_node_stops_it_and_is_told_first(make_machine, kernel, pod):
    machine = make_machine(reclaim_file=kernel)
    machine.emulator.present = False
    (home,) = populated(machine, kernel, A)
    meminfo = machine.proc / "meminfo"
    meminfo.write_text(meminfo.read_text() + "SwapFree: 4194304 kB\n")
    machine.plan(pod(1, A, priority=10), settings={"safety": {"maxSwapUsedPermille": 100}})
    machine.run(120)
    assert (cache_mib(home), kernel.asked) == (80, [])
    ready = machine.condition("Ready")
    assert (ready.status, ready.reason) == ("True", "SafetyLimit")
    assert machine.condition("DamonAvailable").reason == "NoDamon"


def test_without_damon_and_without_swap_page_cache_goes(make_machine, tmp_path, pod):
    kernel = Kernel(tmp_path / "node", has_swap=lambda: False)
    machine = make_machine(reclaim_file=kernel, swap_kib=0)
    machine.emulator.present = False
    (home,) = populated(machine, kernel, A)
    machine.plan(pod(1, A, priority=10))
    machine.run(300)
    assert (cache_mib(home), figure(home, "anon")) == (20, 64 * MIB)
    assert machine.status.memory_reclaim.takes == "FilePages"


def test_a_kernel_that_would_take_anonymous_memory_along_is_not_asked(make_machine, tmp_path, pod):
    kernel = Kernel(tmp_path / "node", takes_swappiness=False)
    machine = make_machine(reclaim_file=kernel)
    (home,) = populated(machine, kernel, A)
    machine.plan(pod(1, A, priority=10))
    machine.run(120)
    assert (cache_mib(home), kernel.asked) == (80, [])
    ready = machine.condition("Ready")
    assert (ready.status, ready.reason) == ("True", "NoMemoryReclaim")
    assert "swappiness=0" in ready.message
    # Without swap nothing but page cache could go.
    machine.set_memory(swap_kib=0)
    machine.run(300)
    assert cache_mib(home) == 20


@pytest.mark.parametrize(
    ("number", "word"),
    [(errno.EROFS, "agent.memoryReclaim"), (errno.EACCES, "AppArmor"), (errno.ENOENT, "5.19")],
)
def test_what_is_in_the_way_is_told_with_the_remedy_and_looked_for_again(
    reclaimer, kernel, pod, number, word
):
    (home,) = populated(reclaimer, kernel, A)
    kernel.error = number
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(30)
    ready = reclaimer.condition("Ready")
    assert (ready.status, ready.reason) == ("True", "NoMemoryReclaim")
    assert word in ready.message
    assert word in reclaimer.status.memory_reclaim.message
    assert len(kernel.written) == 1, "once a minute, and for nothing"
    kernel.error = None
    reclaimer.run(300)
    assert cache_mib(home) == 20
    assert reclaimer.condition("Ready").reason != "NoMemoryReclaim"


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENODEV])
def test_a_pod_that_ends_when_it_is_asked_says_nothing_of_the_node(reclaimer, kernel, pod, number):
    ended, home = populated(reclaimer, kernel, A, B)
    kernel.ends(ended, number)
    reclaimer.plan(pod(1, A, priority=10), pod(2, B, priority=10))
    reclaimer.run(10)
    assert reclaimer.status.memory_reclaim.takes == "FilePages"
    assert reclaimer.condition("Ready").reason != "NoMemoryReclaim"
    reclaimer.run(290)
    assert cache_mib(home) == 20


def test_where_every_pod_ends_when_it_is_asked_the_next_one_is_asked_soon(reclaimer, kernel, pod):
    (ended,) = populated(reclaimer, kernel, A)
    kernel.ends(ended, errno.ENOENT)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(10)
    assert reclaimer.condition("Ready").reason != "NoMemoryReclaim"
    populated(reclaimer, kernel, B)
    reclaimer.plan(pod(2, B, priority=10), generation=2)
    reclaimer.run(20)
    assert reclaimer.status.memory_reclaim.takes == "FilePages"


def test_a_mount_that_becomes_read_only_is_noticed_and_told(reclaimer, kernel, pod):
    populated(reclaimer, kernel, A)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(20)
    assert reclaimer.status.memory_reclaim.takes == "FilePages"
    kernel.error = errno.EROFS
    reclaimer.run(20)
    assert reclaimer.condition("Ready").reason == "NoMemoryReclaim"
    kernel.error = None
    reclaimer.run(120)
    assert reclaimer.condition("Ready").reason != "NoMemoryReclaim"


def test_a_pod_that_had_less_to_give_rests_for_a_minute(reclaimer, kernel, pod):
    (home,) = populated(reclaimer, kernel, A)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(10)
    kernel.error = errno.EAGAIN
    before = len(kernel.written)
    reclaimer.run(50)
    assert len(kernel.written) == before + 1
    kernel.error = None
    reclaimer.run(300)
    assert cache_mib(home) == 20


def test_what_comes_back_from_swap_says_nothing_against_page_cache(reclaimer, kernel, pod):
    (home,) = populated(reclaimer, kernel, A)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(10)
    swapped_in(home, 5000)
    reclaimer.run(40)
    assert reclaimer.status.pods[0].spared.cause == "Refaults"
    before = cache_mib(home)
    reclaimer.run(20)
    assert cache_mib(home) < before


def test_without_damon_it_does(make_machine, kernel, pod):
    machine = make_machine(reclaim_file=kernel)
    machine.emulator.present = False
    (home,) = populated(machine, kernel, A)
    machine.plan(pod(1, A, priority=10))
    machine.run(10)
    swapped_in(home, 5000)
    machine.run(20)
    before = len(kernel.asked)
    machine.run(30)
    assert len(kernel.asked) == before


def test_a_pod_that_waits_for_memory_is_left_alone(reclaimer, kernel, pod):
    (home,) = populated(reclaimer, kernel, A)
    (home / "memory.pressure").write_text("some avg10=4.00 avg60=0.00 avg300=0.00 total=0\n")
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(120)
    assert (cache_mib(home), kernel.asked) == (80, [])


def test_an_agent_that_is_about_to_end_asks_nobody(reclaimer, kernel, pod):
    populated(reclaimer, kernel, A)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(10)
    before = len(kernel.asked)
    reclaimer.loop.stop()
    reclaimer.run(30)
    assert len(kernel.asked) == before


def test_a_plan_that_is_too_old_asks_nobody(reclaimer, kernel, pod):
    populated(reclaimer, kernel, A)
    reclaimer.plan(pod(1, A, priority=10), settings={"safety": {"maxPlanAge": "2m"}})
    reclaimer.run(121)
    before = len(kernel.asked)
    reclaimer.run(60)
    assert before
    assert len(kernel.asked) == before


def test_what_has_gone_of_pods_that_are_gone_still_counts(reclaimer, kernel, pod):
    populated(reclaimer, kernel, A)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(300)
    reclaimer.plan(generation=2)
    reclaimer.run(30)
    assert reclaimer.status.memory_reclaim.file_bytes == 60 * MIB
    assert reclaimer.loop._reclaiming.pods == {}, "and nothing else is kept of them"


def test_a_pod_that_was_left_alone_for_long_is_asked_for_the_least_again(reclaimer, kernel, pod):
    short = {"watermarks": {"floorPermille": 700, "ceilingPermille": 900}}
    populated(reclaimer, kernel, A)
    for generation, (chosen, seconds) in enumerate(((short, 20), (NOTHING_IS_SHORT, 120)), 1):
        reclaimer.plan(pod(1, A), settings=chosen, generation=generation)
        reclaimer.run(seconds)
    before = len(kernel.asked)
    reclaimer.plan(pod(1, A), settings=short, generation=3)
    reclaimer.run(20)
    first, second = (int(text.split()[0]) for text in kernel.asked[before : before + 2])
    assert (first, second > 3 * MIB) == (LEAST_BYTES, True)


def test_the_pods_own_cgroup_is_asked_where_it_has_one(reclaimer, kernel, pod):
    uid = "12345678-1234-1234-1234-123456789abc"
    above = reclaimer.cgroup / f"kubepods.slice/kubepods-pod{uid.replace('-', '_')}.slice"
    home = above / f"cri-containerd-{A}.scope"
    home.mkdir(parents=True)
    for directory in (above, home):
        (directory / "cgroup.procs").touch()
        (directory / "memory.swap.max").write_text("max\n")
    kernel.memory.hold(above, CACHE)
    reclaimer.start(10, home)
    reclaimer.plan(pod(1, A, priority=10) | {"uid": uid})
    reclaimer.run(120)
    assert {name for name, _ in kernel.written} == {above.name}


def test_a_write_that_is_never_answered_is_told_and_asked_for_no_second_time(
    make_machine, kernel, pod
):
    works = []
    machine = make_machine(reclaim_file=kernel, beside_the_loop=works.append)
    (home,) = populated(machine, kernel, A)
    machine.plan(pod(1, A, priority=10))
    machine.run(90)
    assert len(works) == 1
    ready = machine.condition("Ready")
    assert (ready.status, ready.reason) == ("True", "NoMemoryReclaim")
    assert "has not answered" in ready.message
    machine.emulator.advance(1_000_000)
    works[0]()
    machine.run(10)
    assert machine.condition("Ready").reason != "NoMemoryReclaim"
    assert cache_mib(home) == 80, "what was asked for so long ago is not taken any more"
    assert len(works) == 2


def test_a_thread_that_cannot_be_had_is_told_and_asked_for_again(make_machine, kernel, pod):
    threads = []

    def start(work):
        if not threads:
            raise RuntimeError("can't start new thread")
        work()

    machine = make_machine(reclaim_file=kernel, beside_the_loop=start)
    (home,) = populated(machine, kernel, A)
    machine.plan(pod(1, A, priority=10))
    machine.run(90)
    ready = machine.condition("Ready")
    assert (ready.status, ready.reason) == ("True", "NoMemoryReclaim")
    assert "limits of pids and memory of the agent" in ready.message
    assert "can't start new thread" in machine.status.memory_reclaim.message
    threads.append("there is one again")
    machine.run(300)
    assert cache_mib(home) == 20
    assert machine.condition("Ready").reason != "NoMemoryReclaim"


def test_a_node_with_protected_pods_alone_has_nobody_to_ask_and_that_is_no_fault(
    reclaimer, kernel, pod
):
    populated(reclaimer, kernel, A)
    reclaimer.plan(pod(1, A, priority=90))
    reclaimer.run(60)
    assert kernel.written == []
    assert reclaimer.condition("Ready").reason == "Applied"
    assert reclaimer.status.memory_reclaim.takes == "Nothing"
    assert "no pod that may be reclaimed" in reclaimer.status.memory_reclaim.message


def test_what_was_in_the_way_is_no_fault_once_there_is_nobody_to_ask(reclaimer, kernel, pod):
    populated(reclaimer, kernel, A)
    kernel.error = errno.EROFS
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(30)
    assert reclaimer.condition("Ready").reason == "NoMemoryReclaim"
    reclaimer.plan(pod(1, A, priority=90), generation=2)
    reclaimer.run(90)
    assert reclaimer.condition("Ready").reason == "Applied"


class CrashedDriver:
    """A driver that has found the kernel crashed in DAMON."""

    def __init__(self, driver):
        self._driver = driver

    def step(self, intent, now_us):
        report = self._driver.step(intent, now_us)
        return replace(report, faults=(Fault(NodeReason.NEEDS_REBOOT, "it has crashed"),))


def test_a_kernel_that_has_crashed_in_damon_is_asked_for_nothing(reclaimer, kernel, pod):
    populated(reclaimer, kernel, A)
    reclaimer.loop._driver = CrashedDriver(reclaimer.loop._driver)
    reclaimer.plan(pod(1, A, priority=10))
    reclaimer.run(60)
    assert kernel.asked == []
    ready = reclaimer.condition("Ready")
    assert (ready.status, ready.reason) == ("False", "NeedsReboot")
