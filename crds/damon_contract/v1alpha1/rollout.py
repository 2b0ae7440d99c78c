"""How a changed DamonTuning reaches its nodes, and how far it has come (docs/adr/0023)."""

from typing import Annotated

from pydantic import Field

from damon_contract.quantities import Duration, IntOrPercent, Permille
from damon_contract.v1alpha1.bounds import within
from damon_contract.v1alpha1.model import Model


class Rollout(Model):
    """How a changed tuning reaches its nodes: a few at a time, in an order that stays the same.

    What counts as a change is told in docs/operations.md. mode Off never waits.
    """

    max_nodes: IntOrPercent = 1
    """So many nodes at once may have taken the changed tuning and not be done with it: a
    number, or a share of the governed nodes such as "10%", rounded down, but at least one."""
    min_ready: Annotated[
        Duration, within("0s", "24h", "what a change does to pods shows within minutes")
    ] = "1m"
    """How long a node has to be Ready with it before it counts as done."""
    max_spared_permille: Permille = 500
    """Share of the running pods of a node that the brake may be sparing; a node that has taken the
    change and is above it halts the rollout. 1000: never for that."""
    paused: bool = False
    """Whether no further node takes the change. Those that have it keep it."""


class RolloutStatus(Model):
    """How far the newest spec has come."""

    revision: Annotated[str, Field(max_length=64)]
    """Digest of the newest spec, as the label damon-operator.io/revision of DamonNodes has it."""
    updated: int
    """Governed nodes whose plan is of this revision."""
    ready: int
    """How many of these have carried it out."""
