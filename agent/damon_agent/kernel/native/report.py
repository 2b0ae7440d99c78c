"""What the native driver says of its slots. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from damon_agent.kernel.availability import works
from damon_agent.kernel.intent import Member, shown_min_age
from damon_agent.kernel.native.context import Rungs
from damon_agent.kernel.native.kdamond import KDAMOND
from damon_agent.kernel.report import Fault
from damon_agent.kernel.slots import Slots
from damon_contract.v1alpha1.node import Lane, NodeReason

MOST_LANES: Final = 64
"""As many as a status takes."""

_SHOWN_PODS: Final = 5


def lanes(
    slots: Slots, rungs: Rungs, counted_bytes: Mapping[int, tuple[int, int]]
) -> tuple[Lane, ...]:
    """Return a lane per mark, one for all protected and one for all eager processes.

    Should there be more marks than a status takes, neighbours are shown together, under the mark of
    the most protective of them. `counted_bytes`: sz_tried and sz_applied by slot.
    """
    standing: dict[int, list[int]] = {}
    for index, slot in enumerate(slots.slots):
        if slot.process is not None and slot.process in rungs.priorities:
            standing.setdefault(rungs.priorities[slot.process], []).append(index)
    groups: list[list[int]] = []
    for priority in sorted(standing):
        role = rungs.ladder.role(priority)
        if groups and role != "Ladder" and role == rungs.ladder.role(groups[-1][-1]):
            groups[-1].append(priority)
        else:
            groups.append([priority])
    while len(groups) > MOST_LANES:
        groups[0:2] = [groups[0] + groups[1]]
    told: list[Lane] = []
    for group in groups:
        indices = [index for priority in group for index in standing[priority]]
        processes = {slots.slots[index].process for index in indices}
        role = rungs.ladder.role(group[-1])
        counted = [counted_bytes.get(index, (0, 0)) for index in indices]
        told.append(
            Lane(
                kdamond=KDAMOND,
                priorities=tuple(group),
                role=role,
                mark_permille=rungs.mark(group[-1]),
                min_age=None if role == "Protected" else shown_min_age(rungs.intent, group),
                pods=len({m.pod_uid for m in rungs.intent.members if m.process in processes}),
                targets=len(indices),
                state="on",
                active=works(
                    rungs.intent,
                    role,
                    rungs.mark(group[-1]),
                    rungs.memory,
                ),
                tried_bytes=sum(tried for tried, _ in counted),
                applied_bytes=sum(applied for _, applied in counted),
            )
        )
    return tuple(told)


def placed(slots: Slots, rungs: Rungs) -> dict[str, int]:
    """Return the kdamond by pod, for pods with a process that the kernel has taken."""
    taken = {slot.process for slot in slots.slots if slot.settled or slots.committed}
    return {m.pod_uid: KDAMOND for m in rungs.intent.members if m.process in taken}


def full(homeless: Iterable[Member]) -> tuple[Fault, ...]:
    """Return the fault that names the pods for which no slot is left."""
    members = tuple(homeless)
    if not members:
        return ()
    pods = sorted({member.pod_uid for member in members})
    named = ", ".join(pods[:_SHOWN_PODS])
    more = f" and {len(pods) - _SHOWN_PODS} more" if len(pods) > _SHOWN_PODS else ""
    message = (
        f"{len(members)} processes of the pods {named}{more} are not tuned: the slots of their "
        "classes and of the more protective ones are taken, and their number is fixed from the "
        "kdamond's start to the next boot"
    )
    return (Fault(NodeReason.NATIVE_FULL, message),)
