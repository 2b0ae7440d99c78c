"""How long a node has been well with the revision that it has, or has not carried it out. Pure."""

from typing import Final, NamedTuple

from damon_contract.quantities import microseconds
from damon_contract.v1alpha1.rollout import Rollout
from damon_operator.planner.rollout import trouble
from damon_operator.planner.tally import PLAN_PENDING, Row

LATE_S: Final = 300.0
"""A node that takes this much longer than `rollout.minReady` to carry out a revision is late. An
agent needs seconds for it, and 90 s at most to notice that its watch has gone silent."""


class Course(NamedTuple):
    """How a node does with a revision, as this process has seen it.

    One that begins anew has seen nothing, so it waits once more.
    """

    revision: str
    ready: bool
    """Whether the node has carried it out, and has been well with it since."""
    since_s: float
    """Since when it is ready, or is not."""
    settled: bool
    """Whether it has been ready for `rollout.minReady`."""
    late: bool
    heard: bool
    """Whether its agent has reported on a plan of this revision. Until then it speaks of the one
    before, which this one may cure."""

    def of(self, row: Row) -> Row:
        """Return the row with what this says of it."""
        return row._replace(settled=self.settled, late=self.late, heard=self.heard)


def course(before: Course | None, row: Row, rollout: Rollout, now_s: float) -> Course:
    """Return how a node does by now.

    Pods that come and go take nothing back: the agent is behind for a moment. A node that is not
    well, or of which nothing is reported any more, begins anew when it is well.
    """
    if before is not None and before.revision != row.revision:
        before = None
    heard = PLAN_PENDING not in row.reasons or (before is not None and before.heard)
    ill = row.unreported or bool(trouble(row, rollout.max_spared_permille))
    ready = not ill and (row.applied or (before is not None and before.ready))
    since_s = before.since_s if before is not None and before.ready == ready else now_s
    long_s, asked_s = now_s - since_s, microseconds(rollout.min_ready) / 1_000_000
    carried_out = row.applied or (before is not None and before.settled)
    settled = ready and carried_out and long_s >= asked_s
    late = not settled and long_s >= asked_s + LATE_S
    return Course(row.revision, ready, since_s, settled, late, heard)
