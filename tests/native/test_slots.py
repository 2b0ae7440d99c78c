"""Who is in which slot of the kernel, how often that is committed, and what is said about it."""

from itertools import pairwise

from damon_agent.facts import MemoryReading, Process
from damon_agent.kernel import ladder
from damon_agent.kernel.availability import Availability
from damon_agent.kernel.intent import Member
from damon_agent.kernel.native import context, report
from damon_agent.kernel.slots import Slot, Slots


def commits_us(node) -> list[int]:
    return [event.time_us for event in node.events("commit")]


def test_a_change_is_committed_twice_and_then_there_is_rest(node):
    first, second = node.spawn(), node.spawn()
    node.settle(node.intent([(first, 50)]))
    node.keep_running(node.intent([(first, 50)]), 20_000_000)
    before = len(commits_us(node))
    both = node.intent([(first, 50), (second, 50)])
    node.keep_running(both, 120_000_000)
    change_us, again_us = commits_us(node)[before:]
    assert again_us - change_us > 6_000_000


def test_commits_are_rarer_than_the_aggregation_in_a_storm(node_of):
    node = node_of(slots_per_class=8)
    members: list[tuple[Process, int]] = []
    for number in range(30):
        members.append((node.spawn(), 21 + 2 * number))
        if number % 3 == 0:
            node.processes.kill(members.pop(0)[0].pid)
        node.keep_running(node.intent(members), 300_000)
    node.settle(node.intent(members))
    assert all(later - one >= 1_000_000 for one, later in pairwise(commits_us(node)[1:]))
    assert set(node.slots()) == {None, *(process for process, _ in members)}


def test_a_reused_pid_is_never_bound_to_the_old_slot(node):
    old, other = node.spawn(), node.spawn()
    intent = node.intent([(old, 50), (other, 50)])
    node.settle(intent)
    node.keep_running(intent, 30_000_000)
    slot = node.slots().index(old)
    node.processes.kill(old.pid)
    stranger = node.spawn(old.pid)
    node.keep_running(intent, 10_000_000)
    assert stranger not in node.slots()
    assert node.slots()[slot] is None
    node.settle(node.intent([(stranger, 50), (other, 50)]))
    assert stranger in node.slots()


def test_a_pod_that_becomes_more_important_moves_to_a_more_protective_slot(node):
    process = node.spawn()
    numbers = []
    for priority in (10, 60, 90, 30):
        node.settle(node.intent([(process, priority)]))
        numbers.append(node.number_of(process))
        assert node.slots().count(process) == 1
    assert numbers == [90, 40, 1, 70]


def test_a_slot_that_somebody_rewrote_is_noticed_and_cleared(node):
    mine, other = node.spawn(), node.spawn()
    intent = node.intent([(mine, 50)])
    node.settle(intent)
    slot = node.slots().index(mine)
    node.keep_running(intent, 5_000_000)
    node.write_as_other(f"0/contexts/0/targets/{slot}/pid_target", str(other.pid))
    node.emulator.write("damon/admin/kdamonds/0/state", b"commit")
    node.emulator.advance(1_000_000)
    assert node.slots()[slot] == other
    for _ in range(70):
        node.step(intent)
        node.emulator.advance(1_000_000)
    assert node.slots()[slot] == mine
    node.check()


def test_counters_are_shown(node):
    intent = node.intent([(node.spawn(), 10)])
    node.settle(intent)
    lane = node.keep_running(intent, 100_000_000).lanes[0]
    assert lane.tried_bytes >= lane.applied_bytes > 0


def test_the_report_has_a_lane_per_mark_and_the_pods_the_kernel_has_taken(node_of):
    node = node_of(slots_per_class=4)
    priorities = (5, 15, 30, 30, 60, 85, 90)
    members = [(node.spawn(), priority) for priority in priorities]
    told = node.settle(node.intent(members))
    assert [(lane.role, lane.priorities, lane.targets) for lane in told.lanes] == [
        ("Eager", (5, 15), 2),
        ("Ladder", (30,), 2),
        ("Ladder", (60,), 1),
        ("Protected", (85, 90), 2),
    ]
    assert [lane.active for lane in told.lanes] == [True, False, False, False]
    assert len(told.placed) == len(members)
    assert set(told.placed.values()) == {0}
    assert told.driver_name == "native"
    assert "target_priority" in told.features


def test_more_marks_than_a_status_takes_are_shown_together(node):
    members = [
        Member(Process(1000 + priority, 1), f"pod-{priority}", priority)
        for priority in range(1, 99)
    ]
    intent = node.intent(
        [(member.process, member.priority) for member in members],
        protect_from=100,
        eager_up_to=0,
        memory=MemoryReading(1000, 500, 500, 1, 0, 4096),
    )
    slots = Slots(tuple(Slot(member.process, settled=True) for member in members))
    lanes = report.lanes(slots, context.rungs(intent, Availability()), {})
    assert len(lanes) == report.MOST_LANES
    assert [p for lane in lanes for p in lane.priorities] == list(range(1, 99))
    marks = [lane.mark_permille for lane in lanes]
    assert marks == sorted(marks, reverse=True)
    assert lanes[0].mark_permille == ladder.build(intent, range(1, 99)).mark(
        max(lanes[0].priorities)
    )


def test_a_slot_waits_as_long_as_its_priority_is_to_and_the_report_says_so(node):
    low, middle, high = node.spawn(), node.spawn(), node.spawn()
    members = [(low, 10), (middle, 50), (high, 90)]
    report = node.settle(node.intent(members, min_ages_us={10: 96_000_000, 50: 24_000_000}))
    ages = {
        process: node.read(f"0/contexts/0/schemes/{index}/access_pattern/age/min")
        for index, process in enumerate(node.slots())
        if process is not None
    }
    assert (ages[low], ages[middle]) == ("48", "12")
    assert [(lane.priorities, lane.min_age) for lane in report.lanes] == [
        *(((10,), "1m36s"), ((50,), "24s"), ((90,), None)),
    ]


def test_who_has_grown_begins_anew_in_the_same_slot(node):
    process, other = node.spawn(), node.spawn()
    members = [(process, 50), (other, 50)]
    node.settle(node.intent(members))
    node.keep_running(node.intent(members), 60_000_000)
    slots = node.slots()
    grown = node.intent(members, grown_us={process: node.emulator.now_us})
    node.settle(grown)
    node.keep_running(grown, 12_000_000)
    ages = {
        each: max(region.age for region in node.emulator.kdamonds[0].context.targets[i].regions)
        for i, each in enumerate(slots)
        if each is not None
    }
    assert ages[process] < 10
    assert ages[other] > 20
    assert node.slots() == slots


def test_who_has_grown_waits_for_the_distance_of_commits_only_where_nothing_is_reclaimed(node):
    process = node.spawn()

    def apart_us(priority):
        """Return the time from the commit of a newcomer to the one that brings the growth."""
        node.settle(node.intent([(process, priority)]))
        members = [(process, priority), (node.spawn(), priority)]
        node.settle(node.intent(members))
        grown_us = node.emulator.now_us
        node.settle(node.intent(members, grown_us={process: grown_us}))
        before, after = [event.time_us for event in node.events("commit")][-2:]
        return after - before

    eager_us, protected_us = apart_us(10), apart_us(90)
    assert 4 * eager_us < protected_us, "the kernel takes the first one at its next chance"
