"""Which slot of the native driver's one kdamond a process gets, and that slot's number. Pure.

The kernel RFC takes a target's `target_priority` once, when the kdamond starts, and keeps it with
the *index*: whatever is committed later, an index has the number it started with. So the numbers
are laid out in advance, a few slots per class, and processes move in and out of slots. The larger
the number, the earlier that kernel reclaims; so a number is a reclaim rank, rounded towards more
protective, and nobody ever stands in a slot that is less protective than its own class.

The first two slots are sentinels: kthreadd with the smallest and the largest number. They never
exit and never change, so the difference the kernel divides by is 99, always (docs/adr/0008).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel.intent import Member
from damon_agent.kernel.slots import Slot, Slots
from damon_contract.priorities import HIGHEST, LOWEST, reclaim_rank

SENTINELS: Final = (LOWEST, HIGHEST)
"""Numbers of slots 0 and 1."""

MOST_PROTECTED: Final = 1
"""The class of protected pods: the one whose mark the kernel's arithmetic cannot underflow."""

CLASSES: Final = (MOST_PROTECTED, 20, 30, 40, 50, 60, 70, 80, 90, 100)
"""The numbers of the classes, most protective first."""

SLOTS_PER_CLASS: Final = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """The number of each slot, sentinels first; fixed from `on` to the end of the boot."""

    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.numbers[: len(SENTINELS)] != SENTINELS:
            raise ValueError(f"slots 0 and 1 are not the sentinels: {self.numbers[:2]}")
        if not all(LOWEST <= number <= HIGHEST for number in self.numbers):
            raise ValueError(f"a target_priority is outside {LOWEST}..{HIGHEST}: {self.numbers}")

    def admits(self, index: int, number: int) -> bool:
        """Whether a process of class `number` may stand at `index`."""
        return index >= len(SENTINELS) and self.numbers[index] <= number

    def vacant(self) -> Slots:
        """Return the list with nobody in it: sentinels and tombstones look the same."""
        return Slots(tuple(Slot(None, settled=False) for _ in self.numbers), committed=False)


@dataclass(frozen=True, slots=True)
class Placement:
    """Who stands where, and who found no slot."""

    slots: Slots
    homeless: tuple[Member, ...] = ()
    """Members for whom no slot of their class or of a more protective one is free."""


def layout(slots_per_class: int = SLOTS_PER_CLASS) -> Layout:
    """Return the layout with this many slots for each class."""
    if slots_per_class < 1:
        raise ValueError(f"slots per class must be at least 1, not {slots_per_class}")
    return Layout((*SENTINELS, *(number for number in CLASSES for _ in range(slots_per_class))))


def class_of(priority: int, protect_from: int) -> int:
    """Return the class of a priority: 1 when protected, else its reclaim rank floored to tens.

    Ranks below 20 join the most protective class. Rises as the priority falls.
    """
    rank = reclaim_rank(priority)
    if priority >= protect_from or rank < CLASSES[1]:
        return MOST_PROTECTED
    return rank // 10 * 10


def place(
    current: Slots,
    members: Iterable[Member],
    layout: Layout,
    protect_from: int,
    alive: Callable[[Process], bool],
) -> Placement:
    """Return the list with the dead and unwanted out and the wanted in.

    A process stays where it is while it lives, unless its slot is less protective than its class
    (its pod became more important) or it stands outside its class and the class has room again.
    A newcomer takes the first slot of its class, or of the next more protective class with room;
    the most protected come first, so that who spills over drives nobody out.
    Every index that changes hands is unsettled: the dummy region stands there at the next commit.
    Returns the same `Slots` when nothing changes.
    """
    living = [member for member in members if alive(member.process)]
    classes = {member.process: class_of(member.priority, protect_from) for member in living}
    placed = [
        slot.process
        if slot.process in classes and layout.admits(index, classes[slot.process])
        else None
        for index, slot in enumerate(current.slots)
    ]
    # Again while anything moves: who goes home leaves room behind. It ends, because each round puts
    # somebody in, or brings somebody home and nobody out.
    before = None
    while placed != before:
        before = list(placed)
        for index, process in enumerate(before):
            if process is not None and layout.numbers[index] != classes[process]:
                home = _vacancy(placed, classes[process], layout)
                if home is not None and layout.numbers[home] == classes[process]:
                    placed[index], placed[home] = None, process
        held = set(placed)
        for process in sorted(classes.keys() - held, key=lambda new: (classes[new], new)):
            vacancy = _vacancy(placed, classes[process], layout)
            if vacancy is not None:
                placed[vacancy] = process
    held = set(placed)
    homeless = tuple(member for member in living if member.process not in held)
    return Placement(_changed(current, placed), homeless)


def _vacancy(placed: Sequence[Process | None], number: int, layout: Layout) -> int | None:
    """Return the first free index of the least protective class that admits `number`."""
    free = [i for i, process in enumerate(placed) if process is None and layout.admits(i, number)]
    return max(free, key=lambda i: (layout.numbers[i], -i), default=None)


def _changed(current: Slots, placed: Sequence[Process | None]) -> Slots:
    """Return the new list; an index that keeps its process (or its tombstone) keeps its state."""
    if [slot.process for slot in current.slots] == list(placed):
        return current
    slots = tuple(
        slot if slot.process == process else Slot(process, settled=False)
        for slot, process in zip(current.slots, placed, strict=True)
    )
    left = tuple(process for process in current.occupants if process not in set(placed))
    return Slots(slots, (*current.leaving, *left), committed=False)
