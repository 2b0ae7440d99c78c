"""The native driver's hand on its one kdamond: no write of `state` without a living thread.

When the kernel RFC's tuner crashes, the kdamond's thread is gone while `state` goes on reading "on"
and `pid` the dead thread's number, which in time becomes somebody else's. A keyword then hangs its
writer for ever, with DAMON's lock held, and `off` crashes it. So the thread is looked up by number
and name before every keyword.
"""

from collections.abc import Callable
from typing import Final, Literal

from damon_agent.kernel.claim import kdamond_path
from damon_agent.kernel.commands import Command, Commands, Keyword, state_path
from damon_agent.kernel.errors import KernelError
from damon_agent.kernel.files import KdamondFiles
from damon_agent.kernel.sysfs import Sysfs

KDAMOND: Final = 0
"""The index of the only kdamond."""

PATIENCE_US: Final = 30_000_000
"""After which a command counts as hung: the kernel's own schemes may sleep for 5 s, and an
aggregation, a sample or an update may have to end first. Nothing is done about it: `off`, which
would free it, is to be had once per boot."""

POLL_US: Final = 20_000

Then = Callable[[KernelError | None, int], None]
"""Takes in what came of a command: its error, and the time."""


class Crashed(Exception):  # noqa: N818 - says what is the case
    """The kdamond's thread is gone although its state is on."""


class NativeKdamond:
    """Kdamond 0: its files, its thread, and at most one command under way."""

    def __init__(self, damon: Sysfs, commands: Commands, comm: Callable[[int], str | None]) -> None:
        """`comm` returns the name of a thread by its pid on the host, None if there is none."""
        self.files = KdamondFiles(damon, kdamond_path(KDAMOND))
        self._damon = damon
        self._commands = commands
        self._comm = comm
        self._pid = -1
        self._command: Command | None = None
        self._then: Then | None = None

    def read(self, path: str) -> str:
        """Return what a file below the kdamond reads; raise KernelError."""
        return self._damon.read(f"{kdamond_path(KDAMOND)}/{path}")

    def clear(self, count: str) -> None:
        """Remove all children of a directory by its nr_* file, if there are any."""
        if self.read(count) != "0":
            self._damon.write(f"{kdamond_path(KDAMOND)}/{count}", "0")

    @property
    def idle(self) -> bool:
        """Whether no command is under way."""
        return self._command is None

    def look(self) -> Literal["on", "off"]:
        """Return its state; raise Crashed if it says on and there is no such thread."""
        if self._damon.read(state_path(KDAMOND)) == "off":
            return "off"
        self._pid = int(self.read("pid"))
        if self._lives():
            return "on"
        # It may have ended by itself between the two reads.
        if self._damon.read(state_path(KDAMOND)) == "off":
            return "off"
        raise Crashed(f"kdamond {KDAMOND} reads on, but its thread {self._pid} is gone")

    def switch_on(self, now_us: int, then: Then) -> None:
        """Write `on`; the caller has looked. Raises only what `then` raises."""
        self._write(Keyword.ON, now_us, then)

    def start(self, keyword: Keyword, now_us: int, then: Then) -> None:
        """Write any other keyword, if the kdamond runs; `then` hears of the outcome.

        Does nothing if it does not run: the next step sees why. Raise Crashed, KernelError, and
        what `then` raises.
        """
        if self.look() == "on":
            self._write(keyword, now_us, then)

    def _write(self, keyword: Keyword, now_us: int, then: Then) -> None:
        self._then = then
        self._command = self._commands.start(KDAMOND, keyword, now_us + PATIENCE_US)
        self.collect(now_us)

    def collect(self, now_us: int) -> bool:
        """Tell `then` about a command that is done; False while one is under way.

        Raise Crashed if it can't come back any more, and whatever `then` raises.
        """
        command, then = self._command, self._then
        if command is None or then is None:
            return True
        if not command.done:
            if command.overdue(now_us) and command.keyword is not Keyword.ON and not self._lives():
                raise Crashed(
                    f"{command.keyword} does not come back, and thread {self._pid} is gone"
                )
            return False
        self._command = self._then = None
        then(command.error, now_us)
        return True

    def hung(self, now_us: int) -> Keyword | None:
        """Return the keyword that should have come back by now."""
        command = self._command
        return command.keyword if command is not None and command.overdue(now_us) else None

    def _lives(self) -> bool:
        return self._pid > 0 and (self._comm(self._pid) or "").startswith("kdamond")
