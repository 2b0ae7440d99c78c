"""What runs in the machine: pods with known memory, and what happens to them step by step. Data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from efficacy.schedule import CONTENDERS
from efficacy.workloads import Workload, file, heap, keys, redis, spike, stream

PROTECTED_FROM: Final = 80
"""The priority from which a pod is protected by default (DamonTuning, protectFrom)."""


@dataclass(frozen=True, slots=True)
class PodPlan:
    """A pod with one container."""

    name: str
    priority: int
    workload: Workload

    @property
    def is_protected(self) -> bool:
        """Tell whether its priority protects it by default."""
        return self.priority >= PROTECTED_FROM


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run."""

    name: str
    lasts_s: float
    wakes: str = ""
    """A pod that wakes at its beginning, or falls asleep if it is awake."""
    satisfies: str = ""
    """Ends when this pod has the memory that it asked for; `lasts_s` is then the longest."""


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


CRITICAL: Final = PodPlan("critical", 90, keys(200))
IDLE: Final = PodPlan("idle", 10, heap(250, hot_mib=5, period_ms=20))
BATCH: Final = PodPlan("batch", 50, heap(150, hot_mib=30, period_ms=3000))
STREAM: Final = PodPlan("stream", 50, stream(400, mib_per_s=20))
SPIKE: Final = PodPlan("spike", 60, spike(250))
COLD: Final = Step("cold", 60)
"""The step whose end is `before the spike`."""
SPIKE_STEPS: Final = (COLD, Step("spike", 90, "spike", "spike"), Step("hold", 20))

SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "main",
            "A low-priority pod is cold, a middle one has a hot part, memory is asked for at once",
            (CRITICAL, IDLE, BATCH, STREAM, SPIKE),
            SPIKE_STEPS,
            contenders=CONTENDERS,
        ),
        Scenario(
            "redis",
            "As main, and the critical pod is redis under load instead of a program made for this",
            (replace(CRITICAL, workload=redis(150)), IDLE, BATCH, STREAM, SPIKE),
            SPIKE_STEPS,
            contenders=("none", "memory_min", "loop", "enforce"),
        ),
        Scenario(
            "low_is_hot",
            "The low-priority pod is the one that is used, the critical one is cold",
            (
                replace(CRITICAL, workload=heap(250, hot_mib=0, period_ms=20)),
                replace(IDLE, name="busy", workload=keys(200, hot_permille=1000)),
                BATCH,
                STREAM,
                SPIKE,
            ),
            SPIKE_STEPS,
        ),
        Scenario(
            "diurnal",
            "A low-priority pod is cold for a minute, then at work, and that again; no spike",
            (CRITICAL, PodPlan("office", 10, keys(200, awake=False)), BATCH, STREAM),
            (
                COLD,
                Step("day", 30, "office"),
                Step("night", 45, "office"),
                Step("next_day", 30, "office"),
            ),
        ),
        Scenario(
            "no_swap",
            "There is no swap: nothing cold can be given up, is anything made worse?",
            (CRITICAL, IDLE, BATCH, STREAM, replace(SPIKE, workload=spike(100))),
            SPIKE_STEPS,
            has_swap=False,
            contenders=("none", "loop", "enforce", "enforce_reclaim"),
        ),
        Scenario(
            "page_cache",
            "What is cold is page cache: read by one low-priority pod, mapped by the other",
            (
                PodPlan("kept", 90, file("kept", "read", 150, hot_mib=150, period_ms=5000)),
                PodPlan("reads", 10, file("reads", "read", 150, hot_mib=20)),
                PodPlan("maps", 10, file("maps", "map", 150, hot_mib=20)),
                replace(SPIKE, workload=spike(500)),
            ),
            # A pod is asked for 5 % in 6 s at most: the cold part needs minutes.
            (replace(COLD, lasts_s=180), *SPIKE_STEPS[1:]),
            contenders=("none", "loop", "enforce", "enforce_reclaim"),
        ),
        Scenario(
            "no_damon",
            "The kernel has no DAMON, there is swap, and all is as in main",
            (CRITICAL, IDLE, BATCH, STREAM, SPIKE),
            SPIKE_STEPS,
            has_damon=False,
            contenders=("none", "loop", "enforce_reclaim"),
        ),
    )
}
