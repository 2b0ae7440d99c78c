"""What the agent's log says of its node: each change once, whatever the number of ticks."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from damon_agent.kernel.report import Fault
from damon_agent.plans.plan import Latest
from damon_contract.v1alpha1.node import DamonNodeStatus, Lane, NodeCondition, NodeReason

_LOGGER: Final = logging.getLogger(__name__)
_BESIDE: Final = {"Protected": "watched", "Eager": "always"}
"""What a lane without a mark does, by its role."""


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to tell of one moment."""

    known: bool = False
    """Whether it is known if there is a plan."""
    plan: tuple[str, int] | None = None
    """The object's uid and generation."""
    tuning: str = ""
    mode: str = ""
    pods: int = 0
    lanes: str = ""
    """As the kernel has them; "" while it does not have all of the plan."""
    trouble: Fault | None = None
    """What holds the plan back; of several, the most telling."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: words and pairs, as `logging` takes them."""

    level: int
    text: str
    values: tuple[object, ...] = ()


class Journal:
    """Remembers what was told, and logs what differs."""

    def __init__(self) -> None:
        self._told = Known()

    def look(self, latest: Latest, status: DamonNodeStatus, failure: Fault | None) -> None:
        """Log what has changed since the last look; `failure`: why a tick came to no end."""
        now = known(latest, status, failure)
        for line in lines(self._told, now):
            _LOGGER.log(line.level, line.text, *line.values)
        # Lanes that are being changed are no news, those that come out of it may be.
        self._told = now if now.lanes else replace(now, lanes=self._told.lanes)


def known(latest: Latest, status: DamonNodeStatus, failure: Fault | None) -> Known:
    """Return what there is to tell."""
    conditions = {condition.type: condition for condition in status.conditions}
    applied = conditions.get(NodeCondition.APPLIED)
    degraded = conditions.get(NodeCondition.DEGRADED)
    trouble = failure
    if trouble is None and degraded is not None and degraded.status == "True":
        trouble = Fault(NodeReason(degraded.reason), degraded.message)
    plan = latest.plan
    return Known(
        known=latest.known,
        plan=(plan.uid, plan.generation) if plan else None,
        tuning=plan.spec.tuning if plan else "",
        mode=plan.spec.mode if plan else "",
        pods=len(plan.spec.pods) if plan else 0,
        lanes=_lanes(status.lanes) if applied is not None and applied.status == "True" else "",
        trouble=trouble,
    )


def lines(before: Known, now: Known) -> Iterator[Line]:
    """Yield what is new; nothing if nothing is."""
    if now.plan is not None and now.plan != before.plan:
        text = "plan taken tuning=%s mode=%s generation=%d pods=%d"
        yield Line(logging.INFO, text, (now.tuning, now.mode, now.plan[1], now.pods))
    elif now.plan is None and now.known and (before.plan is not None or not before.known):
        yield Line(logging.INFO, "no plan for this node")
    if before.mode and now.mode and before.mode != now.mode:
        yield Line(logging.INFO, "mode changed from=%s to=%s", (before.mode, now.mode))
    if now.lanes and now.lanes != before.lanes:
        yield Line(logging.INFO, "lanes are in the kernel lanes=%s", (now.lanes,))
    was, trouble = before.trouble, now.trouble
    if trouble is not None and (was is None or was.reason is not trouble.reason):
        text = "held back reason=%s detail=%s"
        yield Line(logging.WARNING, text, (trouble.reason.value, trouble.message))
    if trouble is None and was is not None:
        yield Line(logging.INFO, "no longer held back reason=%s", (was.reason.value,))


def _lanes(lanes: tuple[Lane, ...]) -> str:
    """Return the lanes by their priorities, each with its mark in per mille, or what it does."""
    return " ".join(f"{_span(lane.priorities)}:{_mark(lane)}" for lane in lanes)


def _span(priorities: tuple[int, ...]) -> str:
    first, last = min(priorities, default=0), max(priorities, default=0)
    return str(first) if first == last else f"{first}-{last}"


def _mark(lane: Lane) -> str:
    return _BESIDE.get(lane.role, "-") if lane.mark_permille is None else str(lane.mark_permille)
