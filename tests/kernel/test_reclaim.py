"""Who gives up memory when: polarity, marks that follow available memory, and rare commits."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_mock.damon import MIB
from damon_mock.damon.profiles import Profile, load


def reclaimed(node) -> dict[Process, int]:
    """Return when each process first lost memory."""
    first: dict[Process, int] = {}
    for event in node.events("reclaim"):
        first.setdefault(Process(event.pid, event.start_ticks), event.time_us)
    return first


def squeeze(node, intent, permilles, *, each_us=6_000_000) -> None:
    for permille in permilles:
        node.memory.set_free_permille(permille)
        node.keep_running(intent, each_us)


@pytest.mark.parametrize("profile", ["6.1", "6.12", "6.18", "7.2", "rfc"])
def test_polarity_60_is_reclaimed_after_30_and_90_not_at_all(node_of, profile):
    node = node_of(profile)
    low, middle, high = node.spawn(), node.spawn(), node.spawn()
    node.memory.set_free_permille(900)
    intent = node.intent([(low, 30), (middle, 60), (high, 90)])
    node.settle(intent)
    node.keep_running(intent, 40_000_000)
    assert reclaimed(node) == {}, "memory is plentiful and nobody is eager"
    squeeze(node, intent, range(850, 0, -50))
    first = reclaimed(node)
    assert first[low] < first[middle]
    assert high not in first


def test_eager_pods_give_up_cold_memory_while_there_is_plenty(node):
    eager, other = node.spawn(), node.spawn()
    node.memory.set_free_permille(950)
    intent = node.intent([(eager, 10), (other, 50)])
    node.settle(intent)
    node.keep_running(intent, 60_000_000)
    assert set(reclaimed(node)) == {eager}


@pytest.mark.parametrize("profile", ["6.1", "6.12", "7.2"])
def test_a_pod_that_becomes_eager_gives_up_memory_from_then_on(node_of, profile):
    """Before 6.3 a commit does not wake a sleeping scheme: the lane has to be started anew."""
    node = node_of(profile)
    process = node.spawn()
    node.memory.set_free_permille(900)
    node.settle(node.intent([(process, 50)]))
    node.keep_running(node.intent([(process, 50)]), 20_000_000)
    assert reclaimed(node) == {}
    node.settle(node.intent([(process, 10)]))
    node.keep_running(node.intent([(process, 10)]), 60_000_000)
    assert set(reclaimed(node)) == {process}


def test_observing_takes_nothing_whatever_happens(node):
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50)], mode="Observe")
    node.settle(intent)
    squeeze(node, intent, range(900, 0, -150), each_us=20_000_000)
    assert reclaimed(node) == {}


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_page_cache_that_can_be_dropped_counts_as_available(node_of, profile):
    node = node_of(profile, cache_bytes=5600 * MIB)
    process = node.spawn()
    node.memory.set_free_permille(30)
    intent = node.intent([(process, 50)])
    node.settle(node.seen(intent))
    node.keep_running(intent, 60_000_000)
    assert reclaimed(node) == {}, "free 3 %, available 71 %: no pressure"
    node.memory.cache_bytes = 400 * MIB
    node.keep_running(intent, 15_000_000)
    assert set(reclaimed(node)) == {process}


def test_the_metric_free_memory_takes_the_kernels_word(node):
    node.memory.cache_bytes = 5600 * MIB
    node.memory.set_free_permille(30)
    process = node.spawn()
    intent = node.intent([(process, 50)], metric="FreeMemory")
    report = node.settle(node.seen(intent))
    scheme = f"{report.lanes[0].kdamond}/contexts/0/schemes/1"
    assert node.read(f"{scheme}/watermarks/high") == str(report.lanes[0].mark_permille) == "600"
    assert report.lanes[0].active


def test_memory_that_hardly_moves_costs_no_commit(node):
    """Of a lane that is awake: one that sleeps is told of no memory at all."""
    node.memory.set_free_permille(500)
    intent = node.intent([(node.spawn(), 50)])
    node.settle(node.seen(intent))
    node.keep_running(intent, 6_000_000)
    before = len(node.events("commit"))
    for wobble in (4, 8, 0, 6, 8, 2):
        node.memory.cache_bytes = node.memory.total_bytes * wobble // 1000
        node.keep_running(intent, 6_000_000)
    assert len(node.events("commit")) == before
    node.memory.cache_bytes = node.memory.total_bytes * 20 // 1000
    node.keep_running(intent, 12_000_000)
    assert len(node.events("commit")) == before + 1


def kernel_between_6_16_and_6_18() -> Profile:
    """Commits are synchronous already, and still restart the clocks."""
    later = load("6.18")
    context = later.root.element.directories["contexts"].element
    del context.files["addr_unit"]
    return replace(later, name="6.17", set_attrs_each_commit=True, first_window_unlimited=True)


@pytest.mark.parametrize(
    ("profile", "spacing_us"),
    [
        ("6.1", 2_440_000),
        ("6.12", 2_440_000),
        (kernel_between_6_16_and_6_18(), 2_440_000),
        ("6.18", 1_000_000),
        ("7.2", 1_000_000),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rounds=st.lists(
        st.tuples(
            st.integers(50_000, 2_500_000), st.integers(0, 500), st.sampled_from([50, 60, 90])
        ),
        min_size=5,
        max_size=30,
    )
)
def test_commits_of_a_lane_keep_their_distance_whatever_changes(
    node_of, profile, spacing_us, rounds
):
    """But for one that stops a lane from reclaiming: each lane here is asleep or eager."""
    node = node_of(profile)
    node.memory.set_free_permille(900)
    members = [(node.spawn(), 10), (node.spawn(), 50)]
    for us, cache_permille, priority in rounds:
        node.memory.cache_bytes = node.memory.total_bytes * cache_permille // 1000
        members = [members[0], *members[1:][-4:], (node.spawn(), priority)]
        node.keep_running(node.intent(members, interval_us=1_000_000), us)
    last_us: dict[int, int] = {}
    for event in node.emulator.events:
        if event.kind == "on":
            last_us.pop(event.kdamond, None)
        if event.kind == "commit":
            assert event.time_us - last_us.get(event.kdamond, -spacing_us) >= spacing_us
            last_us[event.kdamond] = event.time_us


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_the_first_change_of_a_quiet_lane_is_committed_at_once(node_of, profile):
    node = node_of(profile)
    a, b = node.spawn(), node.spawn()
    node.settle(node.intent([(a, 50)]))
    node.keep_running(node.intent([(a, 50)]), 20_000_000)
    node.step(node.intent([(a, 50), (b, 50)]))
    assert node.writes("commit")[-1].time_us == node.emulator.now_us


@pytest.mark.parametrize(
    "profile",
    ["6.12", kernel_between_6_16_and_6_18(), "6.18", "7.2"],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_steady_stream_of_starts_does_not_starve_the_search_for_mappings(node_of, profile):
    """Before 6.18 each commit puts the search off by a whole update interval."""
    node = node_of(profile)
    members = [(node.spawn(), 50)]
    node.settle(node.intent(members))
    for _ in range(20):
        members.append((node.spawn(), 50))
        node.keep_running(node.intent(members), 1_500_000)
    (context,) = [k.context for k in node.emulator.kdamonds if k.running]
    first_started = [target for target in context.targets[1:8] if target.regions]
    assert len(first_started) == 7
    assert all(len(target.regions) == 3 for target in first_started)


@pytest.mark.parametrize("profile", ["6.12", "6.18", "7.2", "7.3"])
def test_commits_to_a_lane_that_sleeps_take_nothing(node_of, profile):
    """From 6.18 on one in ten comes when the scheme is due, and finds it marked as active."""
    node = node_of(profile)
    node.memory.set_free_permille(900)
    cold = [(node.spawn(), 50) for _ in range(2)]
    node.settle(node.intent(cold))
    node.keep_running(node.intent(cold), 60_000_000)
    before = len(node.events("commit"))
    for _ in range(40):
        passing = (node.spawn(), 50)
        node.keep_running(node.intent([*cold, passing]), 4_000_000)
        node.processes.kill(passing[0].pid)
        node.keep_running(node.intent(cold), 4_300_000)
    assert len(node.events("commit")) > before + 40
    assert reclaimed(node) == {}
    node.memory.set_free_permille(300)
    node.keep_running(node.intent(cold), 60_000_000)
    assert set(reclaimed(node)) == {process for process, _ in cold}, "and it still wakes"
