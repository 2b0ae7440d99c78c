"""The demo's expectation shares no code with the product; both are asked the same here."""

from hypothesis import given
from hypothesis import strategies as st

from damon_agent import intents
from damon_agent.facts import MemoryReading
from damon_agent.kernel import ladder
from damon_agent.kernel.availability import Availability
from damon_contract import priorities
from damon_contract.v1alpha1.node import DamonNodeSpec
from damon_contract.v1alpha1.tuning import Settings
from damon_mock.demo import expectation, observation
from damon_mock.demo.expectation import ExpectedPod, Meter
from damon_mock.demo.observation import Observation, ObservedLane

GIB = 2**30
METER = Meter(total=16 * GIB, free=5 * GIB, available=6 * GIB, reserved=2**27, zone_high=2**26)


def pod_class(value):
    return {"metadata": {"name": "some"}, "value": value}


@given(st.integers(-(2**31), 10**9))
def test_both_read_a_priority_class_alike(value):
    pod = {"metadata": {"uid": "u", "namespace": "n"}, "spec": {"priorityClassName": "some"}}
    decided = expectation.cluster_wide([pod], [pod_class(value)], [])
    assert decided == {"u": (priorities.from_priority_class(value), "priorityClass/some")}


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=12),
    st.integers(0, 16 * GIB),
    st.integers(0, 16 * GIB),
)
def test_both_build_the_same_ladder(planned, free_bytes, available_bytes):
    meter = Meter(16 * GIB, free_bytes, available_bytes, reserved=2**27, zone_high=2**26)
    pods = {str(n): (f"n/{n}", frozenset({n})) for n in range(len(planned))}
    decided = {str(n): (priority, "default") for n, priority in enumerate(planned)}
    spec = DamonNodeSpec(
        tuning="test",
        mode="Enforce",
        settings=Settings(),
        reserved_bytes=meter.reserved,
        hash="",
        pods=(),
    )
    memory = MemoryReading(
        capacity_bytes=meter.total,
        free_bytes=meter.free,
        available_bytes=meter.available,
        swap_total_bytes=GIB,
        zone_high_bytes=meter.zone_high,
        page_bytes=4096,
    )
    intent = intents.intent(spec, (), memory)
    built = ladder.build(intent, planned)
    seen_memory = Availability().looked(intent, 0)
    for pod in expectation.on_node(pods, decided, meter):
        assert built.role(pod.priority).lower() == pod.role
        if pod.mark is not None:
            assert built.mark(pod.priority) == pod.mark
            awake = seen_memory.wakes(pod.mark)
            assert (pod.action, pod.watermark) == (
                ("pageout", seen_memory.kernel_mark(pod.mark, memory)) if awake else ("stat", 0)
            )


def lane(index=0, pids=(10,), action="pageout", metric="free_mem_rate", watermark=244):
    return ObservedLane(index, 900 + index, pids, action, metric, watermark)


def seen(*lanes, inherited=0):
    return Observation(lanes, "8", {}, 0, inherited)


POD = ExpectedPod("shop/web", "default", 50, "ladder", 306, 244, "pageout", frozenset({10}))


def test_what_is_as_expected_has_no_differences():
    assert observation.differences((POD,), seen(lane())) == []


def test_every_way_to_be_wrong_is_told():
    wrong = {
        "no target for [10]": seen(lane(pids=())),
        "belong to no planned pod: [11]": seen(lane(pids=(10, 11))),
        "target of two kdamonds": seen(lane(), lane(index=1)),
        "is protected, expected ladder": seen(lane(action="", metric="none", watermark=0)),
        "is eager, expected ladder": seen(lane(metric="none", watermark=0)),
        "watermark 245, expected 244": seen(lane(watermark=245)),
        "action 'stat', expected 'pageout'": seen(lane(action="stat")),
        "carry the ages of another process": seen(lane(), inherited=1),
    }
    for words, observed in wrong.items():
        assert any(words in said for said in observation.differences((POD,), observed)), words


def test_a_plan_of_nothing_wants_no_target():
    assert observation.differences((), seen(lane()))
    assert observation.differences((), seen()) == []


def test_changed_files_are_shown_with_both_values():
    before = {"damon/admin/kdamonds/0/state": "off", "damon/admin/kdamonds/10/state": "off"}
    after = {"damon/admin/kdamonds/0/state": "on", "damon/admin/kdamonds/2/state": "on"}
    assert observation.changes(before, after) == [
        "0/state: off -> on",
        "2/state: - -> on",
        "10/state: off -> -",
    ]
