"""Which slot of the native driver's one kdamond a process gets, and that slot's number. Pure.

The kernel RFC takes a target's `target_priority` once, when the kdamond starts, and keeps it with
the *index*: whatever is committed later, an index has the number it started with. So the numbers
are laid out in advance, a few slots per class, and processes move in and out of slots. The larger
the number, the earlier that kernel reclaims; so a number is a reclaim rank, rounded towards more
protective, and nobody ever stands in a slot that is less protective than its own class.

The first two slots are sentinels: kthreadd with the smallest and the largest number. They never
exit and never change, so the difference the kernel divides by is 99, always (docs/adr/0008).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel.intent import Member
from damon_agent.kernel.slots import Slot, Slots
from damon_contract.priorities import HIGHEST, LOWEST, reclaim_rank

SENTINELS: Final = (LOWEST, HIGHEST)
"""Numbers of slots 0 and 1."""

MAX_SENTINEL: Final = 1
"""Index of the sentinel with the largest number: the kernel's own scheme for it works at once."""

MOST_PROTECTED: Final = 1
"""The class of protected pods: the one whose mark the kernel's arithmetic cannot underflow."""

CLASSES: Final = (MOST_PROTECTED, 20, 30, 40, 50, 60, 70, 80, 90, 100)
"""The numbers of the classes, most protective first."""

SLOTS_PER_CLASS: Final = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """The number of each slot, sentinels first; fixed from arming to the end of the boot."""

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
    members = (number for number in CLASSES for _ in range(slots_per_class))
    return Layout((*SENTINELS, *members))


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
    A newcomer takes the first slot of its class, or of the next more protective class with room.
    Every index that changes hands is unsettled: the dummy region stands there at the next commit.
    Returns the same `Slots` when nothing changes.
    """
    wanted: dict[Process, tuple[Member, int]] = {}
    for member in members:
        number = class_of(member.priority, protect_from)
        # A process in two pods goes with the more important one.
        if alive(member.process) and number < wanted.get(member.process, (member, 101))[1]:
            wanted[member.process] = (member, number)
    placed: list[Process | None] = []
    for index, slot in enumerate(current.slots):
        stays = slot.process in wanted and layout.admits(index, wanted[slot.process][1])
        placed.append(slot.process if stays else None)
    numbers = {process: number for process, (_, number) in wanted.items()}
    # Again while anything moves: who goes home leaves room behind. It ends, because each round puts
    # somebody in, or brings somebody home and nobody out.
    while True:
        before = tuple(placed)
        _go_home(placed, numbers, layout)
        homeless = _settle_newcomers(placed, wanted, layout)
        if tuple(placed) == before:
            break
    return Placement(_changed(current, placed), tuple(homeless))


def _settle_newcomers(
    placed: list[Process | None], wanted: Mapping[Process, tuple[Member, int]], layout: Layout
) -> list[Member]:
    """Put those in who stand nowhere; return those for whom there is no slot.

    The most protected first: those that spill over go to more protective classes, never the other
    way round, so nobody is driven out of a class by one that came later in this order.
    """
    homeless: list[Member] = []
    held = set(placed)
    newcomers = [entry for process, entry in wanted.items() if process not in held]
    for member, number in sorted(newcomers, key=lambda entry: entry[1]):
        vacancy = _vacancy(placed, number, layout)
        if vacancy is None:
            homeless.append(member)
        else:
            placed[vacancy] = member.process
    return homeless


def _go_home(placed: list[Process | None], numbers: dict[Process, int], layout: Layout) -> None:
    """Move those who stand in a class more protective than their own and have room in their own."""
    for index, process in enumerate(tuple(placed)):
        if process is None or layout.numbers[index] == numbers[process]:
            continue
        home = _vacancy(placed, numbers[process], layout)
        if home is not None and layout.numbers[home] == numbers[process]:
            placed[index], placed[home] = None, process


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
    held = frozenset(placed)
    left = tuple(process for process in current.occupants if process not in held)
    return Slots(slots, (*current.leaving, *left), committed=False)
