"""What a lane is asked to be. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel import schemes
from damon_agent.kernel.availability import Availability
from damon_agent.kernel.intent import Intent, longest_min_age_us
from damon_agent.kernel.lanes.bands import Band
from damon_agent.kernel.schemes import RECLAIM
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree.context import Context, Scheme, targets
from damon_agent.kernel.tree.features import Features

GRACE_US: Final = 5_000_000
"""Beyond the kernel's own intervals, after which a command counts as hung."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a lane should be."""

    plan: str
    """Hash of the plan that it is wanted for."""
    processes: tuple[Process, ...]
    """Its members, without those that another kdamond may still carry."""
    is_whole: bool
    """Whether nobody is left out for that reason."""
    schemes: tuple[Scheme, ...]
    sample_us: int
    aggregation_us: int
    update_us: int
    page_bytes: int
    spacing_us: int
    """Shortest time from one commit to the next."""
    allowance: int
    """Applications of the acting scheme within `safety.maxPlanAge`, for each target."""
    cold_age: int
    """Aggregations without access after which a region is cold."""
    grown_us: Mapping[Process, int]
    """When processes of it were seen to have grown, of those that have."""

    @property
    def patience_us(self) -> int:
        """How long a command may take: two rounds of everything the kdamond does, and then some."""
        return 2 * (self.sample_us + self.aggregation_us + self.update_us) + GRACE_US

    def context(self, slots: Slots, counted: int = 0, limit: int = 0) -> Context:
        """Return all that the kdamond is told, for a list of slots.

        `counted` and `limit` are the snapshots of the acting scheme as the kernel last counted
        them, and the most of them that it was last allowed.
        """
        told = self.schemes
        if len(told) > RECLAIM:
            allowance = self.allowance * len(slots.slots)
            most = schemes.most_snapshots(told[RECLAIM], counted, limit, allowance)
            told = (*told[:RECLAIM], replace(told[RECLAIM], most_snapshots=most))
        return Context(
            self.sample_us,
            self.aggregation_us,
            self.update_us,
            targets(slots),
            told,
            self.page_bytes,
        )


def wanted(
    intent: Intent,
    band: Band,
    memory: Availability,
    features: Features,
    *,
    processes: tuple[Process, ...],
    is_whole: bool,
) -> Wanted:
    """Return what the lane of a band should be."""
    slowness = schemes.slowness(intent, band.role)
    aggregation_us = intent.aggregation_us * slowness
    return Wanted(
        plan=intent.plan,
        processes=processes,
        is_whole=is_whole,
        schemes=schemes.schemes(
            intent,
            band.role,
            band.mark_permille,
            memory,
            min_age_us=longest_min_age_us(intent, band.priorities),
        ),
        sample_us=intent.sample_us * slowness,
        aggregation_us=aggregation_us,
        update_us=intent.update_us * slowness,
        page_bytes=intent.memory.page_bytes,
        spacing_us=schemes.commit_spacing_us(intent, band.role, features),
        allowance=max(1, intent.max_plan_age_us // aggregation_us),
        cold_age=schemes.cold_age(intent, band.role),
        grown_us={each: intent.grown_us[each] for each in processes if each in intent.grown_us},
    )
