"""What a driver says about a step, and the driver's protocol. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from damon_agent.kernel.intent import Intent
from damon_agent.kernel.ladder import Role
from damon_agent.kernel.survey import Survey
from damon_contract.v1alpha1.node import NodeReason


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that holds the plan back. It is gone from the first report after its cause is."""

    reason: NodeReason
    message: str
    """For people: what is the case, and what to do if it is not ours to mend."""


class Withheld(Exception):  # noqa: N818 - says what is the case
    """DAMON is not to be had, for a reason that a report carries."""

    def __init__(self, reason: NodeReason, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(reason, message)


@dataclass(frozen=True, slots=True)
class LaneReport:
    """One lane in use; the fields mean those of damon_contract.v1alpha1.node.Lane."""

    kdamond: int
    priorities: tuple[int, ...]
    role: Role
    mark_permille: int | None
    """Of available memory; `kernel_mark_permille` is what the kernel compares free memory with."""
    kernel_mark_permille: int | None
    pods: int
    targets: int
    state: Literal["on", "off"]
    active: bool
    tried_bytes: int
    applied_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one step."""

    driver_name: Literal["lanes", "native"]
    features: tuple[str, ...]
    lanes: tuple[LaneReport, ...]
    """Least important first."""
    placed: Mapping[str, int]
    """pod_uid -> kdamond, of pods with at least one process that the kernel has taken."""
    faults: tuple[Fault, ...]
    settled: bool
    """Whether everything wanted is in the kernel."""
    next_step_us: int
    """When the next step is due at the latest, on the clock of `now_us`."""
    surveys: Mapping[int, Survey] = field(default_factory=dict)
    """By kdamond: where its processes are in use; absent until it is known."""


class Driver(Protocol):
    """A way to get an intent into the kernel."""

    def step(self, intent: Intent | None, now_us: int) -> Report:
        """Bring the kernel nearer to the intent, without ever blocking, and say how far it is.

        None, or mode Off: switch everything off and give it back. `now_us` is monotonic.
        """
        ...
