"""What `plan` says: the whole of it, as it is shown and as it is documented."""

from dataclasses import dataclass

from damon_cli.plan.forecast import Forecast
from damon_cli.plan.ladders import NodeLadder
from damon_cli.plan.rollouts import RolloutForecast


@dataclass(frozen=True)
class Refusal:
    """A DamonTuning that would not be taken, and why."""

    tuning: str
    by: str
    """The operator's schema, or the API server."""
    message: str
    """Each fault with the path of its field."""


@dataclass(frozen=True)
class PlanAnswer:
    """What a tuning would change."""

    given: tuple[str, ...]
    """Names of the DamonTunings asked about; empty: what stands."""
    refused: tuple[Refusal, ...]
    unchecked: str | None
    """Why the API server was not asked whether it would take them; None: it was."""
    forecast: Forecast
    ladders: tuple[NodeLadder, ...]
    """Of some nodes."""
    rollouts: tuple[RolloutForecast, ...]
    """Of the tunings asked about that have one and would be taken: how they reach their nodes."""
