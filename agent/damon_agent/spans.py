"""Fixed spans of priorities, by which metrics are told. Pure.

Lanes follow the pods of a node; a series that did so as well would end whenever a pod of a new
priority starts. A span is a decade of priorities, as far as they have one role.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from damon_agent.kernel.ladder import Role
from damon_contract.priorities import HIGHEST, LOWEST

_DECADE = 10


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring priorities of one role."""

    role: Role
    first: int
    last: int

    def __contains__(self, priority: int) -> bool:
        return self.first <= priority <= self.last

    @property
    def text(self) -> str:
        """Both ends, as a label has them."""
        return f"{self.first}-{self.last}"


def spans(protect_from: int, eager_up_to: int) -> Iterator[Span]:
    """Yield the spans, least important first; each priority is in exactly one of at most twelve."""
    roles: tuple[tuple[Role, int, int], ...] = (
        ("Eager", LOWEST, eager_up_to),
        ("Ladder", eager_up_to + 1, protect_from - 1),
        ("Protected", protect_from, HIGHEST),
    )
    for decade in range(LOWEST, HIGHEST + 1, _DECADE):
        for role, first, last in roles:
            span = Span(role, max(first, decade), min(last, decade + _DECADE - 1))
            if span.first <= span.last:
                yield span
