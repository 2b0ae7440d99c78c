"""Which DamonTuning governs a node."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from damon_operator.facts import Labels, Tuning


class Choice(NamedTuple):
    """The tunings that match a node, the governing one first."""

    matching: tuple[str, ...]
    governor: Tuning | None


def ranked(tunings: Iterable[Tuning]) -> tuple[Tuning, ...]:
    """Return the valid tunings in the order in which they are asked.

    Highest precedence first, then the older one, then the name.
    """
    return tuple(
        sorted(
            (tuning for tuning in tunings if tuning.spec is not None),
            key=lambda t: (-t.spec.precedence if t.spec else 0, t.created, t.name),
        )
    )


def choose(tunings: Sequence[Tuning], labels: Labels) -> Choice:
    """Return what governs a node with these labels; `tunings` come from `ranked`."""
    here = set(labels)
    matching = [
        tuning
        for tuning in tunings
        if tuning.spec is not None and here.issuperset(tuning.spec.node_selector.items())
    ]
    return Choice(tuple(t.name for t in matching), matching[0] if matching else None)
