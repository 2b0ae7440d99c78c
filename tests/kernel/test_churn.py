"""Pods that start, fork and end without a pause keep nothing from the others."""

import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from damon_agent.facts import Process
from damon_agent.kernel.intent import Intent, Member
from damon_agent.kernel.report import Report

AGGREGATION_US = 2_000_000


@pytest.mark.parametrize(("profile", "aggregations"), [("6.12", 6), ("7.2", 3)])
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rounds=st.lists(
        st.tuples(
            st.integers(100_000, 3_000_000),
            st.lists(st.sampled_from([10, 30, 50, 70, 90]), max_size=3),
            st.integers(0, 3),
        ),
        min_size=5,
        max_size=25,
    )
)
def test_under_any_schedule_every_lane_carries_what_it_should_within_three_aggregations(
    node_of, profile, aggregations, rounds
):
    """Up to 6.12 a commit waits for the end of an aggregation, and lanes wait for each other."""
    node = node_of(profile)
    members: dict = {node.spawn(): 50, node.spawn(): 90}
    since_us: dict = {}
    for us, starts, ends in rounds:
        for process in [p for p in members if node.is_alive(p)][2 : 2 + ends]:
            node.processes.kill(process.pid)
            del members[process]
        members.update({node.spawn(): priority for priority in starts})

        def check() -> None:
            node.check()
            now_us = node.emulator.now_us
            missing = {p for p in members if node.is_alive(p)} - node.targeted()
            for process in list(since_us):
                if process not in missing:
                    del since_us[process]
            for process in missing:
                since_us.setdefault(process, now_us)
            late = [p for p in missing if now_us - since_us[p] > aggregations * AGGREGATION_US]
            assert not late

        node.keep_running(node.intent(members.items()), us, check=check)


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_pods_that_loop_leave_the_lanes_of_others_as_they_are_and_a_new_plan_is_applied(
    node_of, profile
):
    """A pod with `sleep 1` in a loop kept its node Applying for as long as it lived."""
    chance = random.Random(1)
    node = node_of(profile)
    stay = [(node.spawn(), priority) for priority in (25, 45, 65, 90)]
    loops = {number: node.spawn() for number in range(10)}
    plan, applied_us = "first", None

    def intent():
        looping = [(p, 25 + 10 * (n % 5)) for n, p in loops.items() if node.is_alive(p)]
        return node.intent([*stay, *looping], plan=plan)

    def live(us: int) -> list:
        end_us, reports = node.emulator.now_us + us, []
        while node.emulator.now_us < end_us:
            number = chance.randrange(10)
            node.processes.kill(loops[number].pid)
            loops[number] = node.spawn()
            reports.append(node.keep_running(intent(), chance.randrange(100_000, 400_000)))
        return reports

    live(15_000_000)
    assert all(report.applied for report in live(60_000_000)), "judged per plan, not per moment"
    plan, changed_us = "second", node.emulator.now_us
    for report in live(10_000_000):
        if report.applied and applied_us is None:
            applied_us = node.emulator.now_us
    assert applied_us is not None
    assert {p for p, _ in stay} <= node.targeted()
    for process, priority in stay:
        schemes = node.read(f"{node.lane_of(process)}/contexts/0/schemes/nr_schemes")
        assert schemes == ("1" if priority == 90 else "2"), "no scheme is kept away"
    assert changed_us < applied_us


def test_ninety_nine_of_a_hundred_starts_are_in_the_kernel_within_three_seconds(node_of):
    chance = random.Random(1)
    node = node_of("7.2")
    members = [(node.spawn(), priority) for priority in (25, 35, 45, 55, 65)]
    node.settle(node.intent(members))
    waits_us: list[int] = []
    came_us: dict = {}

    def look() -> None:
        now_us = node.emulator.now_us
        waits_us.extend(now_us - came_us.pop(p) for p in came_us.keys() & node.targeted())

    for _ in range(100):
        process = node.spawn()
        members.append((process, chance.choice((25, 35, 45, 55, 65))))
        came_us[process] = node.emulator.now_us
        node.keep_running(node.intent(members), chance.randrange(1_500_000), check=look)
    node.keep_running(node.intent(members), 6_000_000, check=look)
    assert len(waits_us) == 100
    assert sorted(waits_us)[98] < 3_000_000


LOOK_US = 200_000
"""How soon after an exit the agent looks for processes again."""


@dataclass
class Shell:
    """A pod with `while :; do sleep N; done`: one process that stays, and one that never does."""

    uid: str
    priority: int
    life_us: int
    process: Process
    child: Process | None = None
    until_us: int = 0


class Shells:
    """A node whose pods all are such shells."""

    def __init__(self, node, lives_us) -> None:
        self.node = node
        self.plan = "first"
        self.shells = [
            Shell(f"shell-{n}", 25 + 10 * (n % 5), life_us, node.spawn())
            for n, life_us in enumerate(lives_us)
        ]

    def intent(self) -> Intent:
        members = []
        for shell in self.shells:
            held = [p for p in (shell.process, shell.child) if p is not None]
            living = [p for p in held if self.node.is_alive(p)]
            members += [Member(p, shell.uid, shell.priority) for p in living]
        return replace(self.node.intent(plan=self.plan), members=tuple(members))

    def live(self, us: int) -> list[Report]:
        """Let time pass, and return the report of each look."""
        node, reports = self.node, []
        end_us = node.emulator.now_us + us
        while (now_us := node.emulator.now_us) < end_us:
            looked = self.intent()
            next_us = now_us + LOOK_US
            while (now_us := node.emulator.now_us) < next_us:
                for shell in self.shells:
                    if now_us >= shell.until_us:
                        if shell.child is not None:
                            node.processes.kill(shell.child.pid)
                        shell.child, shell.until_us = node.spawn(), now_us + shell.life_us
                due_us = min(next_us, *(shell.until_us for shell in self.shells))
                report = node.keep_running(looked, due_us - now_us)
            reports.append(report)
        return reports

    def commits(self) -> list:
        return [record for record in self.node.writes("commit") if record.path.endswith("state")]


@pytest.mark.parametrize("swap_bytes", [0, 8 << 30])
@pytest.mark.parametrize("profile", ["6.12", "7.2"])
def test_ten_shells_that_loop_do_not_keep_a_new_plan_from_being_applied(
    node_of, profile, swap_bytes
):
    """Without swap all lanes sample every 0.88 s, and three of four commits were refused."""
    shells = Shells(node_of(profile, swap_bytes=swap_bytes), range(500_000, 5_500_000, 500_000))
    shells.live(60_000_000)
    shells.plan = "second"
    applied = [report.applied for report in shells.live(10_000_000)]
    assert applied[-1]
    assert applied == sorted(applied), "judged per plan, not per moment"
    assert {shell.process for shell in shells.shells} <= shells.node.targeted()


@pytest.mark.parametrize("profile", ["6.12", "7.2"])
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    lives_us=st.lists(st.integers(50_000, 9_000_000), min_size=1, max_size=8),
    swap_bytes=st.sampled_from([0, 8 << 30]),
)
@example(lives_us=[265_076, 295_746, 94_531], swap_bytes=0)
@example(lives_us=[117_109], swap_bytes=0)
def test_whatever_the_lives_of_processes_those_that_stay_are_carried_and_no_commit_is_lost_on_them(
    node_of, profile, lives_us, swap_bytes
):
    shells = Shells(node_of(profile, swap_bytes=swap_bytes), lives_us)
    node = shells.node
    # After the first survey: clearing it away takes the emulator a second in which nobody ends, so
    # that one process lives for longer than any before, and up to 6.12 the answer to that commit.
    shells.live(50_000_000)
    sent, stops = len(shells.commits()), len(node.events("stop"))
    shells.live(15_000_000)
    late = shells.commits()[sent:]
    assert len(late) <= 8, "no lane is rewritten for what comes and goes"
    assert not [record for record in late if record.code]
    assert len(node.events("stop")) == stops, "no kdamond ends of it"
    assert {shell.process for shell in shells.shells} <= node.targeted()
    newcomer = Shell("newcomer", 45, 1 << 40, node.spawn())
    shells.shells.append(newcomer)
    aggregations = (6 if profile == "6.12" else 3) * (1 if swap_bytes else 4)
    shells.live(aggregations * AGGREGATION_US)
    assert newcomer.process in node.targeted(), "nobody waits for another pod's processes"
