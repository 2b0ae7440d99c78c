"""What became of the two pods on one node. Pure: how they stand and what they say in, phases out.

A phase that did not happen says what prevents it. What is not due, because the mode is Observe or
enough memory is available, is no failure: the check never makes pressure itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from damon_cli.check.sample import Sample
from damon_cli.explain.explanation import Explanation, Standing
from damon_cli.remedies import remedy
from damon_cli.sizes import shown_bytes

SETTLED_S: Final = 10
"""So long after cold memory has gone hot memory has to have stayed."""
_OUTSIDE: Final = frozenset(
    {
        Standing.NOT_GOVERNED,
        Standing.OFF,
        Standing.NO_AGENT,
        Standing.EXEMPT,
        Standing.NOT_FINDABLE,
        Standing.LEFT_OUT,
    }
)
"""Without a plan, and waiting changes nothing."""
_NOT_YET_PLANNED: Final = frozenset(
    {Standing.NOT_SCHEDULED, Standing.ENDED, Standing.NOT_RUNNING, Standing.NOT_PLANNED}
)
_NOT_YET_TAKEN: Final = frozenset({Standing.AGENT_SILENT, Standing.NOT_TAKEN, Standing.NO_PROCESS})
_RECLAIMABLE: Final = frozenset(
    {
        Standing.WAITING,
        Standing.RECLAIMED,
        Standing.EAGER,
        Standing.SPARED,
        Standing.SAFETY_LIMIT,
        Standing.SWAP_FULL,
    }
)


class Outcome(StrEnum):
    """How a phase ended."""

    HAPPENED = "Happened"
    NOT_DUE = "NotDue"
    """It does not happen here and now, and that is as it should be."""
    WAITING = "Waiting"
    FAILED = "Failed"


@dataclass(frozen=True)
class Phase:
    """One thing that is to happen; `action` says what to do where it did not."""

    name: str
    outcome: Outcome
    says: str
    action: str = ""


@dataclass(frozen=True)
class Subject:
    """One of the two pods."""

    explanation: Explanation | None
    """None: there is no such pod."""
    samples: Sequence[Sample]
    """In the order of time."""
    problem: str = ""
    """Why it does not run."""
    ended: bool = False
    """It will not run any more."""


@dataclass(frozen=True)
class Expected:
    """What the pods hold, and what the tuning asks to be done with it."""

    cold_bytes: int
    hot_bytes: int
    program_bytes: int
    action: str = "pageout"


def verdict(low: Subject, high: Subject, expected: Expected, *, over: bool) -> tuple[Phase, ...]:
    """Return the phases as far as they were reached; `over`: nothing is waited for any more."""
    phases = tuple(_phases(low, high, expected))
    if not over:
        return phases
    return tuple(
        replace(phase, outcome=Outcome.FAILED, says=f"not in time: {phase.says}")
        if phase.outcome is Outcome.WAITING
        else phase
        for phase in phases
    )


def passed(phases: Sequence[Phase]) -> bool:
    """Say whether nothing failed and nothing is open."""
    return all(phase.outcome in {Outcome.HAPPENED, Outcome.NOT_DUE} for phase in phases)


def _phases(low: Subject, high: Subject, expected: Expected) -> Iterator[Phase]:
    yield (phase := _running(low, high))
    for step in (_planned, _taken):
        if phase.outcome is not Outcome.HAPPENED:
            return
        yield (phase := step(low.explanation, high.explanation))
    if phase.outcome is not Outcome.HAPPENED:
        return
    yield _measured(low, high, expected)
    yield (given_up := _given_up(low, expected))
    until = _settles(low, expected, given_up.outcome)
    yield _hot_stayed(low, expected, until)
    yield _untouched(high, expected, until)


def _running(low: Subject, high: Subject) -> Phase:
    for each in (low, high):
        if each.explanation is None or each.ended:
            why = each.problem or "it was deleted by somebody else"
            return Phase("running", Outcome.FAILED, f"a pod has ended: {why}")
        if not each.samples:
            action = "" if not each.problem else "kubectl describe the pods of the check (--keep)"
            says = each.problem or "the pods have said nothing yet"
            return Phase("running", Outcome.WAITING, says, action)
    return Phase("running", Outcome.HAPPENED, "both pods run and say where their memory is")


def _planned(low: Explanation | None, high: Explanation | None) -> Phase:
    for each in (low, high):
        if each is None or each.standing in _NOT_YET_PLANNED or _is_yet_to_be_planned(each):
            return Phase("planned", Outcome.WAITING, each.sentence if each else "", _action(each))
        if each.standing in _OUTSIDE:
            return Phase("planned", Outcome.FAILED, each.sentence, _action(each))
    shown = " and ".join(str(each.priority) for each in (low, high) if each)
    return Phase("planned", Outcome.HAPPENED, f"both are in the node's plan, priorities {shown}")


def _is_yet_to_be_planned(told: Explanation) -> bool:
    """Say whether a pod is in no plan by the spec that its node has, and waits for the newest."""
    return told.standing is Standing.ROLLING_OUT and told.memory is None


def _taken(low: Explanation | None, high: Explanation | None) -> Phase:
    for each in (low, high):
        if each is not None and each.standing is Standing.NO_DAMON:
            return Phase("taken", Outcome.FAILED, each.sentence, remedy("NoDamon").action)
        if each is not None and each.standing in _NOT_YET_TAKEN:
            return Phase("taken", Outcome.WAITING, each.sentence, _action(each))
    if _without_damon(low):
        says = "memory.reclaim serves their node, because DAMON cannot be used there"
        return Phase("taken", Outcome.HAPPENED, says)
    return Phase("taken", Outcome.HAPPENED, "their processes are DAMON's targets")


def _without_damon(told: Explanation | None) -> bool:
    """Say whether memory.reclaim serves the pod's node instead of DAMON."""
    place = told.placement if told else None
    return bool(place and not place.lane and (place.memory_reclaim or place.unserved))


def _measured(low: Subject, high: Subject, expected: Expected) -> Phase:
    """Judge by the pod from which nothing is to be taken: of the other, cold memory changes."""
    if _without_damon(low.explanation):
        return Phase("measured", Outcome.NOT_DUE, "without DAMON nothing measures cold memory")
    memory = high.explanation.memory if high.explanation else None
    found = memory.cold_bytes if memory else None
    holds = shown_bytes(expected.cold_bytes)
    if found is None:
        says = f"{holds} are cold, and the agent has not measured any yet"
        action = "wait some minutes; kernels before 6.2 and the driver native cannot measure it"
        return Phase("measured", Outcome.WAITING, says, action)
    found += high.samples[-1].cold_swap_bytes
    says = f"{holds} are cold, and the agent found {shown_bytes(found)}"
    most = expected.cold_bytes + expected.program_bytes
    if expected.cold_bytes * 3 // 4 <= found <= most:
        return Phase("measured", Outcome.HAPPENED, says)
    return Phase("measured", Outcome.WAITING, says, "it is measured every few minutes")


def _given_up(low: Subject, expected: Expected) -> Phase:
    name, told, last = "given up", low.explanation, low.samples[-1]
    memory, standing = (told.memory, told.standing) if told else (None, None)
    if told is not None and standing in {Standing.OBSERVED, Standing.ROLLING_OUT}:
        observed = "mode Observe measures and takes nothing"
        says = observed if standing is Standing.OBSERVED else told.sentence
        return Phase(name, Outcome.NOT_DUE, says)
    if expected.action != "pageout":
        says = f"action {expected.action} takes nothing by itself"
        return Phase(name, Outcome.NOT_DUE, says)
    due = _due_bytes(low, expected)
    holds = shown_bytes(expected.cold_bytes)
    out = f"{shown_bytes(last.cold_swap_bytes)} of {holds} cold memory are in swap"
    out += f", which allows {shown_bytes(due)} here" if due < expected.cold_bytes else ""
    if due and _gone_since(low, expected) is not None:
        return Phase(name, Outcome.HAPPENED, out)
    if not due or (memory is not None and not memory.swappable):
        why = memory.why_not_swappable if memory and memory.why_not_swappable else ""
        why = why or "memory.swap.max of the pod is 0: the kubelet gives it no swap"
        return Phase(name, Outcome.FAILED, why, remedy("NoSwap").action)
    if waits := _waits(told):
        return Phase(name, Outcome.NOT_DUE, waits)
    sentence = told.sentence if told else ""
    outcome = Outcome.FAILED if standing is Standing.PROTECTED else Outcome.WAITING
    return Phase(name, outcome, f"{out}; {sentence}", _action(told))


def _due_bytes(low: Subject, expected: Expected) -> int:
    """Return how much can go: LimitedSwap may leave the pod less than it has."""
    limit = low.samples[-1].swap_max_bytes
    return expected.cold_bytes if limit is None else min(limit, expected.cold_bytes)


def _gone_since(low: Subject, expected: Expected) -> int | None:
    """Return the second in which half of what can go was out."""
    due = _due_bytes(low, expected)
    gone = (each.second for each in low.samples if each.cold_swap_bytes * 2 >= due)
    return next(gone, None)


def _waits(told: Explanation | None) -> str:
    """Return what a pod waits for where nothing is taken from it, as the tuning wants it."""
    if told is not None and told.standing is Standing.SAFETY_LIMIT:
        return told.sentence
    place = told.placement if told else None
    view = place.memory_reclaim if place and _without_damon(told) else None
    if view is not None and view.takes == "FilePages":
        return "only page cache goes by memory.reclaim here, and the pods of the check hold none"
    if told is None or told.standing is not Standing.WAITING:
        return ""
    rung = (place.lane or place.memory_reclaim) if place else None
    mark = rung.mark_permille if rung else None
    here = place.available_permille if place else None
    if mark is None or here is None:
        return ""
    return f"waits for pressure: available {here / 10:.1f} %, mark {mark / 10:.1f} % of the node"


def _settles(low: Subject, expected: Expected, given_up: Outcome) -> int | None:
    """Return the second from which on the pods can be judged; None: not known yet."""
    if given_up is Outcome.WAITING:
        return None
    gone = _gone_since(low, expected) if given_up is Outcome.HAPPENED else None
    return SETTLED_S + (gone or 0)


def _hot_stayed(low: Subject, expected: Expected, until: int | None) -> Phase:
    name = "hot stayed"
    most = max(each.hot_swap_bytes for each in low.samples)
    says = (
        f"{shown_bytes(most)} of {shown_bytes(expected.hot_bytes)} hot memory were in swap at most"
    )
    if most * 8 > expected.hot_bytes:
        action = "raise reclaim.minAge, and see whether the node itself is short of memory"
        if _without_damon(low.explanation):
            action = "without DAMON nothing knows how old memory is: use a kernel that has it"
        return Phase(name, Outcome.FAILED, says, action)
    return Phase(name, _judged(low, until), says)


def _untouched(high: Subject, expected: Expected, until: int | None) -> Phase:
    name, told = "protected untouched", high.explanation
    if told is not None and told.standing in _RECLAIMABLE:
        says = f"priority {told.priority} is the highest an annotation may have here: not protected"
        return Phase(name, Outcome.NOT_DUE, says)
    most = max(each.cold_swap_bytes + each.hot_swap_bytes for each in high.samples)
    says = f"{shown_bytes(most)} of the pod of high priority were in swap at most"
    if most * 8 > expected.cold_bytes:
        action = "under pressure the kernel takes it by itself: memory.min keeps it from that"
        return Phase(name, Outcome.FAILED, says, action)
    return Phase(name, _judged(high, until), says)


def _judged(subject: Subject, until: int | None) -> Outcome:
    settled = until is not None and subject.samples[-1].second >= until
    return Outcome.HAPPENED if settled else Outcome.WAITING


def _action(told: Explanation | None) -> str:
    return next((hint.action for hint in told.hints if hint.action), "") if told else ""
