"""What the planned pods of a node, or of many nodes, add up to: for people, and to be added up."""

from typing import Annotated, Final, NamedTuple, Self

from pydantic import Field

from damon_contract.quantities import Size, shown_size, size_bytes
from damon_contract.v1alpha1.model import Model

MAX_SUM_BYTES: Final = (10**12 - 1) * 2**30
"""The largest size that is written in Gi with as many digits as a `Size` has."""


class Sums(NamedTuple):
    """Sums over pods, and on how many nodes each size is known."""

    running: int = 0
    spared: int = 0
    cold_bytes: int = 0
    given_up_bytes: int = 0
    refaulted_bytes: int = 0
    cold_known: int = 0
    given_up_known: int = 0
    refaulted_known: int = 0

    def plus(self, other: "Sums", sign: int = 1) -> "Sums":
        """Return the sums with those of another node added, or taken away again (-1)."""
        return Sums(*(mine + sign * its for mine, its in zip(self, other, strict=True)))


NOTHING: Final = Sums()


class Totals(Model):
    """Planned pods in one line, sizes as people write them."""

    pods: Annotated[int, Field(ge=0)] = 0
    """Planned pods."""
    running: Annotated[int, Field(ge=0)] = 0
    """Planned pods with processes that are targets."""
    spared: Annotated[int, Field(ge=0)] = 0
    """Pods that the brake keeps from being reclaimed for a while."""
    cold: Size | None = None
    """Memory that nothing has touched for `reclaim.minAge`, as far as it is known; absent while it
    is known of no pod."""
    given_up: Size | None = None
    """Anonymous memory that is out in swap now, whoever took it."""
    refaulted: Size | None = None
    """Anonymous memory that was out in swap and came back, of the pods that are there now."""

    @classmethod
    def of(cls, pods: int, figures: Sums) -> Self:
        """Return sums as people read them; what is known nowhere is absent, not 0.

        A sum of more than can be written is the most that can be.
        """

        def shown(size_bytes: int, known: int) -> str | None:
            return shown_size(min(size_bytes, MAX_SUM_BYTES)) if known else None

        return cls(
            pods=pods,
            running=figures.running,
            spared=figures.spared,
            cold=shown(figures.cold_bytes, figures.cold_known),
            given_up=shown(figures.given_up_bytes, figures.given_up_known),
            refaulted=shown(figures.refaulted_bytes, figures.refaulted_known),
        )

    def figures(self) -> Sums:
        """Return what one node says, to be added up."""
        sizes = (self.cold, self.given_up, self.refaulted)
        return Sums(
            self.running,
            self.spared,
            *(size_bytes(size or "0") for size in sizes),
            *(int(size is not None) for size in sizes),
        )
