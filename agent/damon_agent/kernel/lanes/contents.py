"""Who stands in one kdamond, by the record, and the files that say so.

Every change is noted in the record before its first write, and whoever is to be written is looked
up right before and again right after: a pid that is written may be somebody else's by then. What
has become of a change is noted afterwards, and need not be: an older note makes the next agent
clear a slot or make a commit once more than it had to.
"""

from collections.abc import Callable
from dataclasses import replace

from damon_agent.facts import Process
from damon_agent.kernel import slots as slot_rules
from damon_agent.kernel.lanes.change import Change, acts, changed, must_restart, must_stop
from damon_agent.kernel.lanes.wanted import Wanted
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree.errors import StateUnwritable
from damon_agent.kernel.tree.features import Features
from damon_agent.kernel.tree.kdamond import Kdamond


class Contents:
    """The slots and files of one kdamond. Methods raise KernelError, StateUnwritable or Blocked."""

    def __init__(
        self,
        kernel: Kdamond,
        adopted: Slots,
        *,
        features: Features,
        alive: Callable[[Process], bool],
        note: Callable[[int, Slots], None],
    ) -> None:
        """`adopted`: who is in it by the record; `note` records that before it is written."""
        self.slots = self._noted = adopted
        self.change: Change | None = None
        """What was wanted last: it is to be committed, or the kernel has it."""
        self._kernel = kernel
        self._features = features
        self._alive = alive
        self._note = note
        self._grown_us: dict[Process, int] = {}
        """When processes had last grown as their regions began, where that is not 0."""
        self._has_grown = False
        """Whether regions are to begin anew by what was wanted last."""

    @property
    def all_live(self) -> bool:
        """Whether everybody in a slot lives."""
        return all(map(self._alive, self.slots.occupants))

    @property
    def all_carried_live(self) -> bool:
        """Whether everybody lives whom the kernel may hold."""
        return all(map(self._alive, self.slots.carried))

    @property
    def is_missing(self) -> bool:
        """Whether anything wanted has not been taken by the kernel."""
        change = self.change
        return change is not None and not (
            change.slots.committed and not self._kernel.files.missing(change.files)
        )

    @property
    def must_restart(self) -> bool:
        """Whether only a start can bring about what is wanted."""
        change, known = self.change, self._kernel.files.known
        return change is not None and must_restart(known, change.files, self._features)

    @property
    def must_stop(self) -> bool:
        """Whether something reclaims that is not to."""
        return self.change is not None and must_stop(self._kernel.files.known, self.change.files)

    @property
    def is_urgent(self) -> bool:
        """Whether something reclaims that is not to, or may take what has only just come."""
        change = self.change
        if change is None:
            return False
        may_reclaim = acts(self._kernel.files.known) or acts(change.files)
        return self.must_stop or (self._has_grown and may_reclaim)

    @property
    def must_let_go(self) -> bool:
        """Whether something reclaims that is not to, or from somebody who is not to be in here."""
        if self.change is None or not acts(self._kernel.files.known):
            return False
        return self.must_stop or any(map(self._alive, self.change.slots.leaving))

    @property
    def may_reclaim(self) -> bool:
        """Whether the kernel may reclaim here while it is on; it does where that is unknown."""
        files = self._kernel.files
        is_unknown = self._kernel.is_waiting or files.is_unknown or not self.slots.committed
        return is_unknown or acts(files.known)

    def want(self, wanted: Wanted, snapshots: int) -> None:
        """Find out what a commit would have to bring; `snapshots`: counted by the kernel."""
        placed = slot_rules.place(self.slots, wanted.processes, self._alive)
        grown = {p for p, at_us in wanted.grown_us.items() if at_us > self._grown_us.get(p, 0)}
        placed = slot_rules.begin_anew(placed, grown)
        self._has_grown = not grown.isdisjoint(placed.occupants)
        self.change = self._changed(wanted, placed, snapshots)

    def settle(self) -> None:
        """Take the dummy regions of what the kernel has taken back out of the files."""
        if self.slots.is_to_settle and not self._kernel.files.is_unknown:
            self._follow(self._kernel.settle(self.slots))

    def lay_out(self, wanted: Wanted, snapshots: int) -> bool:
        """Write everything for a start; return whether everybody in it lives: else do not start."""
        placed = slot_rules.fresh(wanted.processes, self._alive)
        self._keep(placed)
        self.change = self._changed(wanted, slot_rules.settle(placed), snapshots)
        files = self._kernel.files
        if files.is_unknown:
            files.read_all(self.change.files)
        files.write(self.change.files)
        return slot_rules.fresh(wanted.processes, self._alive) == placed

    def write(self) -> bool:
        """Write what is wanted; return whether everybody in it lives: else do not commit it."""
        change = self.change
        if change is None:
            return False
        self._keep(replace(change.slots, committed=False))
        self._kernel.files.write(change.files)
        placed = slot_rules.place(change.slots, change.wanted.processes, self._alive)
        return placed is change.slots

    def taken(self) -> None:
        """Note that the kernel has taken what was written."""
        self.slots = slot_rules.taken(self.slots)
        if self.change is not None:
            self._grown_us = dict(self.change.wanted.grown_us)

    def check_drift(self, wanted: Wanted, snapshots: int) -> None:
        """Compare all files with what they should read."""
        desired = self._changed(wanted, self.slots, snapshots).files
        self.slots = self._kernel.check_drift(self.slots, desired)

    def ended(self) -> None:
        """Note that the kdamond is off."""
        self._follow(Slots())

    def _changed(self, wanted: Wanted, slots: Slots, snapshots: int) -> Change:
        known = self._kernel.files.known
        return changed(
            self.change, wanted, slots, known, features=self._features, snapshots=snapshots
        )

    def _keep(self, slots: Slots) -> None:
        if slots != self._noted:
            self._note(self._kernel.index, slots)
            self._noted = slots
        self.slots = slots

    def _follow(self, slots: Slots) -> None:
        """Note what has become of the kdamond; where that can't be done, the older note will do."""
        try:
            self._keep(slots)
        except StateUnwritable:
            self.slots = slots
