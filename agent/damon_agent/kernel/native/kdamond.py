"""The native driver's one kdamond: no write of `state` without a living thread.

When the kernel RFC's tuner crashes, the kdamond's thread is gone while `state` goes on reading "on"
and `pid` the dead thread's number, which is somebody else's at once. A keyword then hangs its
writer for ever, with DAMON's lock held, and `off` crashes it. So the thread is looked up by number
and name before every keyword.
"""

from collections.abc import Callable
from typing import Final

from damon_agent.kernel.tree.commands import Commands, Keyword
from damon_agent.kernel.tree.kdamond import Kdamond, Spent
from damon_agent.kernel.tree.sysfs import Sysfs, kdamond_path

KDAMOND: Final = 0
"""The index of the only kdamond."""

PATIENCE_US: Final = 30_000_000
"""After which a command counts as hung: the kernel's own schemes may sleep for 5 s, and an
aggregation, a sample or an update may have to end first. Nothing is done about it: `off`, which
would free it, is to be had once per boot."""


class Crashed(Exception):  # noqa: N818 - says what is the case
    """The kdamond's thread is gone although its state is on."""


class NativeKdamond(Kdamond):
    """Kdamond 0 and its thread."""

    def __init__(
        self,
        damon: Sysfs,
        commands: Commands,
        spent_us: Spent,
        comm: Callable[[int], str | None],
    ) -> None:
        """`comm` returns the name of a thread by its pid on the host, None if there is none."""
        super().__init__(KDAMOND, damon, commands, spent_us)
        self._comm = comm
        self._thread = 0

    @property
    def is_on(self) -> bool:  # type: ignore[explicit-override]  # typing.override is of 3.12
        """Whether it runs; raise Crashed if its state says so and there is no such thread."""
        if not super().is_on:
            return False
        self._thread = int(self.read("pid"))
        # It may have ended by itself between two reads.
        if not self._lives() and super().is_on:
            raise Crashed(f"kdamond {KDAMOND} reads on, but its thread {self._thread} is gone")
        return self._lives()

    def read(self, path: str) -> str:
        """Return what a file below the kdamond reads; raise KernelError."""
        return self._damon.read(f"{kdamond_path(KDAMOND)}/{path}")

    def tell(self, keyword: Keyword, now_us: int) -> None:
        """Write a keyword; any but `on` only if it runs, and the next step sees why it does not.

        Raise Crashed, KernelError; then nothing is written.
        """
        if keyword is Keyword.ON or self.is_on:
            self.start(keyword, now_us, PATIENCE_US)

    def hangs(self, now_us: int) -> bool:  # type: ignore[explicit-override]  # as above
        """Say whether a command takes too long; raise Crashed if it can't come back any more."""
        if not super().hangs(now_us):
            return False
        if self._thread and not self._lives():
            raise Crashed(f"a command does not come back, and thread {self._thread} is gone")
        return True

    def _lives(self) -> bool:
        return (self._comm(self._thread) or "").startswith("kdamond")
