"""A quota holds in every window, the first one included, on every kernel."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_agent.kernel.tree.context import ANYTHING, Context, Scheme, quota_kept
from damon_agent.kernel.tree.features import Features
from damon_mock.damon import Usage

MIB = 1 << 20
PAGE_BYTES = 4096
COLD_BYTES = 256 * MIB
QUOTA = {"quota_bytes": 60 * MIB, "quota_window_us": 60_000_000}


def taken(node, intent, windows: int) -> list[int]:
    """Return the bytes taken in each of the windows that begin when the first page goes."""
    node.settle(intent)
    while not node.events("reclaim"):
        node.keep_running(intent, 1_000_000)
    begun_us = node.events("reclaim")[0].time_us
    node.keep_running(intent, begun_us + windows * intent.quota_window_us - node.emulator.now_us)
    each = [0] * windows
    for event in node.events("reclaim"):
        if event.time_us < begun_us + windows * intent.quota_window_us:
            each[(event.time_us - begun_us) // intent.quota_window_us] += event.size_bytes
    return each


def with_cold_memory(node):
    identity = node.processes.spawn()
    node.memory.set_usage(identity, Usage(cold_bytes=COLD_BYTES))
    return Process(identity.pid, identity.start_ticks)


@pytest.mark.parametrize("profile", ["6.12", "6.18", "7.3"])
@pytest.mark.parametrize("eager_up_to", [50, 20])
def test_no_window_takes_more_than_the_quota_not_even_the_first(node_of, profile, eager_up_to):
    """Of a lane that is awake from the start, and of one that wakes when all is long cold."""
    node = node_of(profile)
    process = with_cold_memory(node)
    intent = node.intent([(process, 50)], eager_up_to=eager_up_to, **QUOTA)
    if eager_up_to < 50:
        asleep = replace(intent, floor_permille=0, ceiling_permille=0)
        node.settle(asleep)
        node.keep_running(asleep, 120_000_000)
        assert node.events("reclaim") == []
        intent = replace(intent, floor_permille=1000, ceiling_permille=1000)
    each = taken(node, intent, 3)
    assert all(each), "some is taken in each"
    # The kernel's windows begin when they like: one more may have begun in the time of these.
    sums = [sum(each[:count]) for count in (1, 2, 3)]
    assert all(sums[n] <= (n + 2) * QUOTA["quota_bytes"] for n in range(3)), each


@given(
    quota_bytes=st.integers(1, 1 << 40),
    window_ms=st.integers(0, 3_600_000),
    sample_us=st.integers(5_000, 1_000_000),
    samples=st.floats(1, 9.9),
)
def test_shares_of_a_window_never_add_up_to_more_than_the_quota(
    quota_bytes, window_ms, sample_us, samples
):
    aggregation_us = int(sample_us * samples)
    scheme = Scheme("pageout", ANYTHING, quota_bytes=quota_bytes, quota_window_ms=window_ms)
    share, window = quota_kept(
        scheme, Context(sample_us, aggregation_us, 0, (), (), PAGE_BYTES), Features()
    )
    if window_ms * 1000 <= aggregation_us:
        assert (share, window) == (quota_bytes, window_ms)
        return
    assert window == 0
    assert share >= PAGE_BYTES
    applied_every_us = int(samples) * sample_us
    applications = sum(1 for _ in range(0, window_ms * 1000, applied_every_us))
    assert share == PAGE_BYTES or share * applications <= quota_bytes


def test_no_quota_stays_none(node_of):
    node = node_of("6.12")
    node.settle(node.intent([(node.spawn(), 50)]))
    scheme = "0/contexts/0/schemes/1/quotas"
    assert node.read(f"{scheme}/bytes") == "0"
    assert node.read(f"{scheme}/reset_interval_ms") == "0"
