"""Whose the regions are that the kernel shows without a name, and how seldom it is asked."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_agent.kernel import slots as slot_rules
from damon_agent.kernel.lanes.survey import MOST_REGIONS, Stretch, attribute, stretches
from damon_agent.kernel.lanes.survey_schedule import (
    APART_US,
    LONGEST_US,
    REGION_US,
    SurveySchedule,
)
from damon_agent.kernel.slots import Slot, Slots
from damon_mock.damon import MIB, Fails, Fault, Usage

S = 1_000_000
WALK = "update_schemes_tried_regions"
DUMMY = Stretch(4096, 0, is_dummy=True)


def run_of(addresses, hot):
    return [
        Stretch(start, size, is_dummy=False) for start, size in zip(addresses, hot, strict=True)
    ]


@st.composite
def lanes(draw):
    """Draw a lane's slots and what the kernel shows of them: None is a tombstone."""
    slots, shown, hot = [], [], {}
    for index in range(draw(st.integers(0, 8))):
        process = Process(100 + index, 1) if draw(st.booleans()) else None
        slots.append(Slot(process, settled=True))
        if process is None:
            shown.append([DUMMY])
            continue
        # From the program's own addresses up to a stack: nobody's end below another's beginning.
        low = draw(st.lists(st.integers(1 << 20, 1 << 40), max_size=5, unique=True).map(sorted))
        addresses = [draw(st.integers(1 << 14, 1 << 19)), *low, (1 << 46) + index]
        sizes = [draw(st.sampled_from([0, 4096, 1 << 30])) for _ in addresses]
        shown.append(run_of(addresses, sizes))
        hot[process] = sum(sizes)
    return Slots(tuple(slots)), shown, hot


@given(lanes())
def test_each_process_gets_its_own_regions(lane):
    slots, shown, hot = lane
    assert attribute([stretch for run in shown for stretch in run], slots) == hot


@given(lanes(), st.data())
def test_with_a_target_too_few_nothing_is_known(lane, data):
    slots, shown, _ = lane
    if not shown:
        return
    del shown[data.draw(st.integers(0, len(shown) - 1))]
    assert attribute([stretch for run in shown for stretch in run], slots) is None


@given(lanes(), st.data())
def test_with_a_target_too_many_nothing_is_known(lane, data):
    slots, shown, _ = lane
    extra = run_of([1 << 15, 1 << 46], [4096, 0])
    shown.insert(data.draw(st.integers(0, len(shown))), extra)
    assert attribute([stretch for run in shown for stretch in run], slots) is None


def test_a_process_without_regions_of_its_own_yet_is_left_out():
    slots = Slots((Slot(Process(1, 1), settled=False), Slot(Process(2, 1), settled=True)))
    shown = [DUMMY, *run_of([1 << 20, 1 << 46], [4096, 0])]
    assert attribute(shown, slots) == {Process(2, 1): 4096}


def test_a_tombstone_with_a_processs_regions_is_believed_by_nobody():
    slots = Slots((Slot(None, settled=True),))
    assert attribute(run_of([1 << 20], [4096]), slots) is None


@pytest.mark.parametrize(
    ("nr_accesses", "age", "hot"), [(1, 50, True), (0, 11, True), (0, 12, False), (0, 500, False)]
)
def test_a_region_is_cold_without_access_for_long_enough(nr_accesses, age, hot):
    region = {"start": 1 << 20, "end": (1 << 20) + 8192, "nr_accesses": nr_accesses, "age": age}
    (found,) = stretches(lambda _, name: region[name], [0], cold_age=12)
    assert found == Stretch(1 << 20, 8192 if hot else 0, is_dummy=False)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, MOST_REGIONS), st.integers(0, 600))))
def test_surveys_stay_apart_and_cost_a_bounded_share(asked):
    schedule, now_us, began, read = SurveySchedule(), 0, [], 0
    for kdamond, regions, later_s in asked:
        now_us = max(now_us + later_s * S, schedule.due_us(kdamond, now_us))
        began.append(now_us)
        schedule.began(kdamond, now_us)
        schedule.read(kdamond, regions, now_us)
        read += regions
    assert all(b - a >= APART_US for a, b in itertools.pairwise(began))
    if began:
        schedule.began(0, max(now_us, schedule.due_us(0, now_us)))
        assert max(now_us, schedule.due_us(0, now_us)) >= read * REGION_US


def test_no_lane_is_passed_over():
    schedule, now_us, taken = SurveySchedule(), 0, []
    for kdamond in range(8):
        schedule.due_us(kdamond, 0)
    while len(taken) < 32:
        due = [kdamond for kdamond in range(8) if schedule.due_us(kdamond, now_us) <= now_us]
        if due:
            taken.append(due[0])
            schedule.began(due[0], now_us)
            schedule.read(due[0], 100, now_us)
        now_us += S
    assert {kdamond: taken.count(kdamond) for kdamond in range(8)} == dict.fromkeys(range(8), 4)


def test_changes_put_surveys_off_but_not_for_ever():
    schedule, now_us = SurveySchedule(), 0
    schedule.began(0, now_us)
    while schedule.due_us(1, now_us) > now_us:
        now_us += S
        schedule.disturbed(now_us)
        assert now_us <= LONGEST_US + APART_US
    assert now_us >= LONGEST_US


def surveyed(node, intent, kdamond=0):
    """Run until a survey of the lane has been taken after everything had time to be cold."""
    node.settle(intent)
    cold_us = node.emulator.now_us + 60 * S

    def taken(report):
        survey = report.surveys.get(kdamond)
        return survey is not None and survey.taken_us > cold_us

    return node.settle(intent, limit_us=400 * S, until=taken).surveys[kdamond]


def with_holes(node):
    """Return the hot bytes of three processes of which most is address space with nothing in it."""
    hot = {}
    for hot_mib in (1, 16, 100):
        process = node.spawn()
        hot[process] = hot_mib * MIB
        identity = node.processes.identity(process.pid)
        holes = Usage(cold_bytes=64 * MIB, hot_bytes=hot_mib * MIB, hole_bytes=10_000 * MIB)
        node.memory.set_usage(identity, holes)
    stack_bytes = 64 * 4096
    return {process: size + stack_bytes for process, size in hot.items()}


@pytest.mark.parametrize("profile", ["6.12", "6.18", "7.2"])
@pytest.mark.parametrize(
    ("mode", "priority"),
    [("Observe", 10), ("Observe", 50), ("Observe", 90), ("Enforce", 50), ("Enforce", 90)],
)
def test_what_is_hot_of_each_process_is_found_in_every_lane_that_takes_nothing(
    node_of, profile, mode, priority
):
    node = node_of(profile)
    node.memory.set_free_permille(900)
    hot = with_holes(node)
    survey = surveyed(node, node.intent([(process, priority) for process in hot], mode=mode))
    assert survey.hot_bytes == hot


def test_in_a_lane_that_takes_memory_never_too_little_counts_as_hot(node):
    hot = with_holes(node)
    survey = surveyed(node, node.intent([(process, 10) for process in hot]))
    assert survey.hot_bytes.keys() == hot.keys()
    assert all(survey.hot_bytes[process] >= size for process, size in hot.items())


def test_after_exits_the_others_are_still_told_apart(node):
    processes = [node.spawn() for _ in range(4)]
    intent = node.intent([(process, 50) for process in processes])
    node.settle(intent)
    node.processes.kill(processes[1].pid)
    survey = surveyed(node, node.intent([(p, 50) for p in processes if p != processes[1]]))
    assert survey.hot_bytes.keys() == {processes[0], processes[2], processes[3]}


def test_each_lane_is_asked_at_most_once_a_minute_and_only_when_it_is_on(node):
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50)])
    node.settle(intent)
    node.keep_running(intent, 600 * S)
    for kdamond in range(8):
        asked = [r for r in node.writes(WALK) if r.path.endswith(f"/{kdamond}/state")]
        times = [record.time_us for record in asked]
        assert all(b - a >= 60 * S for a, b in itertools.pairwise(times))
        assert bool(asked) == (kdamond < 2)
    assert all(record.code == 0 for record in node.writes(WALK))


def test_an_old_kernel_is_not_asked_for_what_it_does_not_have(node_of):
    node = node_of("6.1")
    intent = node.intent([(node.spawn(), 50)])
    node.settle(intent)
    report = node.keep_running(intent, 600 * S)
    assert node.writes(WALK) == []
    assert report.surveys == {}


def test_regions_that_can_not_be_read_leave_the_lane_at_peace(node):
    intent = node.intent([(node.spawn(), 50)])
    node.emulator.faults.add(Fault("*/tried_regions*", Fails(2), "read", times=None))
    node.emulator.faults.add(Fault("*/tried_regions*", Fails(2), "list", times=None))
    node.settle(intent)
    report = node.keep_running(intent, 600 * S)
    assert node.writes(WALK)
    assert report.faults == ()
    assert not any(survey.hot_bytes for survey in report.surveys.values())


def test_a_lane_that_is_off_knows_nothing(node):
    process = node.spawn()
    surveyed(node, node.intent([(process, 50)]))
    node.processes.kill(process.pid)
    report = node.keep_running(node.intent([]), 10 * S)
    assert report.surveys == {}


def test_slots_that_were_never_settled_are_no_obstacle():
    assert attribute([], slot_rules.fresh((), lambda _: True)) == {}


def test_while_the_kernel_is_asked_the_agent_sleeps_and_other_lanes_wait(node_of):
    node = node_of("7.2")
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50), (node.spawn(), 90)])
    node.settle(intent)
    node.settle(intent, until=lambda _: bool(node.writes(WALK)), limit_us=200 * S)
    report = node.step(intent)
    assert not node.commands.waiting[-1].done
    assert report.at_rest
    assert report.next_step_us - node.emulator.now_us >= 400_000


def test_a_change_that_comes_meanwhile_is_not_said_to_be_applied(node_of):
    node = node_of("7.2")
    node.memory.set_free_permille(50)
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50), (node.spawn(), 90)])
    node.settle(intent)
    node.settle(intent, until=lambda _: bool(node.writes(WALK)), limit_us=200 * S)
    changed = replace(intent, ceiling_permille=500)
    assert not node.commands.waiting[-1].done
    assert not node.step(changed).at_rest
    node.settle(changed)
    marks = {
        scheme.wanted.watermarks.high
        for kdamond in node.emulator.kdamonds
        if kdamond.running
        for scheme in kdamond.context.schemes
    }
    assert node.step(changed).lanes[1].mark_permille in marks
