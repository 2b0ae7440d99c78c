"""What is told by priority and by pod, and how many series that may be."""

import re

from hypothesis import given
from hypothesis import strategies as st
from told_node import STATUS, condition, heard, lane, planned, pod, seen, uid

from damon_agent.facts import PodSwap
from damon_agent.families import families
from damon_agent.spans import spans
from damon_contract.v1alpha1.node import DamonNodeStatus, NodeCondition, NodeReason

LABELS = {
    *("type", "reason", "release", "driver", "kdamond", "priorities", "role", "keyword", "outcome"),
}
OTHERS = 43
PER_KDAMOND = 4
PER_SPAN = 7
PER_POD = 4


def test_what_is_told_by_priority_is_told_by_fixed_spans(page):
    told = page(families(seen()))
    low = {"role": "Ladder", "priorities": "31-40"}
    for name, value in {
        "pods": 2,
        "cold_bytes": 11 << 20,
        "given_up_bytes": 3,
        "refaulted_bytes_total": 17,
        "mark_ratio": 0.6,
        "min_age_seconds": 192,
        "reclaiming": 1,
    }.items():
        assert told.value(f"damon_agent_{name}", **low) == value
    watched = {"role": "Protected", "priorities": "81-90"}
    assert told.value("damon_agent_mark_ratio", **watched) is None
    assert told.value("damon_agent_min_age_seconds", **watched) is None
    assert told.value("damon_agent_reclaiming", **watched) == 0
    assert told.value("damon_agent_cold_bytes", **watched) == 7 << 20


def test_what_is_unknown_of_all_pods_of_a_span_is_left_out_and_without_pods_it_is_none(page):
    told = page(families(seen()))
    assert told.value("damon_agent_given_up_bytes", priorities="81-90") is None
    assert told.value("damon_agent_cold_bytes", priorities="11-20") is None
    assert told.value("damon_agent_pods", priorities="11-20") == 1
    for name in ("pods", "cold_bytes", "given_up_bytes", "refaulted_bytes_total", "reclaiming"):
        assert told.value(f"damon_agent_{name}", priorities="51-60") == 0


def test_the_bytes_of_a_node_are_the_sum_of_its_spans(page):
    told = page(families(seen()))
    for name, whole in {"pods": 4, "cold_bytes": 18 << 20, "refaulted_bytes_total": 19}.items():
        assert sum(s.value for s in told.samples if s.name == f"damon_agent_{name}") == whole


@given(st.integers(2, 100), st.data())
def test_each_priority_is_in_exactly_one_span_and_that_has_its_role(protect_from, data):
    eager_up_to = data.draw(st.integers(0, protect_from - 1))
    found = list(spans(protect_from, eager_up_to))
    assert len(found) <= 12
    for priority in range(1, 101):
        (span,) = [span for span in found if priority in span]
        wanted = "Protected" if priority >= protect_from else "Ladder"
        assert span.role == ("Eager" if priority <= eager_up_to else wanted)


def series(told) -> set:
    return {(s.name, *sorted(s.labels.items())) for s in told.samples}


def test_pods_that_come_and_lanes_that_change_neither_begin_nor_end_a_series(page):
    before = seen(cold_bytes={}, swap={}, latest=heard(planned(1, 34)))
    crowd = [planned(n, n) for n in range(1, 101)]
    lanes = tuple(lane(7 - n, 12 * n + 1, 12 * n + 12, mark=500) for n in range(8))
    after = seen(STATUS.model_copy(update={"lanes": lanes}), latest=heard(*crowd))
    gone, come = (
        {key for key in keys if not re.search("kdamond|mark|min_age|cold|given_up", key[0])}
        for keys in (
            series(page(families(before))) - series(page(families(after))),
            series(page(families(after))) - series(page(families(before))),
        )
    )
    assert not gone
    assert not come


def test_a_kdamond_is_told_with_all_that_it_carries(page):
    """With the driver native all lanes are in one."""
    lanes = (
        lane(0, 34, mark=600, targets=5, tried_bytes=70, applied_bytes=60),
        lane(0, 50, mark=500, targets=1, tried_bytes=7, applied_bytes=6),
        lane(3, 83, state="off"),
    )
    told = page(families(seen(STATUS.model_copy(update={"lanes": lanes}))))
    kdamond = "damon_agent_kdamond"
    assert told.value(f"{kdamond}_targets", kdamond="0") == 6
    assert told.value(f"{kdamond}_tried_bytes_total", kdamond="0") == 77
    assert told.value(f"{kdamond}_applied_bytes_total", kdamond="0") == 66
    assert told.value(f"{kdamond}_running", kdamond="0") == 1
    assert told.value(f"{kdamond}_running", kdamond="3") == 0


def test_pods_are_named_only_if_asked_for(page):
    assert not {"namespace", "pod"} & page(families(seen())).labels().keys()
    told = page(families(seen(by_pod=True)))
    one = {"namespace": "shop", "pod": "pod-1"}
    assert told.value("damon_agent_pod_priority", **one) == 34
    assert told.value("damon_agent_pod_cold_bytes", **one) == 5 << 20
    assert told.value("damon_agent_pod_given_up_bytes", **one) == 3
    assert told.value("damon_agent_pod_refaulted_bytes_total", **one) == 1
    assert told.value("damon_agent_pod_given_up_bytes", namespace="shop", pod="pod-3") is None


def test_a_pod_that_is_planned_beside_its_successor_is_told_once(page):
    twins = heard(planned(1, 34, "same"), planned(2, 34, "same"))
    told = page(families(seen(by_pod=True, latest=twins)))
    assert told.value("damon_agent_pod_cold_bytes", pod="same") == 6 << 20


@st.composite
def statuses(draw):
    """Any status a driver can make: at most 8 lanes (`lanes`) or 64 (`native`), 512 pods."""
    kdamonds = draw(st.sampled_from([8, 1]))
    numbers = draw(st.lists(st.integers(1, 100), unique=True, max_size=8 if kdamonds > 1 else 64))
    verdicts = st.sampled_from(["True", "False", "Unknown"])
    reasons = st.sampled_from(NodeReason)
    return DamonNodeStatus(
        conditions=tuple(condition(c, draw(verdicts), draw(reasons)) for c in NodeCondition),
        kernel=STATUS.kernel,
        memory=STATUS.memory,
        brake=STATUS.brake,
        lanes=tuple(
            lane(index % kdamonds, number, mark=draw(st.none() | st.integers(0, 1000)))
            for index, number in enumerate(numbers)
        ),
        pods=tuple(pod(n) for n in range(draw(st.integers(0, 512)))),
    )


@given(statuses(), st.booleans(), st.integers(2, 100), st.data())
def test_however_many_pods_there_are_the_number_of_series_has_its_bound(
    page, status, by_pod, protect_from, data
):
    numbers = range(len(status.pods))
    limits = {"protectFrom": protect_from}
    limits["eagerUpTo"] = data.draw(st.integers(0, protect_from - 1))
    pods = [planned(n, n % 100 + 1) for n in numbers]
    known = {
        "latest": heard(*pods, **limits),
        "cold_bytes": {uid(n): n for n in numbers},
        "swap": {uid(n): PodSwap(n, n) for n in numbers},
        "returned_bytes": {n % 100 + 1: n for n in numbers},
        "by_pod": by_pod,
    }
    told = page(families(seen(status, **known)))
    keys = [(s.name, *sorted(s.labels.items())) for s in told.samples]
    assert len(keys) == len(set(keys)), "Prometheus refuses a page with a series twice"
    bound = OTHERS + 8 * PER_KDAMOND + 12 * PER_SPAN + by_pod * PER_POD * len(pods)
    assert len(keys) <= bound
    assert told.labels().keys() <= LABELS | ({"namespace", "pod"} if by_pod else set())
    assert not [v for values in told.labels().values() for v in values if "uid-of-pod" in v]
    assert sum(s.value for s in told.samples if s.name == "damon_agent_pods") == len(pods)
