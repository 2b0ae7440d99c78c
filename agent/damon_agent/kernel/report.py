"""What a driver says about a step, and the driver's protocol. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from damon_agent.facts import Process
from damon_agent.kernel.intent import Intent
from damon_contract.v1alpha1.node import Lane, NodeReason

IDLE_US: Final = 5_000_000
"""How soon a driver looks again when there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look at a lane has found."""

    taken_us: int
    hot_bytes: Mapping[Process, int] | None
    """Address space in use, by process; None: it can't be told whose the regions are."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that holds the plan back. It is gone from the first report after its cause is."""

    reason: NodeReason
    message: str
    """For people: what is the case, and what to do if it is not ours to mend."""


class Blocked(Exception):  # noqa: N818 - says what is the case
    """DAMON is not to be had, for a reason that a report carries."""

    def __init__(self, reason: NodeReason, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(reason, message)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one step."""

    driver_name: Literal["lanes", "native"]
    features: tuple[str, ...]
    lanes: tuple[Lane, ...] = ()
    """Least important first; cold bytes are not a driver's business."""
    placed: Mapping[str, int] = field(default_factory=dict)
    """pod_uid -> kdamond, of pods with at least one process that the kernel has taken."""
    faults: tuple[Fault, ...] = ()
    applied: bool = False
    """Whether the kernel has taken this plan since it came; what changes later on a node, such as
    a process or the memory, is followed and does not make it untrue."""
    at_rest: bool = False
    """Whether everything wanted at this moment is in the kernel."""
    reclaims: bool = False
    """Whether some scheme may reclaim now, if the agent does nothing more. It is said as well where
    nobody could look whether what an earlier agent left does."""
    next_step_us: int = 0
    """When the next step is due at the latest, on the clock of `now_us`."""
    is_awake: bool = False
    """Whether some lane of the ladder may reclaim as soon as the kernel's watermark lets it."""
    surveys: Mapping[int, Survey] = field(default_factory=dict)
    """By kdamond: where its processes are in use; absent until it is known."""


class Driver(Protocol):
    """A way to get an intent into the kernel."""

    def step(self, intent: Intent | None, now_us: int) -> Report:
        """Bring the kernel nearer to the intent, without ever blocking, and say how far it is.

        None, or mode Off: switch everything off and give it back. `now_us` is monotonic.
        """
        ...
