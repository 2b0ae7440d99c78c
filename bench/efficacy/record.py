"""What is kept of a run: what the kernel and the pods said, unchanged, and what follows from it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt

from efficacy.latency import Latency, Window
from efficacy.schedule import RunName

Swap = Literal["zram", "disk"]


class Model(BaseModel):
    """Read-only, and nothing but what is declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PodSample(Model):
    """What the cgroup of a pod's container said; counts since it was made."""

    memory_bytes: NonNegativeInt
    swap_bytes: NonNegativeInt
    swap_cached_bytes: NonNegativeInt = 0
    """Of what is in swap, what is in memory, too; older runs lack it."""
    anon_bytes: NonNegativeInt
    huge_bytes: NonNegativeInt = 0
    """Of the anonymous memory, what is in huge pages; older runs lack it."""
    file_bytes: NonNegativeInt
    inactive_file_bytes: NonNegativeInt = 0
    """What the kubelet does not count as in use; runs before November 30 lack it."""
    active_file_bytes: NonNegativeInt = 0
    major_faults: NonNegativeInt
    refaults_anon: NonNegativeInt
    """Pages that were given up and came back."""
    refaults_file: NonNegativeInt
    pressure_some_s: NonNegativeFloat
    pressure_full_s: NonNegativeFloat
    oom_kills: NonNegativeInt
    cpu_s: NonNegativeFloat


class Sample(Model):
    """One moment, as guest/recorder.py writes it."""

    at_s: NonNegativeFloat
    """The machine's monotonic clock, as all times here."""
    memory: Mapping[str, int]
    node: Mapping[str, float]
    threads_cpu_s: Mapping[str, float]
    pods: Mapping[str, PodSample]


class StepTime(Model):
    """When a step was."""

    name: str
    begin_s: NonNegativeFloat
    end_s: NonNegativeFloat


class Satisfied(Model):
    """From when to when a pod took its memory."""

    begin_s: NonNegativeFloat
    end_s: NonNegativeFloat


class Pod(Model):
    """What is known of a pod before the run."""

    priority: int
    cold_bytes: NonNegativeInt
    """What it does not use while it is cold, by how it was made."""
    cold_file_bytes: NonNegativeInt = 0
    """The same of its page cache."""
    asks: bool = False
    """It has nothing until it is woken, and then asks for all its memory at once."""


class Facts(Model):
    """Which run it was, and where."""

    scenario: str
    contender: str
    repetition: int
    boot: str
    """Runs are compared within one boot."""
    release: str
    accelerator: str
    swap: Swap = "zram"
    """What the machine swaps to, in scenarios with swap; older runs do not say it."""
    total_bytes: int
    host_load: float
    """Load average of a minute of the machine below, before the run: the virtual one was part."""
    seconds: Mapping[str, float]
    """How long each step was to be, or may be if it waits for the spike."""

    @property
    def name(self) -> RunName:
        """Return the run's name."""
        return RunName(self.scenario, self.contender, self.repetition)


class Raw(Model):
    """A run as it was recorded."""

    facts: Facts
    pods: Mapping[str, Pod]
    steps: tuple[StepTime, ...]
    samples: tuple[Sample, ...]
    windows: Mapping[str, tuple[Window, ...]]
    satisfied: Satisfied | None
    """Of the pod that a step has waited for."""
    served: Mapping[str, Satisfied] = {}
    """Of all pods that asked for memory and got it."""
    told: Mapping[str, Any]
    """What the contender itself said at its end; of ours the conditions and the lanes."""


class PodMeasures(Model):
    """What a run was for one pod."""

    priority: int
    memory_bytes: NonNegativeInt
    """Its own memory (anonymous, swap included) at the beginning."""
    most_memory_bytes: NonNegativeInt
    cold_bytes: NonNegativeInt
    huge_bytes: NonNegativeInt = 0
    """Of its own memory, what is in huge pages at the beginning."""
    huge_before_bytes: NonNegativeInt = 0
    """The same at the end of the step `cold`."""
    given_up_bytes: NonNegativeInt
    """In swap at the end of the step `cold`."""
    cached_before_bytes: NonNegativeInt = 0
    """Of that, what is in memory, too: written to a disk, a page is freed only when the kernel
    looks at it again, which it does not while there is free memory. Zram frees it at once."""
    promoted_percent_per_minute: NonNegativeFloat
    """Of its own pages, so many came back from swap in a minute of the step `cold`."""
    swapped_bytes: NonNegativeInt
    """In swap at the end."""
    most_swapped_bytes: NonNegativeInt
    major_faults_before: NonNegativeInt
    """Until the end of the step `cold`."""
    major_faults: NonNegativeInt
    refaults_anon: NonNegativeInt
    refaults_file: NonNegativeInt
    file_bytes: NonNegativeInt = 0
    """Its page cache at the beginning; this and what follows of files is newer than some runs."""
    cold_file_bytes: NonNegativeInt = 0
    file_given_up_bytes: int = 0
    """So much less page cache at the end of the step `cold`; below 0 if it has more."""
    file_refaults_before: NonNegativeInt = 0
    """Until the end of the step `cold`."""
    in_use_before_bytes: int = 0
    """At the end of the step `cold`, as the kubelet counts it: memory without inactive_file."""
    pressure_some_s: NonNegativeFloat
    oom_kills: NonNegativeInt
    asks: bool = False
    ready_s: NonNegativeFloat | None = None
    """From being asked for until it was ready, of a pod that asks for its memory."""
    cpu_s: NonNegativeFloat
    steps: Mapping[str, Latency]
    """Of pods that tell how long their operations took."""


class Measures(Model):
    """What follows from a run; of the whole run where nothing else is said."""

    available_bytes: NonNegativeInt
    """At the beginning, all pods being there but the spike."""
    available_before_bytes: NonNegativeInt
    """At the end of the step `cold`."""
    kubelet_least_bytes: NonNegativeInt | None = None
    """The least that was available as the kubelet counts it: free memory and inactive_file."""
    satisfied_s: NonNegativeFloat | None
    """From being asked for until the spike had all its memory; None: it never did, or has none."""
    pressure_some_before_s: NonNegativeFloat
    pressure_some_s: NonNegativeFloat
    """From the end of the step `cold` on."""
    pressure_full_s: NonNegativeFloat
    swapped_in_bytes: NonNegativeInt
    swapped_out_bytes: NonNegativeInt
    direct_scanned_pages: NonNegativeInt
    kdamonds_cpu_s: NonNegativeFloat
    kswapd_cpu_s: NonNegativeFloat
    agent_cpu_s: NonNegativeFloat
    agent_memory_bytes: NonNegativeInt
    contender_cpu_s: NonNegativeFloat
    """Of a program that is neither the kernel's nor ours."""
    pods: Mapping[str, PodMeasures]


class Run(Model):
    """A finished run, without what it was measured from."""

    facts: Facts
    measures: Measures
    told: Mapping[str, Any]
