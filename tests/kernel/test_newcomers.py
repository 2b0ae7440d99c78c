"""Newcomers get into the kernel soon, one after the other, and what can wait waits for them."""

import random

import pytest

from damon_agent.kernel.tree.commands import Keyword

SAMPLE_US = 220_000


@pytest.mark.parametrize("profile", ["6.18", "7.2"])
def test_who_comes_right_after_a_commit_is_in_the_kernel_within_a_second(node_of, profile):
    node = node_of(profile)
    members = [(node.spawn(), 50)]
    node.settle(node.intent(members))
    node.keep_running(node.intent(members), 20_000_000)
    for _ in range(5):
        members.append((node.spawn(), 50))
        came_us = node.emulator.now_us
        node.settle(node.intent(members), until=lambda _: members[-1][0] in node.targeted())
        assert node.emulator.now_us - came_us < 1_000_000


@pytest.mark.parametrize("free_permille", [950, 100], ids=["asleep", "awake"])
@pytest.mark.parametrize("seed", [1, 2])
def test_99_of_100_starts_five_at_a_time_are_in_the_kernel_within_a_second(
    node_of, seed, free_permille
):
    """What driver and kernel add to a start; looking and writing cost nothing here."""
    chance = random.Random(seed)
    node = node_of("7.2")
    node.memory.set_free_permille(free_permille)
    priorities = (25, 35, 45, 55, 65)
    members = [(node.spawn(), priority) for priority in priorities]
    node.settle(node.intent(members))
    waits_us: list[int] = []
    for _ in range(20):
        begun_us = node.emulator.now_us
        coming = [(begun_us + chance.randrange(1_500_000), p) for p in priorities]
        came_us = {}
        while coming or came_us or node.emulator.now_us < begun_us + 2_500_000:
            for at_us, priority in [one for one in coming if one[0] <= node.emulator.now_us]:
                came = node.spawn()
                members.append((came, priority))
                came_us[came] = at_us
                coming.remove((at_us, priority))
            node.step(node.intent(members))  # the loop is rung by each plan and each command's end
            here = came_us.keys() & node.targeted()
            waits_us.extend(node.emulator.now_us - came_us.pop(process) for process in here)
            node.emulator.advance(40_000)
    assert len(waits_us) == 100
    assert sorted(waits_us)[98] < 1_000_000


@pytest.mark.parametrize(("mode", "commits"), [("Observe", 1), ("Enforce", 2)])
def test_only_a_scheme_that_would_act_is_away_while_its_lane_changes(node_of, mode, commits):
    node = node_of("7.2")
    node.memory.set_free_permille(900)
    members = [(node.spawn(), 50)]
    node.settle(node.intent(members, mode=mode))
    node.keep_running(node.intent(members, mode=mode), 10_000_000)
    before = len(node.events("commit"))
    members.append((node.spawn(), 50))
    node.settle(node.intent(members, mode=mode))
    assert len(node.events("commit")) == before + commits


def test_nothing_that_can_wait_is_asked_of_the_kernel_while_somebody_waits_to_get_in(node_of):
    chance = random.Random(1)
    node = node_of("7.2")
    node.memory.set_free_permille(900)
    priorities = (25, 45, 65)
    members = [(node.spawn(), priority) for priority in priorities]
    node.settle(node.intent(members))
    calm, hurried = set(), []
    start = node.commands.start

    def started(kdamond, keyword, *rest):
        waiting = {str(process.pid) for process, _ in members} - {
            str(process.pid) for process in node.targeted()
        }
        targets = f"{kdamond}/contexts/0/targets"
        told = {
            node.read(f"{targets}/{index}/pid_target")
            for index in range(int(node.read(f"{targets}/nr_targets")))
        }
        if not waiting:
            calm.add(keyword)
        elif not waiting & told:
            hurried.append((node.emulator.now_us, kdamond, keyword, waiting))
        return start(kdamond, keyword, *rest)

    node.commands.start = started
    for _ in range(150):
        members.append((node.spawn(), chance.choice(priorities)))
        node.keep_running(node.intent(members), chance.randrange(3_000_000))
    assert not hurried
    assert calm >= {Keyword.COMMIT, Keyword.UPDATE_SCHEMES_STATS}, "they are asked between"


def test_dummy_regions_are_taken_back_when_nobody_waits_to_get_in(node_of):
    """It reads all that was written, which nobody has to wait for."""
    node = node_of("7.2")
    members = [(node.spawn(), 25), (node.spawn(), 65)]
    node.settle(node.intent(members))
    node.keep_running(node.intent(members), 5_000_000)
    came = [(node.spawn(), 25), (node.spawn(), 65)]
    members.extend(came)

    def dummies():
        paths = (f"{lane}/contexts/0/targets/1/regions/nr_regions" for lane in range(2))
        return [node.read(path) for path in paths]

    for count in (1, 2):
        node.settle(
            node.intent(members),
            until=lambda _, count=count: len(node.targeted() & dict(came).keys()) == count,
        )
        if count == 1:
            assert dummies().count("1") == 2, "one is in, one is written"
    node.settle(node.intent(members))
    assert dummies() == ["0", "0"]
    node.check()


def test_a_newcomer_need_not_wait_for_a_scheme_that_has_just_come_back(node_of):
    node = node_of("7.2")
    node.memory.set_free_permille(900)
    members = [(node.spawn(), 50)]
    node.settle(node.intent(members))
    members.append((node.spawn(), 50))
    node.settle(node.intent(members))
    assert node.read("0/contexts/0/schemes/nr_schemes") == "2"
    came_us = node.emulator.now_us
    members.append((node.spawn(), 50))
    node.settle(node.intent(members), until=lambda _: members[-1][0] in node.targeted())
    assert node.events("commit")[-1].time_us - came_us <= SAMPLE_US
