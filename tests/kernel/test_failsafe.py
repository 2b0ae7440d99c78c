"""The agent wakes, the kernel may only stop: what takes memory, and what never does."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damon_mock.damon import MIB

EVERYWHERE = ["6.1", "6.12", "6.18", "7.2", "7.3", "rfc"]
SLACK_US = 1_500_000
"""From a look to the commit that lets a lane sleep: one command at a time, a sample each."""


def first_victims(node) -> list:
    return [event for event in node.events("reclaim") if event.size_bytes]


@pytest.mark.parametrize("profile", EVERYWHERE)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rates=st.lists(
        st.tuples(st.integers(0, 900), st.integers(100, 950), st.integers(1, 20)),
        min_size=2,
        max_size=6,
    )
)
def test_no_byte_is_taken_while_more_than_the_mark_was_available_at_the_last_two_looks(
    node_of, profile, rates
):
    """Whatever the cache does between the looks: rates in MiB/s, available memory, seconds."""
    node = node_of(profile)
    node.memory.set_free_permille(900)
    members = [(node.spawn(), 30), (node.spawn(), 60)]
    looks: list[tuple[int, int]] = []
    intent = node.intent(members)

    def look() -> None:
        availability = node.driver._memory
        if availability.looked_us is not None and (
            not looks or looks[-1][0] != availability.looked_us
        ):
            looks.append((availability.looked_us, availability.permille))

    node.settle(intent)
    node.keep_running(intent, 30_000_000)
    for mib_per_s, available_permille, seconds in rates:
        node.memory.set_free_permille(available_permille)
        node.memory.cache_bytes = 0
        node.memory.grow_cache(mib_per_s * MIB, least_free_permille=20)
        node.keep_running(intent, seconds * 1_000_000, check=look)
    marks = {
        pid: lane.mark_permille
        for lane in node.step(node.seen(intent)).lanes
        for pid in (process.pid for process, priority in members if priority in lane.priorities)
    }
    for event in first_victims(node):
        # What the kernel was last told to do may be older than the last look by this.
        settled_us = event.time_us - SLACK_US
        before = [found for at_us, found in looks if at_us <= settled_us][-2:]
        since = [found for at_us, found in looks if settled_us < at_us <= event.time_us]
        assert min(before + since) < marks[event.pid], (event, looks)


def test_what_happens_between_two_looks_at_memory_does_not_put_the_next_one_off(node):
    intent = node.intent([(node.spawn(), 30)])
    node.settle(intent)
    for _ in range(30):
        node.emulator.advance(900_000)
        next_us = node.step(intent).next_step_us
        assert next_us <= node.driver._memory.looked_us + intent.interval_us


@pytest.mark.parametrize("profile", EVERYWHERE)
def test_with_a_dead_agent_a_sleeping_lane_takes_nothing_whatever_the_cache_does(node_of, profile):
    """900 permille available, marks 600 and 241, all cold memory of both gone: never again."""
    node = node_of(profile)
    node.memory.set_free_permille(900)
    intent = node.intent([(node.spawn(), 30), (node.spawn(), 60)])
    node.settle(intent)
    node.keep_running(intent, 30_000_000)
    node.memory.grow_cache(500 * MIB, least_free_permille=30)
    node.emulator.advance(600_000_000)
    assert node.memory.free_permille() < 40
    assert node.events("reclaim") == []


@pytest.mark.parametrize("profile", EVERYWHERE)
def test_an_agent_that_is_about_to_end_leaves_nobody_who_may_reclaim_and_the_next_one_wakes_them(
    node_of, profile
):
    node = node_of(profile)
    node.memory.set_free_permille(300)
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 30), (node.spawn(), 90)])
    node.settle(intent)
    assert node.step(intent).reclaims
    halted = node.intent(((m.process, m.priority) for m in intent.members), halted=True)
    node.settle(halted, until=lambda report: not report.reclaims, limit_us=10_000_000)
    threads = [kdamond.pid for kdamond in node.emulator.kdamonds]
    before = len(node.events("reclaim"))
    node.memory.grow_cache(500 * MIB, least_free_permille=30)
    node.emulator.advance(120_000_000)
    assert len(node.events("reclaim")) == before
    node.memory.grow_cache(0)
    node.restart()
    node.keep_running(intent, 30_000_000)
    assert len(node.events("reclaim")) > before
    assert [kdamond.pid for kdamond in node.emulator.kdamonds] == threads, "ages are kept"


@pytest.mark.parametrize("profile", ["7.2", "7.3"])
def test_a_dead_agents_eager_lane_ends_within_the_longest_age_of_a_plan(node_of, profile):
    node = node_of(profile)
    process = node.spawn()
    intent = node.intent([(process, 10), (node.spawn(), 10)], max_plan_age_us=300_000_000)
    node.settle(intent)
    node.keep_running(intent, 700_000_000)
    assert node.events("commit"), "the limit is renewed"
    died_us = node.emulator.now_us
    node.emulator.advance(301_000_000)
    (context,) = [k.context for k in node.emulator.kdamonds if k.running]
    tried = context.schemes[1].stats.nr_tried
    node.emulator.advance(300_000_000)
    assert context.schemes[1].stats.nr_tried == tried, "it does nothing more"
    assert node.emulator.now_us > died_us
    node.restart()
    node.keep_running(intent, 70_000_000)
    (context,) = [k.context for k in node.emulator.kdamonds if k.running]
    assert context.schemes[1].stats.nr_tried > tried, "the next agent renews it"


@pytest.mark.parametrize("profile", ["7.2", "7.3"])
def test_with_a_quota_there_is_no_such_limit_because_it_would_be_false_safety(node_of, profile):
    node = node_of(profile)
    node.settle(node.intent([(node.spawn(), 10)], quota_bytes=1 << 20))
    assert node.read("0/contexts/0/schemes/1/stats/max_nr_snapshots") == "0"


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_a_lane_at_work_is_not_a_lane_that_hangs(node_of, profile):
    """One page-out without a quota took 22 s: it is waited for, and the ages are kept."""
    node = node_of(profile)
    node.memory.page_out_us_per_mib = 600_000
    node.spent_us = lambda _pid: node.emulator.now_us // 2
    node.restart()
    first = node.spawn()
    node.settle(node.intent([(first, 10)]))
    thread = node.emulator.kdamonds[0].pid
    while not node.emulator.kdamonds[0].busy:
        node.keep_running(node.intent([(first, 10)]), 1_000_000)
    grown = node.intent([(first, 10), (node.spawn(), 10)])
    seen = set()
    node.settle(grown, until=lambda report: seen.update(report.faults) or report.at_rest)
    assert {fault.reason for fault in seen} <= {"SysfsLocked"}
    assert node.emulator.kdamonds[0].pid == thread


@pytest.mark.parametrize("profile", EVERYWHERE)
@pytest.mark.parametrize("priority", [30, 90])
def test_memory_that_nothing_is_taken_from_is_looked_at_slowly(node_of, profile, priority):
    """A protected pod; and any pod of a node without swap."""
    node = node_of(profile, swap_bytes=0 if priority == 30 else 1 << 30)
    node.settle(node.intent([(node.spawn(), priority)]))
    intervals = "0/contexts/0/monitoring_attrs/intervals"
    assert node.read(f"{intervals}/sample_us") == "880000"
    assert node.read(f"{intervals}/aggr_us") == "8000000"
