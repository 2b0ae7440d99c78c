"""Who is spared and until when: never without a sign, never for ever, never in a flutter."""

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from damon_agent.brake.brake import LOOK_US, Brake, History, Limits, Spared, look
from damon_agent.facts import PodMemory

S = 1_000_000
LIMITS = Limits(
    pressure_permille=10,
    refaults_permille=10,
    spare_us=60 * S,
    spare_at_most_us=960 * S,
    page_bytes=4096,
)
WELL = PodMemory(resident_bytes=64 << 20, anonymous_bytes=64 << 20, refaults=0, pressure_bp=0)
LOOKS = 60 * S // LOOK_US


def waiting(pressure_bp):
    return replace(WELL, pressure_bp=pressure_bp)


def returned(refaults, **changes):
    return replace(WELL, refaults=refaults, **changes)


class Pod:
    """One pod, looked at again and again."""

    def __init__(self, limits=LIMITS):
        self.brake, self.now_us, self.limits = Brake(), 0, limits

    def look(self, reading, times=1):
        for _ in range(times):
            self.now_us += LOOK_US
            self.brake = look(self.brake, {"pod": reading}, self.now_us, self.limits)
        return self

    @property
    def spared(self):
        return self.brake.spared.get("pod")

    @property
    def left_s(self):
        return (self.spared.until_us - self.now_us) // S


def test_a_pod_that_waits_for_memory_is_spared():
    assert Pod().look(waiting(100)).spared is None
    assert Pod().look(waiting(101)).spared == Spared(LOOK_US + 60 * S, "Pressure")


def test_a_pod_whose_pages_come_back_is_spared():
    pages = (64 << 20) // 4096
    assert Pod().look(returned(1000)).look(returned(1000 + pages // 100)).spared is None
    pod = Pod().look(returned(1000)).look(returned(1001 + pages // 100))
    assert pod.spared.cause == "Refaults"


def test_what_comes_back_is_added_up_over_a_minute_and_not_over_an_hour():
    each = (64 << 20) // 4096 // 100 // 4
    pod = Pod().look(returned(0))
    for number in range(1, 6):
        pod.look(returned(number * each))
    assert pod.spared
    slow = Pod().look(returned(0))
    for number in range(1, 360):
        slow.look(returned(number * each // 10))
    assert slow.spared is None


def test_a_pod_whose_swap_is_used_up_is_not_tried_again_and_again():
    def refused(times):
        return replace(WELL, swap_refusals=times)

    assert Pod().look(refused(7)).look(refused(7)).spared is None
    pod = Pod().look(refused(7)).look(refused(8))
    assert pod.spared.cause == "SwapRefused"
    assert pod.look(refused(8), LOOKS).spared is None
    assert pod.look(refused(9)).left_s == 120, "longer each time"


def test_what_had_come_back_before_the_first_look_is_not_held_against_it():
    assert Pod().look(returned(10**9)).look(returned(10**9)).spared is None


def test_a_handful_of_pages_hurts_no_pod_however_small():
    tiny = {"anonymous_bytes": 1 << 20}
    assert Pod().look(returned(0, **tiny)).look(returned(16, **tiny)).spared is None
    assert Pod().look(returned(0, **tiny)).look(returned(17, **tiny)).spared


def test_a_container_that_ended_takes_its_count_along():
    assert Pod().look(returned(10**6)).look(returned(5)).spared is None


def test_a_limit_of_all_the_time_means_never_for_pressure():
    pod = Pod(replace(LIMITS, pressure_permille=1000))
    assert pod.look(waiting(10_000)).spared is None
    pod.look(returned(0)).look(returned(10**6, pressure_bp=10_000))
    assert pod.look(returned(10**6, pressure_bp=10_000), 3 * LOOKS).spared is None


def test_it_is_forgiven_when_the_time_is_over_and_it_is_well():
    pod = Pod().look(waiting(500))
    assert pod.look(WELL, LOOKS - 1).spared
    assert pod.look(WELL).spared is None


def test_between_half_the_limit_and_the_limit_it_is_neither_spared_nor_forgiven():
    assert Pod().look(waiting(60)).spared is None
    pod = Pod().look(waiting(101))
    assert pod.look(waiting(60), 3 * LOOKS).spared
    assert pod.look(waiting(50), LOOKS).spared is None


def test_each_repetition_doubles_the_time_up_to_the_longest():
    pod, times = Pod(), []
    for _ in range(7):
        pod.look(waiting(500))
        times.append(pod.left_s)
        pod.look(WELL, times[-1] // 10)
        assert pod.spared is None
    assert times == [60, 120, 240, 480, 960, 960, 960]


def test_pain_that_lasts_while_it_is_spared_is_no_repetition():
    pod = Pod().look(waiting(500), 40 * LOOKS).look(WELL, LOOKS + 1)
    assert pod.spared is None
    assert pod.look(waiting(500)).left_s == 120


def test_a_repetition_is_forgotten_for_each_longest_time_in_peace():
    pod = Pod()
    for _ in range(3):
        pod.look(waiting(500))
        pod.look(WELL, pod.left_s // 10)
    assert pod.look(WELL, 2 * 96).look(waiting(500)).left_s == 120


def test_a_pod_that_is_not_asked_about_is_forgotten():
    pod = Pod().look(waiting(500))
    assert not look(pod.brake, {}, pod.now_us, LIMITS).pods


READINGS = st.one_of(
    st.none(),
    st.builds(
        PodMemory,
        resident_bytes=st.just(64 << 20),
        anonymous_bytes=st.sampled_from([0, 1 << 20, 64 << 20]),
        refaults=st.none() | st.integers(0, 10_000),
        pressure_bp=st.none() | st.integers(0, 10_000),
        swap_refusals=st.none() | st.integers(0, 3),
    ),
)
LIMITED = st.builds(
    Limits,
    pressure_permille=st.integers(0, 1000),
    refaults_permille=st.integers(0, 1000),
    spare_us=st.integers(10 * S, 600 * S),
    spare_at_most_us=st.integers(600 * S, 3600 * S),
    page_bytes=st.sampled_from([4096, 16384, 65536]),
)
SEQUENCES = st.lists(st.tuples(READINGS, st.integers(1, 100)), max_size=40)


def played(sequence, limits):
    """Yield time and brake after each look."""
    brake, now_us = Brake(), 0
    for reading, passed_s in sequence:
        now_us += passed_s * S
        brake = look(brake, {"pod": reading}, now_us, limits)
        yield now_us, brake


@given(SEQUENCES, LIMITED)
def test_a_pod_that_cannot_be_seen_is_never_spared_anew(sequence, limits):
    spared = {}
    for (_, brake), (reading, _) in zip(played(sequence, limits), sequence, strict=True):
        if reading is None:
            assert brake.spared.keys() <= spared.keys()
        spared = brake.spared


@given(SEQUENCES, LIMITED)
def test_whatever_was_before_a_pod_that_is_well_is_forgiven(sequence, limits):
    pod = Pod(limits)
    for pod.now_us, pod.brake in played(sequence, limits):
        pass
    times = (limits.spare_at_most_us + limits.spare_us) // LOOK_US + LOOKS + 1
    assert pod.look(replace(WELL, refaults=None), times).spared is None


@given(SEQUENCES, LIMITED)
def test_a_pod_is_spared_at_most_once_in_the_shortest_time(sequence, limits):
    began, before = [], {}
    for now_us, brake in played(sequence, limits):
        if brake.spared and not before:
            began.append(now_us)
        before = brake.spared
    assert all(b - a >= limits.spare_us for a, b in itertools.pairwise(began))


@given(SEQUENCES, LIMITED, READINGS, st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=300)
def test_more_pain_never_spares_for_a_shorter_time(sequence, limits, last, waits_bp, returns):
    pod = Pod(limits)
    for pod.now_us, pod.brake in played(sequence, limits):
        pass
    if last is None:
        return
    worse = replace(
        last,
        pressure_bp=None if last.pressure_bp is None else last.pressure_bp + waits_bp,
        refaults=None if last.refaults is None else last.refaults + returns,
    )
    now_us = pod.now_us + LOOK_US
    less = look(pod.brake, {"pod": last}, now_us, limits).spared.get("pod")
    more = look(pod.brake, {"pod": worse}, now_us, limits).spared.get("pod")
    assert less is None or (more is not None and more.until_us >= less.until_us)


@given(st.integers(0, 100), st.integers(1, 10**12))
def test_the_history_of_a_pod_stays_small(repeats, passed_us):
    held = Brake({"pod": History(0, repeats=min(repeats, 32))})
    after = look(held, {"pod": waiting(10_000)}, passed_us, LIMITS).pods["pod"]
    assert after.repeats <= 32
    assert after.spared.until_us - passed_us <= LIMITS.spare_at_most_us
