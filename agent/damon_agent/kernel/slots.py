"""Which process stands at which index of a lane's list of targets. Pure.

DAMON matches targets by index when it commits: whoever is put at an index inherits the regions and
ages found there (damon_commit_targets() in mm/damon/core.c), and a hot process that inherits "cold
for an hour" is paged out at once. So a process keeps its index while it lives, and an index that
changes hands is cleared by a dummy region in the same commit. What must survive a crash is in
`Slots`, and goes into the ownership record before the first write it covers.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from damon_agent.facts import Process

TOMBSTONE_PID: Final = 2
"""kthreadd: never exits, has no user memory, so nothing is ever sampled or paged out of it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One index of the list."""

    process: Process | None
    """None: a tombstone."""
    settled: bool
    """Whether a commit has put exactly this here, and the dummy region has been taken back."""


@dataclass(frozen=True)
class Slots:
    """The list of one kdamond, as it is in the kernel or on its way there.

    It changes rarely and is asked often, by every lane about every other: what is derived from it
    is kept.
    """

    slots: tuple[Slot, ...] = ()
    leaving: tuple[Process, ...] = ()
    """Processes that have lost their slot; the kernel may still hold them until the next commit."""
    committed: bool = True
    """False from before the first sysfs write of a change until the kernel has taken it."""

    @cached_property
    def occupants(self) -> tuple[Process, ...]:
        """The processes in slots, in order."""
        return tuple(slot.process for slot in self.slots if slot.process is not None)

    @cached_property
    def is_to_settle(self) -> bool:
        """Whether the kernel has taken a change whose dummy regions still stand in sysfs."""
        return self.committed and not all(slot.settled for slot in self.slots)

    @cached_property
    def carried(self) -> frozenset[Process]:
        """Every process the kernel may hold here; none of them may enter another kdamond."""
        return frozenset(self.occupants).union(self.leaving)


def place(current: Slots, wanted: Sequence[Process], alive: Callable[[Process], bool]) -> Slots:
    """Return the list with the dead and unwanted out and the wanted in, nobody moved.

    The new ones take settled tombstones first (not the index just left: its clearing is still to
    be committed), then new indices. Trailing tombstones are dropped: a shorter list loses its tail,
    and only that. Returns `current` itself when nothing changes.
    """
    living = tuple(dict.fromkeys(process for process in wanted if alive(process)))
    stays = frozenset(living)
    held = frozenset(current.occupants)
    arriving = deque(process for process in living if process not in held)
    placed: list[Slot] = []
    for slot in current.slots:
        if slot.process is not None and slot.process not in stays:
            placed.append(Slot(None, settled=False))
        elif slot.process is None and slot.settled and arriving:
            placed.append(Slot(arriving.popleft(), settled=False))
        else:
            placed.append(slot)
    placed.extend(Slot(process, settled=False) for process in arriving)
    while placed and placed[-1].process is None:
        placed.pop()
    slots = tuple(placed)
    if slots == current.slots:
        return current
    left = tuple(process for process in current.occupants if process not in stays)
    return Slots(slots, (*current.leaving, *left), committed=False)


def fresh(wanted: Sequence[Process], alive: Callable[[Process], bool]) -> Slots:
    """Return the list for a kdamond that is off: starting it builds everything anew."""
    living = dict.fromkeys(process for process in wanted if alive(process))
    return Slots(tuple(Slot(process, settled=False) for process in living), (), committed=False)


def begin_anew(current: Slots, processes: Collection[Process]) -> Slots:
    """Return the list with the regions of these processes to be cleared, and so all their ages.

    Their slots stay theirs; the kernel makes new regions as it does for a newcomer. Returns
    `current` itself where that is on its way already.
    """
    slots = tuple(
        replace(slot, settled=False) if slot.process in processes else slot
        for slot in current.slots
    )
    on_its_way = slots == current.slots and not current.committed
    if on_its_way or not any(slot.process in processes for slot in slots):
        return current
    return replace(current, slots=slots, committed=False)


def taken(current: Slots) -> Slots:
    """Return the list after the kernel has taken it: those who were leaving have left.

    The slots stay unsettled until the dummy regions have been taken back in sysfs.
    """
    return replace(current, leaving=(), committed=True)


def settle(current: Slots) -> Slots:
    """Return the list after the dummy regions of its live slots have been taken back."""
    return replace(current, slots=tuple(replace(slot, settled=True) for slot in current.slots))


def unsettle(current: Slots, changed: Collection[str]) -> Slots:
    """Return the list with every slot unsettled whose files (paths as in tree) somebody changed."""
    targets = [path.split("/targets/")[1] for path in changed if "/targets/" in path]
    if not targets:
        return current
    named = {path.partition("/")[0] for path in targets}
    return replace(
        current,
        committed=False,
        slots=tuple(
            Slot(slot.process, settled=False)
            if "nr_targets" in named or str(index) in named
            else slot
            for index, slot in enumerate(current.slots)
        ),
    )


def needs_clearing(slot: Slot) -> bool:
    """Whether the dummy region must stand in this slot at the next commit.

    In a tombstone it stays: without it the ranges of the process that was here remain, cold for
    ever.
    """
    return slot.process is None or not slot.settled
