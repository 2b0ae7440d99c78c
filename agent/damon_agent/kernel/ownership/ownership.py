"""Making DAMON's kdamonds ours, knowing that they are, and giving them back.

sysfs has no owner: writing nr_kdamonds destroys whatever stopped kdamonds others had set up. So
nothing is taken unless there was nothing, and the record says so before the write. What is ours
carries a signature besides (damon_agent.kernel.tree.signature), because a record can be lost and
a number of kdamonds can be somebody else's by chance.
"""

from dataclasses import replace
from typing import Final

from damon_agent.kernel.ownership.record import Record, StateDirectory
from damon_agent.kernel.report import Blocked
from damon_agent.kernel.slots import TOMBSTONE_PID, Slots
from damon_agent.kernel.tree.errors import AlreadyRunning, KernelError, Missing
from damon_agent.kernel.tree.features import CONTEXT, COUNTS
from damon_agent.kernel.tree.signature import is_signed, sign
from damon_agent.kernel.tree.sysfs import Sysfs, kdamond_path, state_path
from damon_contract.v1alpha1.node import NodeReason

NR_KDAMONDS: Final = "admin/kdamonds/nr_kdamonds"


class Ownership:
    """The kdamonds of this node, from the first write to the last."""

    def __init__(
        self, damon: Sysfs, state: StateDirectory, *, kdamonds: int, native: bool = False
    ) -> None:
        """`kdamonds`: how many to allocate; `native`: for the driver that needs the whole boot."""
        self._damon = damon
        self._state = state
        self._wanted = kdamonds
        self._native = native
        self._epoch = 0
        self._allocated = 0
        self._record: Record | None = None
        self._may_run = False

    @property
    def may_run(self) -> bool:
        """Whether kdamonds of the record may run with somebody in them; a look may have failed."""
        return self._may_run

    @property
    def record(self) -> Record | None:
        """The record, while kdamonds are ours, or were until somebody removed them."""
        return self._record

    @property
    def allocated(self) -> bool:
        """Whether the kdamonds of the record were there at the last look."""
        return self._allocated > 0

    @property
    def epoch(self) -> int:
        """Counts how often kdamonds became ours: whoever remembers more compares it."""
        return self._epoch

    def adopt(self, *, idle: bool = True) -> Record | None:
        """Return the record if the kdamonds that are there are ours; None: nothing is known of any.

        `idle`: nothing of ours is known to run, so kdamonds of the same number may be others'.
        Raise Blocked if others' are there, or ours are another driver's; raise a KernelError or
        StateUnwritable as well.
        """
        self._lock()
        known = self._record
        record = self._state.load() if known is None else known
        # Until the look has come to its end.
        self._may_run = record is not None and record.is_occupied
        found = self._count()
        if record is not None and record.native is not self._native and found:
            self._may_run = False
            raise _of_another_driver(record)
        if found and (known is None or idle):
            record = self._recognised(found, record)
        if record is None or (found and found != len(record.kdamonds)):
            self._record, self._may_run = None, False
            if not found:
                return None
            raise _foreign(found)
        self._allocated = found
        self._may_run = self._may_run and found > 0
        if known is None and found:
            self._epoch += 1
        self._record = record
        return record

    def take(self, *, idle: bool = True) -> Record:
        """Adopt what is ours, or allocate; the errors are those of `adopt`."""
        record = self.adopt(idle=idle)
        if record is None or not self.allocated:
            record = self._allocate(record)
        if not record.is_signed:
            self._sign()
            record = replace(record, is_signed=True)
            self.keep(record)
        return record

    def _allocate(self, known: Record | None) -> Record:
        new = Record(
            boot_id=self._state.boot_id,
            native=self._native,
            kdamonds=(Slots(),) * self._wanted,
            stopped_damon_stat=known is not None and known.stopped_damon_stat,
        )
        self._state.save(new)
        try:
            self._damon.write(NR_KDAMONDS, str(self._wanted))
        except KernelError:
            # Or it would speak for whoever allocates as many.
            self._record = None
            if not new.stopped_damon_stat:
                self._state.forget()
            raise
        self._record, self._allocated = new, self._wanted
        self._epoch += 1
        return new

    def _sign(self) -> None:
        """Put the signature into every kdamond, and with it all that shows what there is."""
        for kdamond in range(self._allocated):
            for count in COUNTS:
                path = f"{kdamond_path(kdamond)}/{count}"
                if self._damon.read(path) == "0":
                    self._damon.write(path, "1")
            sign(self._damon, kdamond)

    def note(self, kdamond: int, slots: Slots) -> None:
        """Record the list of a kdamond, before the writes it covers.

        Raise Blocked if the kdamonds are not ours any more; raise StateUnwritable.
        """
        record = self._record
        if record is None:
            raise Blocked(NodeReason.DAMON_BUSY, "the kdamonds are not ours any more")
        kdamonds = (*record.kdamonds[:kdamond], slots, *record.kdamonds[kdamond + 1 :])
        self.keep(replace(record, kdamonds=kdamonds))

    def keep(self, record: Record) -> None:
        """Replace the record, before the writes it covers; raise StateUnwritable."""
        if record != self._record:
            self._state.save(record)
            self._record = record

    def give_back(self) -> None:
        """Free the kdamonds and forget it all; every kdamond must be off.

        Raise a KernelError or StateUnwritable; then it is to be asked again.
        """
        record = self._record
        if record is not None and self._count() == len(record.kdamonds):
            self._damon.write(NR_KDAMONDS, "0")
        self._record, self._may_run = None, False
        self._state.forget()

    def _recognised(self, found: int, record: Record | None) -> Record | None:
        """Return the record of kdamonds that carry our signature, a new one if it was lost.

        None: they do not carry it, so they are somebody else's; or without a record they may be
        those of the other driver, which allocates another number. To start one of native again in
        the same boot is what its kernel does not survive.
        """
        if record is not None and len(record.kdamonds) == found:
            # Where a change was cut off, the signature may have been about to be written.
            sure = [k for k, held in enumerate(record.kdamonds) if held.committed]
            if record.is_signed and sure:
                is_ours = any(is_signed(self._damon, k) for k in sure)
            else:
                is_ours = self._is_as_we_left_it(record)
            return record if is_ours else None
        signed = {k for k in range(found) if is_signed(self._damon, k)}
        if not signed or found != self._wanted:
            return None
        if any(self._damon.read(state_path(k)) == "on" for k in range(found) if k not in signed):
            return None
        lost = Record(self._state.boot_id, (Slots(),) * found, is_signed=True, native=self._native)
        self._state.save(lost)
        return lost

    def _is_as_we_left_it(self, record: Record) -> bool:
        """Say whether an agent that was killed early may have left this: no signature tells.

        Before the signature nothing is on and nobody is a target, and one kdamond is signed after
        the other. Later no target is anybody whom the record does not name.
        """
        is_begun = False
        for kdamond, held in enumerate(record.kdamonds):
            base = kdamond_path(kdamond)
            if self._damon.found(f"{base}/{COUNTS[0]}") in {None, "0"}:
                continue
            if not record.is_signed and not is_signed(self._damon, kdamond):
                if is_begun or self._damon.read(state_path(kdamond)) == "on":
                    return False
                is_begun = True
            known = {"0", str(TOMBSTONE_PID), *(str(process.pid) for process in held.carried)}
            if not self._targets(base) <= known:
                return False
        return True

    def _targets(self, base: str) -> set[str | None]:
        """Return the pids in the files of a kdamond; 0 where none was written."""
        number = int(self._damon.found(f"{base}/{COUNTS[1]}") or 0)
        targets = f"{base}/{CONTEXT}/targets"
        return {self._damon.found(f"{targets}/{target}/pid_target") for target in range(number)}

    def _lock(self) -> None:
        try:
            self._state.lock()
        except AlreadyRunning as error:
            raise Blocked(NodeReason.DAMON_BUSY, str(error)) from error

    def _count(self) -> int:
        try:
            text = self._damon.read(NR_KDAMONDS)
        except Missing as error:
            raise Blocked(
                NodeReason.NO_DAMON,
                f"there is no {NR_KDAMONDS}: the kernel has no DAMON sysfs interface "
                "(CONFIG_DAMON_SYSFS), or it is not mounted where the agent looks",
            ) from error
        return int(text)


class Foreign(Blocked):
    """The kdamonds that are there are certainly not ours."""


def _of_another_driver(record: Record) -> Blocked:
    if record.native:
        return Blocked(
            NodeReason.NATIVE_SPENT,
            "another driver, native, has used DAMON since the machine started: start the agent "
            "with --driver=native and mode Off, then reboot the node",
        )
    return Blocked(
        NodeReason.NATIVE_REFUSED,
        "another driver, lanes, has kdamonds on this node: start the agent with --driver=lanes "
        "and mode Off first",
    )


def _foreign(found: int) -> Foreign:
    return Foreign(
        NodeReason.DAMON_BUSY,
        f"{NR_KDAMONDS} is {found}, and this agent did not write it: somebody else uses DAMON; "
        "nothing is touched until it reads 0. If they are left over and nobody's, end them: write "
        "off to the state of each, then 0 to nr_kdamonds",
    )
