"""Making DAMON's kdamonds ours, knowing that they are, and giving them back.

sysfs has no owner: writing nr_kdamonds destroys whatever stopped kdamonds others had set up. So
nothing is claimed unless there was nothing, the record says so before the write, and a number of
kdamonds that the record does not explain is somebody else's.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

from damon_agent.kernel.errors import AlreadyRunning, KernelError, Missing
from damon_agent.kernel.exclusive import resume_damon_stat, stop_damon_stat
from damon_agent.kernel.features import (
    CONTEXT,
    COUNTS,
    DIRECTORIES,
    Features,
    parse,
)
from damon_agent.kernel.record import Record, RecordStore
from damon_agent.kernel.report import Withheld
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.sysfs import Sysfs
from damon_contract.v1alpha1.node import NodeReason

NR_KDAMONDS: Final = "admin/kdamonds/nr_kdamonds"


def kdamond_path(kdamond: int) -> str:
    """Return the directory of a kdamond."""
    return f"admin/kdamonds/{kdamond}"


class Claim:
    """The kdamonds of this node, from the first write to the last."""

    def __init__(
        self,
        damon: Sysfs,
        module: Sysfs,
        store: RecordStore,
        *,
        driver: Literal["lanes", "native"],
        kdamonds: int,
    ) -> None:
        self._damon = damon
        self._module = module
        self._store = store
        self._driver = driver
        self._wanted = kdamonds
        self._locked = False
        self._epoch = 0
        self._record: Record | None = None

    @property
    def record(self) -> Record | None:
        """The record, while kdamonds are ours."""
        return self._record

    @property
    def kdamonds(self) -> int:
        """How many kdamonds are ours."""
        return 0 if self._record is None else self._record.nr_kdamonds

    @property
    def epoch(self) -> int:
        """Counts how often kdamonds became ours: whoever remembers more compares it."""
        return self._epoch

    def adopt(self) -> Record | None:
        """Return the record if what it says we allocated is there; raise Withheld if others' is.

        None: there is no kdamond at all. Raise a KernelError or StateUnwritable as well.
        """
        self._lock()
        found = self._count()
        record = self._store.load() if self._record is None else self._record
        if record is not None and found and found == record.nr_kdamonds:
            if self._record is None:
                self._own(record)
            return record
        self._record = None
        if found:
            raise Withheld(
                NodeReason.DAMON_BUSY,
                f"{NR_KDAMONDS} is {found}, and this agent did not write it: somebody else uses "
                "DAMON; nothing is touched until it reads 0",
            )
        if record is not None and record.armed:
            raise Withheld(
                NodeReason.NATIVE_SPENT,
                "the kernel's own priority tuner has run since the machine started and its "
                "kdamonds are gone: allocating new ones would crash this kernel; reboot the node",
            )
        if record is not None:
            self._resume_damon_stat(record)
            self._store.remove()
        return None

    def take(self) -> Record:
        """Adopt what is ours, or allocate; the errors are those of `adopt`."""
        record = self.adopt()
        if record is not None:
            return record
        new = Record(
            boot_id=self._store.boot_id,
            driver=self._driver,
            nr_kdamonds_found=0,
            nr_kdamonds=self._wanted,
            kdamonds=(Slots(),) * self._wanted,
        )
        self._store.save(new)
        try:
            self._damon.write(NR_KDAMONDS, str(self._wanted))
        except KernelError:
            self._store.remove()  # or it would speak for whoever allocates as many
            raise
        self._own(new)
        return new

    def stop_damon_stat(self) -> None:
        """Switch DAMON_STAT off if it is on, and remember to switch it on again.

        To be asked when no kdamond of ours runs; raise Withheld, KernelError, StateUnwritable.
        """
        record = self._record
        # An RFC kernel whose tuner has run survives no second start of anything of DAMON.
        if record is not None and not record.armed:
            stop_damon_stat(
                self._module, lambda: self.keep(replace(record, stopped_damon_stat=True))
            )

    def note(self, kdamond: int, slots: Slots, shift_permille: int | None = None) -> None:
        """Record the list of a kdamond, before the writes it covers; raise StateUnwritable."""
        record = self._record
        if record is None:
            raise Withheld(NodeReason.DAMON_BUSY, "the kdamonds are not ours any more")
        kdamonds = tuple(
            slots if index == kdamond else held for index, held in enumerate(record.kdamonds)
        )
        self.keep(
            replace(record, driver=self._driver, kdamonds=kdamonds, shift_permille=shift_permille)
        )

    def keep(self, record: Record) -> None:
        """Replace the record, before the writes it covers; raise StateUnwritable."""
        if record != self._record:
            self._store.save(record)
            self._record = record

    def give_back(self) -> None:
        """Restore nr_kdamonds and forget it all; every kdamond must be off.

        In a boot in which the RFC kernel's tuner has run, the kdamonds stay: recreating them makes
        that kernel use freed memory.
        """
        record = self._record
        if record is not None and record.armed:
            return
        if record is not None:
            self._resume_damon_stat(record)
        if record is not None and self._count() == record.nr_kdamonds:
            self._damon.write(NR_KDAMONDS, str(record.nr_kdamonds_found))
        self._record = None
        self._store.remove()

    def _resume_damon_stat(self, record: Record) -> None:
        """Do it before the record goes: whoever is killed in between does it again."""
        if record.stopped_damon_stat:
            resume_damon_stat(self._module)

    def _own(self, record: Record) -> None:
        self._record = record
        self._epoch += 1

    def _lock(self) -> None:
        if self._locked:
            return
        try:
            self._store.lock()
        except AlreadyRunning as error:
            raise Withheld(NodeReason.DAMON_BUSY, str(error)) from error
        self._locked = True

    def _count(self) -> int:
        try:
            text = self._damon.read(NR_KDAMONDS)
        except Missing as error:
            raise Withheld(
                NodeReason.NO_DAMON,
                f"there is no {NR_KDAMONDS}: the kernel has no DAMON sysfs interface "
                "(CONFIG_DAMON_SYSFS), or it is not mounted where the agent looks",
            ) from error
        return int(text)


def probe(damon: Sysfs, kdamonds: int, is_off: Callable[[int], bool]) -> Features:
    """Return the features, creating a context, a target and a scheme in a stopped kdamond to look.

    Raise Withheld where DAMON cannot monitor virtual address spaces; raise KernelError.
    """
    chosen = next((k for k in range(kdamonds) if _is_complete(damon, k)), None)
    if chosen is None:
        chosen = next((k for k in range(kdamonds) if is_off(k)), 0)
        for count in COUNTS:
            path = f"{kdamond_path(chosen)}/{count}"
            if damon.read(path) == "0":
                damon.write(path, "1")
    base = kdamond_path(chosen)
    if "vaddr" not in damon.read(f"{base}/{CONTEXT}/avail_operations").split():
        raise Withheld(
            NodeReason.UNSUPPORTED,
            "this kernel's DAMON cannot monitor processes: the operations set vaddr "
            "(CONFIG_DAMON_VADDR) is missing",
        )
    return parse({name: damon.list(f"{base}/{name}") for name in DIRECTORIES}.__getitem__)


def _is_complete(damon: Sysfs, kdamond: int) -> bool:
    return all(
        damon.found(f"{kdamond_path(kdamond)}/{count}") not in {None, "0"} for count in COUNTS
    )
