"""What is wrong with a lane, and how long to leave it alone for that."""

from typing import Final

from damon_agent.kernel.guard import SysfsLock
from damon_agent.kernel.report import Fault
from damon_agent.kernel.tree.errors import Busy
from damon_agent.kernel.tree.retry_delay import RetryDelay
from damon_contract.v1alpha1.node import NodeReason

STABLE_US: Final = 60_000_000
"""A kdamond that has run for so long starts with the shortest delay when it stops again."""


class Trouble:
    """The fault of one lane. EBUSY is tried again in milliseconds, everything else in seconds."""

    def __init__(self, kdamond: int) -> None:
        self.fault: Fault | None = None
        self._kdamond = kdamond
        self.lock = SysfsLock()
        self._failed = RetryDelay(1_000_000, 60_000_000)

    @property
    def retry_us(self) -> int:
        """Neither a start nor a commit before this."""
        return self._failed.until_us

    def is_locked(self, error: Busy, now_us: int) -> None:
        """Note an EBUSY; say so once it lasts longer than any command should."""
        message = self.lock.message(error, now_us)
        if message is not None:
            self._say(NodeReason.SYSFS_LOCKED, message)

    def is_unwritable(self, message: str) -> None:
        """Note that the record can't be written: it is tried again at the next step."""
        self._say(NodeReason.STATE_UNWRITABLE, message)

    def fail(self, reason: NodeReason, message: str, now_us: int) -> None:
        """Note a failure that is worth a pause."""
        self._say(reason, message)
        self._failed.lengthen(now_us)

    def _say(self, reason: NodeReason, message: str) -> None:
        self.fault = Fault(reason, f"kdamond {self._kdamond}: {message}")

    def overcome(self, running_us: int) -> None:
        """Note that the kernel has taken everything; `running_us`: for so long the kdamond runs."""
        self.fault = None
        self._failed.release()
        if running_us > STABLE_US:
            self._failed.clear()
