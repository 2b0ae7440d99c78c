"""The figures of one lane, and when the kernel is asked for them. Nothing depends on an answer."""

from collections.abc import Callable
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel.lanes.moves import NEVER_US
from damon_agent.kernel.lanes.surveyor import Surveyor
from damon_agent.kernel.report import Survey
from damon_agent.kernel.schemes import RECLAIM
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree.files import KdamondFiles

COUNTERS_US: Final = 60_000_000
"""How often the kernel is asked for its counters. Each lane's question wakes the agent twice."""


class Figures:
    """What the kernel has counted of the acting scheme, and where processes are in use."""

    def __init__(self, files: KdamondFiles, surveyor: Surveyor | None) -> None:
        """`surveyor`: None where this kernel shows no regions (before 6.2)."""
        self.tried_bytes = 0
        self.applied_bytes = 0
        self.snapshots = 0
        """Applications of the scheme to a target; 0 where the kernel does not count them."""
        self.counters_us = 0
        """When to ask for counters."""
        self._files = files
        self._surveyor = surveyor

    @property
    def survey(self) -> Survey | None:
        """Where the processes are in use, as far as it is known."""
        return None if self._surveyor is None else self._surveyor.last

    def regions_us(self, now_us: int) -> int:
        """Return when to ask for regions."""
        return NEVER_US if self._surveyor is None else self._surveyor.due_us(now_us)

    def ask_counters(self, now_us: int) -> None:
        """Note that the kernel is asked for its counters now."""
        self.counters_us = now_us + COUNTERS_US

    def ask_regions(self, cold_age: int, now_us: int) -> Callable[[], None]:
        """Return what to do once the kernel has shown the regions: on the command's thread."""
        return (lambda: None) if self._surveyor is None else self._surveyor.begin(cold_age, now_us)

    def started(self, now_us: int) -> None:
        """Note that the kdamond counts from now on."""
        self.tried_bytes = self.applied_bytes = self.snapshots = 0
        self.counters_us = now_us + COUNTERS_US

    def changed(self, now_us: int) -> None:
        """Note that something of the lane changes: more is likely to follow."""
        if self._surveyor is not None:
            self._surveyor.disturbed(now_us)

    def read_counters(self) -> None:
        """Take in what the kernel has counted; raise KernelError."""
        self.tried_bytes = self._files.counter(RECLAIM, "sz_tried")
        self.applied_bytes = self._files.counter(RECLAIM, "sz_applied")
        self.snapshots = self._files.counter(RECLAIM, "nr_snapshots")

    def read_regions(self, slots: Slots, alive: Callable[[Process], bool], now_us: int) -> None:
        """Take in what was read; `slots` are those it was asked for."""
        if self._surveyor is not None:
            self._surveyor.end(slots, alive, now_us)

    def ended(self) -> None:
        """Note that the kdamond does not run."""
        if self._surveyor is not None:
            self._surveyor.forget()
