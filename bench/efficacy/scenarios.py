"""What runs in the machine: pods with known memory, and what happens to them step by step. Data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

PROTECTED_FROM: Final = 80
"""The priority from which a pod is protected by default (DamonTuning, protectFrom)."""
STREAMED_FILE: Final = "/data/streamed"


class Workload(Protocol):
    """The pattern in which a pod uses its memory."""

    def arguments(self) -> Sequence[str]:
        """Return the words of its command line, after the directory (guest/workload.c)."""
        ...

    def cold_mib(self) -> int:
        """Return how much of its memory is not used while it is cold, by how it was made."""
        ...


@dataclass(frozen=True, slots=True)
class Keys:
    """A key-value store under load; it tells how long each operation took."""

    mib: int
    hot_permille: int = 200
    hot_access_percent: int = 90
    awake: bool = True

    def arguments(self) -> Sequence[str]:
        """Return its words."""
        state = "awake" if self.awake else "asleep"
        return ["keys", *map(str, (self.mib, self.hot_permille, self.hot_access_percent)), state]

    def cold_mib(self) -> int:
        """Return all of it while it sleeps, else nothing: each page is used now and then."""
        return 0 if self.awake else self.mib


@dataclass(frozen=True, slots=True)
class Heap:
    """A heap of which a part is touched once in each period."""

    mib: int
    hot_mib: int
    period_ms: int

    def arguments(self) -> Sequence[str]:
        """Return its words."""
        return ["heap", *map(str, (self.mib, self.hot_mib, self.period_ms))]

    def cold_mib(self) -> int:
        """Return what is never touched."""
        return self.mib - self.hot_mib


@dataclass(frozen=True, slots=True)
class Spike:
    """Nothing, until it is woken: then it takes memory, and uses all of it."""

    mib: int

    def arguments(self) -> Sequence[str]:
        """Return its words."""
        return ["spike", str(self.mib)]

    def cold_mib(self) -> int:
        """Return nothing."""
        return 0


@dataclass(frozen=True, slots=True)
class Stream:
    """Reads a file over and over: page cache that nobody needs."""

    mib: int
    mib_per_s: int

    def arguments(self) -> Sequence[str]:
        """Return its words."""
        return ["stream", STREAMED_FILE, str(self.mib), str(self.mib_per_s)]

    def cold_mib(self) -> int:
        """Return nothing: it has no memory of its own."""
        return 0


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

    def lasting(self, seconds: dict[str, float]) -> "Scenario":
        """Return it with other lengths of the steps of these names."""
        steps = (replace(s, lasts_s=seconds.get(s.name, s.lasts_s)) for s in self.steps)
        return replace(self, steps=tuple(steps))


CRITICAL: Final = PodPlan("critical", 90, Keys(200))
IDLE: Final = PodPlan("idle", 10, Heap(250, hot_mib=5, period_ms=20))
BATCH: Final = PodPlan("batch", 50, Heap(150, hot_mib=30, period_ms=3000))
STREAM: Final = PodPlan("stream", 50, Stream(400, mib_per_s=20))
SPIKE: Final = PodPlan("spike", 60, Spike(250))
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
        ),
        Scenario(
            "low_is_hot",
            "The low-priority pod is the one that is used, the critical one is cold",
            (
                replace(CRITICAL, workload=Heap(250, hot_mib=0, period_ms=20)),
                replace(IDLE, name="busy", workload=Keys(200, hot_permille=1000)),
                BATCH,
                STREAM,
                SPIKE,
            ),
            SPIKE_STEPS,
        ),
        Scenario(
            "diurnal",
            "A low-priority pod is cold for a minute, then at work, and that again; no spike",
            (CRITICAL, PodPlan("office", 10, Keys(200, awake=False)), BATCH, STREAM),
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
            (CRITICAL, IDLE, BATCH, STREAM, replace(SPIKE, workload=Spike(100))),
            SPIKE_STEPS,
            has_swap=False,
        ),
    )
}
