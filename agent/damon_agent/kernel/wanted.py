"""What a lane is asked to be. Pure."""

from dataclasses import dataclass, field, replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel.policy import RECLAIM, Spacing
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree import Context, Scheme, targets

GRACE_US: Final = 5_000_000
"""Beyond the kernel's own intervals, after which a command counts as hung."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a lane should be."""

    processes: tuple[Process, ...]
    """Its members, without those that another kdamond may still carry."""
    schemes: tuple[Scheme, ...]
    sample_us: int
    aggregation_us: int
    update_us: int
    spacing: Spacing
    cold_age: int
    """Aggregations without access after which a region is cold."""
    asleep: bool = field(default=False, compare=False)
    """Whether its watermarks keep the acting scheme from acting now."""

    def context(self, slots: Slots) -> Context:
        """Return all that the kdamond is told, for a list of slots."""
        return Context(
            self.sample_us, self.aggregation_us, self.update_us, targets(slots), self.schemes
        )

    @property
    def watching(self) -> "Wanted":
        """The same without the scheme that acts."""
        return replace(self, schemes=self.schemes[:RECLAIM])

    @property
    def patience_us(self) -> int:
        """How long a command may take: two rounds of everything the kdamond does, and then some."""
        return 2 * (self.sample_us + self.aggregation_us + self.update_us) + GRACE_US
