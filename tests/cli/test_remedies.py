"""Every reason that can be given has a line that says what to do."""

from damon_cli.remedies import REMEDIES
from damon_contract.v1alpha1.node import NodeReason
from damon_operator import facts
from damon_operator.planner import plan, tally
from damon_operator.planner.rollout import RolloutReason
from damon_operator.planner.status import Reason


def test_every_reason_has_a_remedy_and_no_remedy_is_for_nothing():
    reasons = {reason.value for kind in (NodeReason, Reason, RolloutReason) for reason in kind}
    of_the_operator = {*tally.REASONS, facts.NOT_LINUX, facts.VIRTUAL_NODE, plan.AGENT_NOT_STARTED}
    assert set(REMEDIES) == reasons | of_the_operator
