"""Giving everything back while a long page-out keeps a lane from ending."""

import pytest

PROFILES = ["6.1", "6.12", "6.18", "7.2"]


@pytest.fixture
def busy_of(node_of):
    """Return a machine in the middle of a page-out that takes a minute, and its members."""

    def of(profile):
        node = node_of(profile)
        node.memory.page_out_us_per_mib = 1_000_000
        node.spent_us = lambda _pid: node.emulator.now_us // 2
        node.restart()
        members = [(node.spawn(), 10), (node.spawn(), 50), (node.spawn(), 90)]
        node.settle(node.intent(members))
        while not any(kdamond.busy for kdamond in node.emulator.kdamonds):
            node.keep_running(node.intent(members), 1_000_000)
        return node, members

    return of


@pytest.mark.parametrize("profile", PROFILES)
def test_what_waits_for_our_own_off_is_looked_at_twice_a_second_and_blames_nobody(busy_of, profile):
    node, _ = busy_of(profile)
    before = node.steps
    report = node.keep_running(None, 20_000_000)
    assert any(kdamond.busy for kdamond in node.emulator.kdamonds)
    assert node.steps - before <= 45
    assert report.faults == ()
    assert node.settle(None).applied


@pytest.mark.parametrize("profile", PROFILES)
def test_so_it_is_when_the_plan_is_back_before_everything_is(busy_of, profile):
    node, members = busy_of(profile)
    node.step(None)
    before = node.steps
    report = node.keep_running(node.intent(members), 20_000_000)
    assert any(kdamond.busy for kdamond in node.emulator.kdamonds)
    assert node.steps - before <= 45
    assert report.faults == ()
    assert node.settle(node.intent(members)).faults == ()
    assert len(node.targeted()) == 3
