"""What a scenario is made of: pods with known memory, and what happens to them step by step."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from efficacy.workloads import Workload

PROTECTED_FROM: Final = 80
"""The priority from which a pod is protected by default (DamonTuning, protectFrom)."""
Action = Literal["", "reverse_priorities", "kill_agent", "start_agent"]


@dataclass(frozen=True, slots=True)
class PodPlan:
    """A pod with one container."""

    name: str
    priority: int
    workload: Workload
    is_last: bool = False
    """It starts when all others have their memory, and so what it shares is theirs."""

    @property
    def is_protected(self) -> bool:
        """Tell whether its priority protects it by default."""
        return self.priority >= PROTECTED_FROM


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run."""

    name: str
    lasts_s: float
    wakes: tuple[str, ...] = ()
    """Pods that wake at its beginning, or fall asleep if they are awake."""
    satisfies: str = ""
    """Ends when this pod has the memory that it asked for; `lasts_s` is then the longest."""
    stagger_s: float = 0
    """Between one pod that wakes and the next."""
    action: Action = ""
    """What else is done at its beginning, after the last pod was woken."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A question, and the pods and steps that answer it."""

    name: str
    question: str
    pods: tuple[PodPlan, ...]
    steps: tuple[Step, ...]
    has_swap: bool = True
    has_damon: bool = True
    """Whether the agent finds DAMON's files: without, it is as on a kernel that has none."""
    contenders: tuple[str, ...] = ("none", "loop", "enforce")
    """Those that are compared in it unless others are asked for."""

    def lasting(self, seconds: Mapping[str, float]) -> "Scenario":
        """Return it with other lengths of the steps of these names."""
        steps = (replace(s, lasts_s=seconds.get(s.name, s.lasts_s)) for s in self.steps)
        return replace(self, steps=tuple(steps))
