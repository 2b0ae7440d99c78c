"""How a changed tuning would reach its nodes: by the operator's own rules of a rollout. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from damon_contract.quantities import share_of
from damon_contract.v1alpha1.rollout import Rollout
from damon_operator.facts import Tuning
from damon_operator.planner.plan import NodePlan
from damon_operator.planner.rollout import before, unknown_standing


class Course(StrEnum):
    """How a changed tuning goes on from here."""

    IN_TURN = "InTurn"
    """A few nodes at a time take it."""
    PAUSED = "Paused"
    """No further node takes it, until that is taken back."""
    AT_ONCE = "AtOnce"
    """Nobody has to wait."""


@dataclass(frozen=True)
class RolloutForecast:
    """What a rollout would do with one changed tuning."""

    tuning: str
    course: Course
    nodes: int | None
    """How many it would govern; None: not all nodes were looked at."""
    nodes_at_a_time: int | None
    """How many of these may be taking it at the same time; None: they are a share of all nodes, and
    not all were looked at."""
    says: str


def rollouts(
    tunings: Collection[Tuning], made: Collection[NodePlan], *, whole: bool
) -> Iterator[RolloutForecast]:
    """Yield what becomes of those tunings that have a rollout.

    `made` are the plans that come of them; `whole`: those of all nodes of the cluster.
    """
    for tuning in tunings:
        if tuning.spec is None or tuning.spec.rollout is None:
            continue
        governed = sum(1 for each in made if each.spec and each.spec.tuning == tuning.name)
        nodes = governed if whole else None
        if unknown := unknown_standing(tuning):
            says = f"halted: what stood last cannot be read ({unknown}), so nodes keep their plans"
            yield RolloutForecast(tuning.name, Course.PAUSED, nodes, 0, says)
        elif before(tuning) is None:
            says = f"{_why_at_once(tuning)}: {_all(nodes)} at once"
            yield RolloutForecast(tuning.name, Course.AT_ONCE, nodes, nodes, says)
        elif tuning.spec.rollout.paused:
            says = "paused (rollout.paused): no node takes it that does not have it already"
            yield RolloutForecast(tuning.name, Course.PAUSED, nodes, 0, says)
        else:
            most = _most(tuning.spec.rollout, nodes)
            says = _in_turn(tuning.spec.rollout, nodes, most)
            yield RolloutForecast(tuning.name, Course.IN_TURN, nodes, most, says)


def _why_at_once(tuning: Tuning) -> str:
    if tuning.spec is not None and tuning.spec.mode == "Off":
        return "mode Off never waits"
    if tuning.status is None or tuning.status.standing is None:
        return "nothing stood before it"
    return "it is what stands already"


def _all(nodes: int | None) -> str:
    return "all of its nodes have it" if nodes is None else f"all of its {nodes} nodes have it"


def _most(asked: Rollout, nodes: int | None) -> int | None:
    if nodes is not None:
        return min(nodes, share_of(nodes, asked.max_nodes))
    return asked.max_nodes if isinstance(asked.max_nodes, int) else None


def _in_turn(asked: Rollout, nodes: int | None, most: int | None) -> str:
    some = asked.max_nodes if most is None else most
    of = "its" if nodes is None else f"its {nodes}"
    return (
        f"at most {some} of {of} nodes are taking it at a time; a node is done after "
        f"{asked.min_ready} of Ready with it"
    )
