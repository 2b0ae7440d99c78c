"""The figures of one lane: what its acting scheme has done, and where its processes are in use.

Nothing depends on an answer.
"""

from collections.abc import Callable

from damon_agent.facts import Process
from damon_agent.kernel.lanes.moves import NEVER_US
from damon_agent.kernel.lanes.survey import MOST_REGIONS, Stretch, attribute, stretches
from damon_agent.kernel.lanes.survey_schedule import SurveySchedule
from damon_agent.kernel.report import Survey
from damon_agent.kernel.schemes import MONITOR, RECLAIM
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree.commands import Keyword
from damon_agent.kernel.tree.errors import KernelError
from damon_agent.kernel.tree.features import CONTEXT, Features
from damon_agent.kernel.tree.kdamond import COUNTERS_US, Kdamond
from damon_agent.kernel.tree.sysfs import Sysfs, kdamond_path, state_path


class Figures:
    """Asks the kernel, reads what it shows, and clears that away; keeps it while the lane is on."""

    def __init__(
        self, kernel: Kdamond, damon: Sysfs, schedule: SurveySchedule, features: Features
    ) -> None:
        """`schedule`: shared by the lanes of a node."""
        self.tried_bytes = 0
        self.applied_bytes = 0
        self.snapshots = 0
        """Applications of the scheme to a target; 0 where the kernel does not count them."""
        self.counters_us = 0
        """When to ask for counters."""
        self.survey: Survey | None = None
        """Where the processes are in use, as far as it is known."""
        self._files = kernel.files
        self._kdamond = kernel.index
        self._damon = damon
        self._schedule = schedule
        # Kernels before 6.2 show no regions.
        self._shows_regions = "tried_regions" in features
        self._tried = f"{kdamond_path(kernel.index)}/{CONTEXT}/schemes/{MONITOR}/tried_regions"
        self._regions = 0
        self._found: tuple[Stretch, ...] | None = None

    def started(self, now_us: int) -> None:
        """Note that the kdamond counts from now on."""
        self.tried_bytes = self.applied_bytes = self.snapshots = 0
        self.counters_us = now_us + COUNTERS_US

    def changed(self, now_us: int) -> None:
        """Note that something of the lane changes: more is likely to follow."""
        self._schedule.disturbed(now_us)

    def ended(self) -> None:
        """Note that the kdamond does not run."""
        self.survey = self._found = None
        self._schedule.forget(self._kdamond)

    # Counters

    def ask_counters(self, now_us: int) -> None:
        """Note that the kernel is asked for its counters now."""
        self.counters_us = now_us + COUNTERS_US

    def read_counters(self) -> None:
        """Take in what the kernel has counted; raise KernelError."""
        self.tried_bytes = self._files.counter(RECLAIM, "sz_tried")
        self.applied_bytes = self._files.counter(RECLAIM, "sz_applied")
        self.snapshots = self._files.counter(RECLAIM, "nr_snapshots")

    # Regions

    def regions_us(self, now_us: int) -> int:
        """Return when to ask for regions."""
        if not self._shows_regions:
            return NEVER_US
        return self._schedule.due_us(self._kdamond, now_us)

    def ask_regions(self, cold_age: int, now_us: int) -> Callable[[], None]:
        """Return what to do once the kernel has shown the regions: on the command's thread."""
        self._schedule.began(self._kdamond, now_us)
        self._regions, self._found = 0, None

        def read() -> None:
            # Not 0, 1, 2 everywhere: 6.18 counts 1, 3, 5, and on from there the next time.
            numbers = sorted(
                int(name) for name in self._damon.list(self._tried) if name.isdecimal()
            )
            self._regions = len(numbers)
            if self._regions <= MOST_REGIONS:
                self._found = stretches(
                    lambda number, name: int(self._damon.read(f"{self._tried}/{number}/{name}")),
                    numbers,
                    cold_age,
                )
            self._clear()

        return read

    def read_regions(self, slots: Slots, alive: Callable[[Process], bool], now_us: int) -> None:
        """Take in what was read; `slots` are those it was asked for."""
        self._schedule.read(self._kdamond, self._regions, now_us)
        found, self._found = self._found, None
        # Whoever has died meanwhile may or may not have had regions.
        whole = found is not None and all(map(alive, slots.occupants))
        self.survey = Survey(now_us, attribute(found, slots) if found and whole else None)

    def _clear(self) -> None:
        """Give the kernel its memory back: six files a region.

        The context is there and was running a moment ago, which is what this keyword needs. What
        can't be cleared now is replaced by the next survey.
        """
        try:
            self._damon.write(state_path(self._kdamond), Keyword.CLEAR_SCHEMES_TRIED_REGIONS.value)
        except KernelError:
            return
