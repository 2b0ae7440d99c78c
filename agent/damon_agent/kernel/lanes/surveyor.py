"""One lane's surveys: asking the kernel, reading what it shows, and clearing that away."""

from collections.abc import Callable

from damon_agent.facts import Process
from damon_agent.kernel.lanes.survey import MOST_REGIONS, Stretch, attribute, stretches
from damon_agent.kernel.lanes.survey_schedule import SurveySchedule
from damon_agent.kernel.report import Survey
from damon_agent.kernel.schemes import MONITOR
from damon_agent.kernel.slots import Slots
from damon_agent.kernel.tree.commands import Keyword
from damon_agent.kernel.tree.errors import KernelError
from damon_agent.kernel.tree.features import CONTEXT
from damon_agent.kernel.tree.sysfs import Sysfs, kdamond_path, state_path


class Surveyor:
    """Keeps the last survey of a lane while the lane is on."""

    def __init__(self, kdamond: int, damon: Sysfs, schedule: SurveySchedule) -> None:
        self.last: Survey | None = None
        self._kdamond = kdamond
        self._tried = f"{kdamond_path(kdamond)}/{CONTEXT}/schemes/{MONITOR}/tried_regions"
        self._damon = damon
        self._schedule = schedule
        self._count = 0
        self._found: tuple[Stretch, ...] | None = None

    def due_us(self, now_us: int) -> int:
        """Return when the next survey may begin."""
        self._schedule.enter(self._kdamond, now_us)
        return self._schedule.due_us(self._kdamond)

    def disturbed(self, now_us: int) -> None:
        """Put surveys off for a while: the lane changes."""
        self._schedule.disturbed(now_us)

    def begin(self, cold_age: int, now_us: int) -> Callable[[], None]:
        """Return what to do once the kernel has shown the regions: on the command's thread."""
        self._schedule.began(self._kdamond, now_us)
        self._count, self._found = 0, None

        def read() -> None:
            # Not 0, 1, 2 everywhere: 6.18 counts 1, 3, 5, and on from there the next time.
            numbers = sorted(
                int(name) for name in self._damon.list(self._tried) if name.isdecimal()
            )
            self._count = len(numbers)
            if self._count <= MOST_REGIONS:
                self._found = stretches(
                    lambda number, name: int(self._damon.read(f"{self._tried}/{number}/{name}")),
                    numbers,
                    cold_age,
                )
            self._clear()

        return read

    def end(self, slots: Slots, alive: Callable[[Process], bool], now_us: int) -> None:
        """Take in what was read; `slots` are those it was asked for."""
        self._schedule.read(self._kdamond, self._count, now_us)
        found, self._found = self._found, None
        # Whoever has died meanwhile may or may not have had regions.
        whole = found is not None and all(map(alive, slots.occupants))
        self.last = Survey(now_us, attribute(found, slots) if found and whole else None)

    def forget(self) -> None:
        """Drop everything: the lane is not on."""
        self.last = self._found = None
        self._schedule.forget(self._kdamond)

    def _clear(self) -> None:
        """Give the kernel its memory back: six files a region.

        The context is there and was running a moment ago, which is what this keyword needs. What
        can't be cleared now is replaced by the next survey.
        """
        keyword = Keyword.CLEAR_SCHEMES_TRIED_REGIONS
        try:
            self._damon.write(state_path(self._kdamond), keyword.value)
        except KernelError:
            return
