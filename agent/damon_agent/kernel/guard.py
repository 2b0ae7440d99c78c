"""What becomes of the errors of a driver's step: each is told, and tried again. Pure but for them.

One ladder for both drivers: EBUSY in milliseconds and silently at first, everything else with its
reason and once a second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from damon_agent.kernel.report import Blocked, Fault
from damon_agent.kernel.tree.errors import Busy, KernelError, StateUnwritable
from damon_agent.kernel.tree.retry_delay import RetryDelay
from damon_contract.v1alpha1.node import NodeReason

RETRY_US: Final = 1_000_000
"""How soon to look again whether DAMON is to be had."""

LOCKED_US: Final = 5_000_000
"""How long EBUSY may last before it is worth telling: no command of ours takes as long."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a step did not come to its end."""

    faults: tuple[Fault, ...]
    """What to tell; empty while it is too early for that."""
    retry_us: int
    """When to try again."""


class SysfsLock:
    """Remembers how long DAMON's sysfs has been locked; says so once it lasts."""

    def __init__(self) -> None:
        self._delay = RetryDelay(5_000, 50_000)

    @property
    def until_us(self) -> int:
        """Nothing at all before this."""
        return self._delay.until_us

    def message(self, error: Busy, now_us: int) -> str | None:
        """Note an EBUSY; return what to tell of it, None while it is too early for that."""
        self._delay.lengthen(now_us)
        if now_us - self._delay.since_us <= LOCKED_US:
            return None
        return f"{error}; something else keeps DAMON's sysfs locked, or uses DAMON exclusively"

    def clear(self) -> None:
        """Note that nothing was locked."""
        self._delay.clear()


class Guard:
    """Runs steps."""

    def __init__(self) -> None:
        self._lock = SysfsLock()

    def run(self, step: Callable[[], None], now_us: int) -> Obstacle | None:
        """Do a step; None: nothing was in its way."""
        try:
            step()
        except Busy as error:
            message = self._lock.message(error, now_us)
            faults = () if message is None else (Fault(NodeReason.SYSFS_LOCKED, message),)
            return Obstacle(faults, self._lock.until_us)
        except Blocked as blocked:
            fault = blocked.fault
        except StateUnwritable as error:
            message = f"{error}; nothing is changed until it works"
            fault = Fault(NodeReason.STATE_UNWRITABLE, message)
        except KernelError as error:
            fault = Fault(error.reason, str(error))
        else:
            self._lock.clear()
            return None
        self._lock.clear()
        return Obstacle((fault,), now_us + RETRY_US)
