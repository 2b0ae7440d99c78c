"""Which change of an object's conditions is worth an Event. Pure.

Conditions say what is the case; an Event says that it has become so. Told is that something holds
an object back, each cause once while it lasts, and that it is well again. What passes by itself
within seconds, with every new plan, is not told.
"""

from collections.abc import Collection
from typing import Final, NamedTuple, Protocol

from damon_contract.v1alpha1.node import NodeReason
from damon_operator.planner.priorities import Note, NoteKind
from damon_operator.planner.rollout import RolloutReason
from damon_operator.planner.tally import PASSING

WELL: Final = ""
"""Stands for no cause."""

_PASSING: Final = PASSING | {RolloutReason.ROLLING_OUT.value}
_AS_IT_SHOULD_BE: Final = frozenset({NodeReason.APPLIED.value, NodeReason.OFF.value})


class Told(Protocol):
    """A condition, as it is read from an object or about to be written."""

    @property
    def type(self) -> str: ...  # noqa: D102 - as in the API
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def message(self) -> str: ...  # noqa: D102


class Transition(NamedTuple):
    """What an object is held back by now, and the Event that says so."""

    cause: str | None
    """None: not known yet."""
    note: Note | None


def transition(before: str | None, conditions: Collection[Told], kind: NoteKind) -> Transition:
    """Return what follows from the conditions after `before`; None: it is seen for the first time.

    What is the case at first sight is no transition: an operator that starts tells nothing anew.
    """
    ready = next((c for c in conditions if c.type == "Ready"), None)
    if ready is None or (ready.status != "True" and ready.reason in _PASSING):
        return Transition(before, None)
    cause = WELL if ready.status == "True" and ready.reason in _AS_IT_SHOULD_BE else ready.reason
    if before is None or cause == before:
        return Transition(cause, None)
    if cause == WELL:
        return Transition(
            cause, Note(ready.reason, f"it is well again, after {before}", kind, True)
        )
    return Transition(cause, Note(cause, ready.message or f"Ready is {ready.status}", kind))
