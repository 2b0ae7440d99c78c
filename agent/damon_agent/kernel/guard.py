"""What becomes of the errors of a driver's step: each is told, and tried again. Pure but for them.

One ladder for both drivers: EBUSY in milliseconds and silently at first, everything else with its
reason and once a second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from damon_agent.kernel.report import Blocked, Fault
from damon_agent.kernel.tree.backoff import Backoff
from damon_agent.kernel.tree.errors import Busy, KernelError, StateUnwritable
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


class Guard:
    """Runs steps; remembers how long DAMON's sysfs has been locked."""

    def __init__(self) -> None:
        self._busy = Backoff(5_000, 50_000)

    def run(self, step: Callable[[], None], now_us: int) -> Obstacle | None:
        """Do a step; None: nothing was in its way."""
        try:
            step()
        except Busy as error:
            self._busy.lengthen(now_us)
            return Obstacle(self.locked(error, now_us), self._busy.until_us)
        except Blocked as blocked:
            faults = (blocked.fault,)
        except StateUnwritable as error:
            message = f"{error}; nothing is changed until it works"
            faults = (Fault(NodeReason.STATE_UNWRITABLE, message),)
        except KernelError as error:
            faults = (Fault(error.reason, str(error)),)
        else:
            self._busy.clear()
            return None
        self._busy.clear()
        return Obstacle(faults, now_us + RETRY_US)

    def locked(self, error: Busy, now_us: int) -> tuple[Fault, ...]:
        """Return what to tell of an EBUSY: nothing, until it lasts."""
        if now_us - self._busy.since_us <= LOCKED_US:
            return ()
        message = f"{error}; something else keeps DAMON's sysfs locked, or uses DAMON exclusively"
        return (Fault(NodeReason.SYSFS_LOCKED, message),)
