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
        node.keep_running(intent, each_us, check=node.check)


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
    node.keep_running(intent, 60_000_000, check=node.check)
    assert reclaimed(node) == {}, "free 3 %, available 71 %: no pressure"
    node.cache_bytes = 400 * MIB
    node.keep_running(intent, 15_000_000, check=node.check)
    assert set(reclaimed(node)) == {process}


def test_the_metric_free_memory_takes_the_kernels_word(node):
    node.cache_bytes = 5600 * MIB
    node.memory.set_free_permille(30)
    process = node.spawn()
    intent = node.intent([(process, 50)], metric="FreeMemory")
    report = node.settle(node.seen(intent))
    assert report.lanes[0].kernel_mark_permille == report.lanes[0].mark_permille == 600
    assert report.lanes[0].active


def test_memory_that_hardly_moves_costs_no_commit(node):
    node.memory.set_free_permille(500)
    intent = node.intent([(node.spawn(), 50)])
    node.settle(node.seen(intent))
    node.keep_running(intent, 6_000_000)
    before = len(node.events("commit"))
    for wobble in (4, 8, 0, 6, 8, 2):
        node.cache_bytes = node.memory.total_bytes * wobble // 1000
        node.keep_running(intent, 6_000_000)
    assert len(node.events("commit")) == before
    node.cache_bytes = node.memory.total_bytes * 20 // 1000
    node.keep_running(intent, 12_000_000)
    assert len(node.events("commit")) == before + 1


def kernel_between_6_16_and_6_18() -> Profile:
    """Commits are synchronous already, and still restart the clocks."""
    later = load("6.18")
    context = later.root.element.directories["contexts"].element
    del context.files["addr_unit"]
    return replace(later, name="6.17", set_attrs_each_commit=True, first_window_unlimited=True)


class Commits:
    """Notes each commit, how long after the one before, and whether it brought somebody in.

    One that brings a scheme back is waited for by nobody, and keeps nobody waiting.
    """

    def __init__(self, node) -> None:
        self._node = node
        self._events = 0
        self._last_us: dict[int, int] = {}
        self._held: dict[int, set[Process]] = {}
        self._schemes: dict[int, int] = {}
        self.gaps_us: list[tuple[int, bool]] = []

    def look(self) -> None:
        """To be called after each step: no kdamond is committed twice in between."""
        self._node.check()
        held = {
            kdamond: {process for process in slots if process is not None}
            for kdamond, slots in self._node.kernel_targets().items()
        }
        schemes = {
            kdamond.index: len(kdamond.context.schemes)
            for kdamond in self._node.emulator.kdamonds
            if kdamond.context is not None
        }
        for event in self._node.emulator.events[self._events :]:
            self._events += 1
            if event.kind == "on":
                self._last_us.pop(event.kdamond, None)
            if event.kind == "commit":
                after = held.get(event.kdamond)  # None: switched off meanwhile, nobody knows
                brought = after is None or bool(after - self._held.get(event.kdamond, set()))
                if event.kdamond in self._last_us:
                    gap_us = event.time_us - self._last_us[event.kdamond]
                    self.gaps_us.append((gap_us, brought))
                before = self._schemes.get(event.kdamond, 0)
                if brought or schemes.get(event.kdamond, 0) <= before:
                    self._last_us[event.kdamond] = event.time_us
        self._held, self._schemes = held, schemes


SAMPLE_US = 220_000


@pytest.mark.parametrize(
    ("profile", "arrival_us", "other_us"),
    [
        ("6.1", 4_000_000, 4_000_000),
        ("6.12", 4_000_000, 4_000_000),
        (kernel_between_6_16_and_6_18(), 4_000_000, 4_000_000),
        ("6.18", 2 * SAMPLE_US, 2_000_000),
        ("7.2", 2 * SAMPLE_US, 2_000_000),
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
            st.integers(50_000, 2_500_000), st.integers(0, 500), st.sampled_from([10, 50, 60, 90])
        ),
        min_size=5,
        max_size=30,
    )
)
def test_commits_keep_their_distance_whatever_changes(
    node_of, profile, arrival_us, other_us, rounds
):
    node = node_of(profile)
    commits = Commits(node)
    members = [(node.spawn(), 10), (node.spawn(), 50)]
    for us, cache_permille, priority in rounds:
        node.cache_bytes = node.memory.total_bytes * cache_permille // 1000
        members = [*members, (node.spawn(), priority)][-6:]
        intent = node.intent(members, interval_us=1_000_000)
        node.keep_running(intent, us, check=commits.look)
    assert all(
        gap_us >= (arrival_us if brought else other_us) for gap_us, brought in commits.gaps_us
    )


@pytest.mark.parametrize("profile", ["6.18", "7.2"])
def test_a_storm_of_arrivals_takes_nothing_from_a_protected_lane_nor_what_was_used_lately(
    node_of, profile
):
    """Each commit wakes sleeping schemes for a sample; one that is due then is applied once."""
    node = node_of(profile)
    node.memory.set_free_permille(950)
    kept, rung = node.spawn(), node.spawn()
    members = [(kept, 90), (rung, 50)]
    node.settle(node.intent(members))
    quiet_us = node.emulator.now_us
    for _ in range(60):
        members.extend(((node.spawn(), 90), (node.spawn(), 50)))
        node.keep_running(node.intent(members), 500_000, check=node.check)
    first = reclaimed(node)
    assert not {process for process, priority in members if priority == 90} & first.keys()
    assert all(at_us - quiet_us >= 24_000_000 for at_us in first.values())
    assert all(event.hot_bytes == 0 for event in node.events("reclaim"))


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
        node.keep_running(node.intent([*cold, passing]), 4_000_000, check=node.check)
        node.processes.kill(passing[0].pid)
        node.keep_running(node.intent(cold), 4_300_000, check=node.check)
    assert len(node.events("commit")) > before + 40
    assert reclaimed(node) == {}
    node.memory.set_free_permille(300)
    node.keep_running(node.intent(cold), 60_000_000, check=node.check)
    assert set(reclaimed(node)) == {process for process, _ in cold}, "and it still wakes"
