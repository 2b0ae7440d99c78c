"""The main job of the driver `lanes`: members in, targets, schemes and marks out."""

from dataclasses import replace

import pytest


def test_each_priority_gets_a_lane_of_its_own_and_each_process_a_target(node):
    low, middle, high = node.spawn(), node.spawn(), node.spawn()
    report = node.settle(node.intent([(low, 10), (middle, 50), (high, 90)]))
    assert node.targeted() == {low, middle, high}
    assert [(lane.priorities, lane.role, lane.mark_permille) for lane in report.lanes] == [
        ((10,), "Eager", None),
        ((50,), "Ladder", 100 + (51 - 21) * 500 // (91 - 21)),
        ((90,), "Protected", None),
    ]
    assert report.faults == ()
    assert {lane.kdamond for lane in report.lanes} == {
        node.lane_of(process) for process in (low, middle, high)
    }
    assert len(report.placed) == 3
    assert node.read("nr_kdamonds") == "8"


def test_what_the_kernel_is_told_of_a_lane(node):
    process = node.spawn()
    node.memory.set_free_permille(500)
    report = node.settle(node.intent([(process, 50)], quota_bytes=4096))
    base = f"{report.lanes[0].kdamond}/contexts/0"
    assert node.read(f"{base}/monitoring_attrs/intervals/sample_us") == "220000"
    assert node.read(f"{base}/monitoring_attrs/intervals/aggr_us") == "2000000"
    assert node.read(f"{base}/monitoring_attrs/nr_regions/min") == "100"
    assert node.read(f"{base}/schemes/0/action") == "stat"
    assert node.read(f"{base}/schemes/0/watermarks/metric") == "none"
    scheme = f"{base}/schemes/1"
    assert node.read(f"{scheme}/action") == "pageout"
    assert node.read(f"{scheme}/access_pattern/age/min") == "12"
    assert node.read(f"{scheme}/access_pattern/nr_accesses/max") == "0"
    assert node.read(f"{scheme}/quotas/bytes") == "4096"
    assert node.read(f"{scheme}/watermarks/metric") == "free_mem_rate"
    assert node.read(f"{scheme}/watermarks/interval_us") == "5000000"
    marks = {node.read(f"{scheme}/watermarks/{name}") for name in ("high", "mid")}
    assert marks == {str(report.lanes[0].mark_permille)} == {"600"}
    assert node.read(f"{scheme}/watermarks/low") == "0"
    assert node.read(f"{base}/targets/0/regions/nr_regions") == "0"


@pytest.mark.parametrize(("mode", "action"), [("Observe", "stat"), ("Enforce", "cold")])
def test_the_mode_and_the_action_of_the_tuning(node, mode, action):
    node.memory.set_free_permille(500)
    report = node.settle(node.intent([(node.spawn(), 50)], mode=mode, action="cold"))
    assert node.read(f"{report.lanes[0].kdamond}/contexts/0/schemes/1/action") == action


def test_protected_pods_have_no_scheme_that_acts(node):
    report = node.settle(node.intent([(node.spawn(), 80), (node.spawn(), 100)]))
    for lane in report.lanes:
        assert node.read(f"{lane.kdamond}/contexts/0/schemes/nr_schemes") == "1"
        assert node.read(f"{lane.kdamond}/contexts/0/schemes/0/action") == "stat"
        assert not lane.active


def test_a_lane_that_becomes_protected_loses_its_scheme_in_the_kernel(node):
    process = node.spawn()
    intent = node.intent([(process, 50)])
    node.settle(intent)
    node.settle(replace(intent, protect_from=50, eager_up_to=0))
    (context,) = [k.context for k in node.emulator.kdamonds if k.running]
    assert [scheme.wanted.action for scheme in context.schemes] == ["stat"]


def test_a_change_of_the_set_of_pods_moves_the_marks_of_the_others(node):
    a, b, c = node.spawn(), node.spawn(), node.spawn()
    node.memory.set_free_permille(50)
    before = node.settle(node.intent([(a, 30), (b, 60)]))
    after = node.settle(node.intent([(a, 30), (b, 60), (c, 25)]))
    mark = {lane.priorities: lane.mark_permille for lane in after.lanes}
    assert mark[25,] == 600
    assert mark[60,] < before.lanes[1].mark_permille
    for lane in after.lanes:
        context = node.emulator.kdamonds[lane.kdamond].context
        assert context.schemes[1].wanted.watermarks.high == lane.mark_permille


def test_nothing_is_written_when_nothing_changes(node):
    intent = node.intent([(node.spawn(), 10), (node.spawn(), 50)])
    node.settle(intent)
    before = len(node.writes())
    node.keep_running(intent, 25_000_000)
    assert node.writes()[before:] == []


def test_one_change_costs_one_commit_and_leaves_no_dummy_region(node):
    a, b = node.spawn(), node.spawn()
    node.settle(node.intent([(a, 50)]))
    grown = node.intent([(a, 50), (b, 50)])
    node.settle(grown)
    node.keep_running(grown, 20_000_000)
    assert len(node.events("commit")) == 1
    assert node.read(f"{node.lane_of(b)}/contexts/0/targets/1/regions/nr_regions") == "0"


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


def test_lanes_do_not_take_each_others_slow_commands_for_a_fault(node):
    """Since 6.16 a command that waits for a sample holds the lock that every other lane needs."""
    slow = {"sample_us": 8_000_000, "aggregation_us": 24_000_000, "update_us": 8_000_000}
    members = [(node.spawn(), priority) for priority in (10, 50, 90)]
    node.settle(node.intent(members, **slow))
    grown = node.intent([*members, *((node.spawn(), p) for _, p in members)], **slow)
    seen = set()
    node.settle(grown, until=lambda report: seen.update(report.faults) or report.at_rest)
    assert seen == set()


@pytest.mark.parametrize("profile", ["6.18", "7.2"])
def test_a_lane_is_committed_in_the_step_that_collects_the_command_before(node_of, profile):
    node = node_of(profile)
    members = [(node.spawn(), priority) for priority in (30, 50, 90)]
    node.settle(node.intent(members))
    node.keep_running(node.intent(members), 20_000_000)
    grown = node.intent([*members, *((node.spawn(), p) for _, p in members)])
    for number in (1, 2, 3):
        node.step(grown)
        assert len(node.writes("commit")) == number
        node.sleep_until(
            node.emulator.now_us + 220_000
        )  # a sample: the command is done, and its thread rings
    assert node.settle(grown).at_rest


def test_the_counters_come_from_the_kernel_now_and_then(node):
    process = node.spawn()
    intent = node.intent([(process, 10)])
    node.settle(intent)
    report = node.keep_running(intent, 95_000_000)
    assert report.lanes[0].tried_bytes > 0
    assert report.at_rest
    assert 1 <= len(node.writes("update_schemes_stats")) <= 4


def test_more_priorities_than_kdamonds_share(node):
    members = [(node.spawn(), priority) for priority in range(5, 100, 8)]
    report = node.settle(node.intent(members))
    assert len(report.lanes) == 8
    assert node.targeted() == {process for process, _ in members}
    assert [p for lane in report.lanes for p in lane.priorities] == sorted(p for _, p in members)


def test_a_lane_nobody_is_in_any_more_is_switched_off(node):
    a, b = node.spawn(), node.spawn()
    node.settle(node.intent([(a, 30), (b, 60)]))
    node.settle(node.intent([(a, 30)]))
    assert node.targeted() == {a}
    assert len(node.kernel_targets()) == 1


@pytest.mark.parametrize("mode", [None, "Off"])
def test_off_gives_everything_back(node, mode):
    intent = node.intent([(node.spawn(), 30), (node.spawn(), 90)])
    node.settle(intent)
    report = node.settle(None if mode is None else replace(intent, mode="Off"))
    assert node.read("nr_kdamonds") == "0"
    assert report.lanes == ()
    assert not (node.state_dir / "record.json").exists()
    node.settle(intent)
    assert len(node.targeted()) == 2


def test_off_where_nothing_was_ever_on_touches_nothing(node):
    node.settle(None)
    assert node.writes() == []


def test_the_driver_lanes_leaves_every_target_priority_of_the_rfc_kernel_at_zero(node_of):
    node = node_of("rfc")
    members = [(node.spawn(), priority) for priority in (10, 50, 50, 90)]
    report = node.settle(node.intent(members))
    assert "target_priority" in report.features
    values = {
        value
        for path, value in node.emulator.snapshot().items()
        if path.endswith("target_priority")
    }
    assert values == {"0"}
    assert not [r for r in node.writes() if r.path.endswith("target_priority")]
    node.settle(None)
    node.settle(node.intent(members))
    assert not node.events("arm")


@pytest.mark.parametrize("profile", ["6.1", "6.12", "6.18", "7.2", "rfc"])
def test_every_kernel_gets_a_process_in_and_out(node_of, profile):
    node = node_of(profile)
    a, b = node.spawn(), node.spawn()
    node.settle(node.intent([(a, 10), (b, 50)]))
    node.settle(node.intent([(a, 50), (b, 10)]))
    assert node.targeted() == {a, b}
    node.settle(node.intent([(b, 10)]))
    assert node.targeted() == {b}
    node.settle(None)
    assert node.read("nr_kdamonds") == "0"
