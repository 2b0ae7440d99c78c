"""What the native driver says of its slots. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from damon_agent.kernel import ladder
from damon_agent.kernel.intent import Member
from damon_agent.kernel.native.context import Rungs
from damon_agent.kernel.native.kdamond import KDAMOND
from damon_agent.kernel.report import Fault, LaneReport
from damon_agent.kernel.slots import Slots
from damon_contract.v1alpha1.node import NodeReason

MOST_LANES: Final = 64
"""As many as a status takes."""

_SHOWN_PODS: Final = 5


@dataclass(frozen=True, slots=True)
class Running:
    """A running kdamond, for the report."""

    slots: Slots
    rungs: Rungs
    counted_bytes: Mapping[int, tuple[int, int]]
    """sz_tried and sz_applied by slot."""


def lanes(running: Running) -> tuple[LaneReport, ...]:
    """Return a lane per mark, one for all protected and one for all eager processes.

    Should there be more marks than a status takes, neighbours are shown together, under the mark of
    the most protective of them.
    """
    standing: dict[int, list[int]] = {}
    for index, slot in enumerate(running.slots.slots):
        if slot.process is not None and slot.process in running.rungs.priorities:
            standing.setdefault(running.rungs.priorities[slot.process], []).append(index)
    groups: list[list[int]] = []
    for priority in sorted(standing):
        if groups and _alike(groups[-1][-1], priority, running.rungs):
            groups[-1].append(priority)
        else:
            groups.append([priority])
    while len(groups) > MOST_LANES:
        groups[0:2] = [groups[0] + groups[1]]
    return tuple(_lane(tuple(group), standing, running) for group in groups)


def _alike(lower: int, upper: int, rungs: Rungs) -> bool:
    role = rungs.ladder.role(lower)
    return role != "Ladder" and role == rungs.ladder.role(upper)


def _lane(
    priorities: tuple[int, ...], standing: Mapping[int, list[int]], running: Running
) -> LaneReport:
    rungs = running.rungs
    role = rungs.ladder.role(priorities[-1])
    indices = [index for priority in priorities for index in standing[priority]]
    processes = {running.slots.slots[index].process for index in indices}
    kernel_mark = rungs.kernel_mark(priorities[-1])
    memory = rungs.intent.memory
    free = ladder.permille(memory.free_bytes, memory.capacity_bytes)
    counted = [running.counted_bytes.get(index, (0, 0)) for index in indices]
    return LaneReport(
        kdamond=KDAMOND,
        priorities=priorities,
        role=role,
        mark_permille=rungs.ladder.mark(priorities[-1]) if role == "Ladder" else None,
        kernel_mark_permille=kernel_mark,
        pods=len({m.pod_uid for m in rungs.intent.members if m.process in processes}),
        targets=len(indices),
        state="on",
        active=role == "Eager" or (kernel_mark is not None and free <= kernel_mark),
        tried_bytes=sum(tried for tried, _ in counted),
        applied_bytes=sum(applied for _, applied in counted),
    )


def placed(running: Running) -> dict[str, int]:
    """Return the kdamond by pod, for pods with a process that the kernel has taken."""
    taken = {
        slot.process
        for slot in running.slots.slots
        if slot.process is not None and (slot.settled or running.slots.committed)
    }
    return {m.pod_uid: KDAMOND for m in running.rungs.intent.members if m.process in taken}


def full(homeless: Iterable[Member]) -> tuple[Fault, ...]:
    """Return the fault that names the pods for which no slot is left."""
    members = tuple(homeless)
    if not members:
        return ()
    pods = sorted({member.pod_uid for member in members})
    named = ", ".join(pods[:_SHOWN_PODS])
    more = f" and {len(pods) - _SHOWN_PODS} more" if len(pods) > _SHOWN_PODS else ""
    return (
        Fault(
            NodeReason.NATIVE_FULL,
            f"{len(members)} processes of the pods {named}{more} are not tuned: the slots of their "
            "classes and of the more protective ones are taken, and their number is fixed from the "
            "kdamond's start to the next boot",
        ),
    )
