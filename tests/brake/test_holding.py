"""What of the limits of a node is remembered, and for how long."""

import pytest
from cluster_objects import planned_node, planned_pod

from damon_agent.brake.holding import Holding
from damon_agent.facts import MemoryReading, PodSwap
from damon_agent.node.resolver import Resolution
from damon_contract.v1alpha1.node import DamonNodeSpec

MEMORY = MemoryReading(16 << 30, 8 << 30, 8 << 30, 8 << 30, 0, 4096, swap_free_bytes=8 << 30)
NOTHING = Resolution({}, frozenset())
MIB, S = 1 << 20, 1_000_000


def spec(**safety):
    pod = planned_pod(1, "a1" * 32, priority=10)
    settings = {"safety": safety}
    node = planned_node(pod, mode="Enforce", hash="h", settings=settings)
    return DamonNodeSpec.model_validate(node["spec"])


LIMITED, FREE = spec(maxReclaimPerMinute="100Mi"), spec()
(POD,) = LIMITED.pods


class Node:
    """Lets a Holding look at what a pod has given up, as the loop does."""

    def __init__(self):
        self.holding = Holding()
        self.swap = {}

    def read(self, given_up_mib):
        self.swap = {POD.uid: PodSwap(given_up_mib * MIB, 0)}

    def look(self, at_s, plan=LIMITED):
        self.holding.look(plan, NOTHING, MEMORY, self.swap, at_s * S)
        return self.holding.why


@pytest.fixture
def node():
    return Node()


def test_what_went_within_a_minute_holds_a_node(node):
    node.read(0)
    assert not node.look(0)
    node.read(101)
    assert "101 MiB were given up within a minute" in node.look(60)
    assert node.look(65), "until there is another reading"
    node.read(101)
    assert not node.look(120)


def test_a_limit_that_comes_back_is_judged_by_the_minute_before(node):
    """And not by all that has gone since there was a limit last."""
    node.read(0)
    node.look(0)
    for minute in range(1, 120):
        node.read(0)
        node.look(60 * minute, FREE)
    node.read(900)
    assert "900 MiB" in node.look(60 * 120)


def test_a_reading_is_as_old_as_it_is_when_a_limit_comes(node):
    """What went in a minute is not taken for what went in the seconds since the limit is there."""
    node.read(0)
    node.look(0, FREE)
    node.look(50, FREE)
    node.look(55)
    node.read(90)
    assert not node.look(60)


def test_readings_that_are_far_apart_say_nothing_of_a_minute(node):
    node.read(0)
    node.look(0)
    node.read(20_000)
    assert not node.look(7200)
    node.read(20_150)
    assert "150 MiB" in node.look(7260)


def test_without_a_plan_everything_is_forgotten(node):
    """A node that is near a limit is not held for what was before."""
    node.read(0)
    node.look(0)
    node.read(200)
    assert node.look(60)
    node.holding.forget()
    assert not node.holding.why
    node.read(280)
    assert not node.look(90)
    node.read(350)
    assert not node.look(150)
