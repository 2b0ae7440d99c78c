"""From what was recorded to what is compared. Pure."""

from collections.abc import Sequence
from typing import Final

from efficacy.latency import latency
from efficacy.record import Measures, PodMeasures, Raw, Run, Sample

PAGE_BYTES: Final = 4096
AGENT: Final = "damon-agent"
COLD: Final = "cold"


class IncompleteError(Exception):
    """What was recorded lacks something; the message says what, of which run."""


def run(raw: Raw) -> Run:
    """Return the finished run; IncompleteError if its record is none of a whole run."""
    return Run(facts=raw.facts, measures=measures(raw), told=raw.told)


def nearest(samples: Sequence[Sample], at_s: float) -> Sample:
    """Return the sample that was taken nearest to a moment."""
    return min(samples, key=lambda each: abs(each.at_s - at_s))


def measures(raw: Raw) -> Measures:
    """Return what a run has shown."""
    name = raw.facts.name
    cold = next((step for step in raw.steps if step.name == COLD), None)
    if cold is None or not raw.samples:
        raise IncompleteError(f"{name}: no step {COLD!r}, or no samples")
    first = nearest(raw.samples, cold.begin_s)
    before = nearest(raw.samples, cold.end_s)
    last = nearest(raw.samples, raw.steps[-1].end_s)

    def passed(key: str, begin: Sample = first, end: Sample = last) -> float:
        return end.node[key] - begin.node[key]

    agents = [sample.pods[AGENT] for sample in raw.samples if AGENT in sample.pods]
    satisfied = raw.satisfied
    return Measures(
        available_bytes=first.memory["available_bytes"],
        available_before_bytes=before.memory["available_bytes"],
        kubelet_least_bytes=kubelet_least_bytes(raw.samples),
        satisfied_s=satisfied and satisfied.end_s - satisfied.begin_s,
        pressure_some_before_s=passed("pressure_some_s", end=before),
        pressure_some_s=passed("pressure_some_s", begin=before),
        pressure_full_s=passed("pressure_full_s"),
        swapped_in_bytes=round(passed("swapped_in_pages")) * PAGE_BYTES,
        swapped_out_bytes=round(passed("swapped_out_pages")) * PAGE_BYTES,
        direct_scanned_pages=round(passed("direct_scanned_pages")),
        kdamonds_cpu_s=threads_cpu_s(raw.samples, "kdamond"),
        kswapd_cpu_s=threads_cpu_s(raw.samples, "kswapd"),
        agent_cpu_s=agents[-1].cpu_s - agents[0].cpu_s if agents else 0,
        agent_memory_bytes=max((agent.memory_bytes for agent in agents), default=0),
        contender_cpu_s=raw.told.get("cpu_s", 0),
        pods={pod: _pod(raw, pod, (first, before, last)) for pod in raw.pods},
    )


def kubelet_least_bytes(samples: Sequence[Sample]) -> int | None:
    """Return the least that was available to the kubelet, which evicts below its threshold."""
    memories = [each.memory for each in samples if "inactive_file_bytes" in each.memory]
    return min((m["free_bytes"] + m["inactive_file_bytes"] for m in memories), default=None)


def threads_cpu_s(samples: Sequence[Sample], prefix: str) -> float:
    """Return what threads of a name have used of a processor, those that came and went included.

    A thread that is not there in the first sample began at 0.
    """
    begin = samples[0].threads_cpu_s
    most = {
        thread: used
        for sample in samples
        for thread, used in sample.threads_cpu_s.items()
        if thread.startswith(prefix)
    }
    return sum(used - begin.get(thread, 0) for thread, used in most.items())


def _pod(raw: Raw, pod: str, moments: tuple[Sample, Sample, Sample]) -> PodMeasures:
    history = [sample.pods[pod] for sample in raw.samples if pod in sample.pods]
    if not history:
        raise IncompleteError(f"{raw.facts.name}: nothing was recorded of the pod {pod}")
    # A pod that was killed is gone at the end: what it said last counts.
    first, before, last = (moment.pods.get(pod, history[-1]) for moment in moments)
    minutes = (moments[1].at_s - moments[0].at_s) / 60
    own_bytes = first.anon_bytes + first.swap_bytes
    promoted = before.refaults_anon - first.refaults_anon
    share = promoted * PAGE_BYTES / own_bytes if own_bytes else 0
    told = {
        step.name: latency(raw.windows[pod], step.begin_s, step.end_s)
        for step in raw.steps
        if pod in raw.windows
    }
    return PodMeasures(
        priority=raw.pods[pod].priority,
        memory_bytes=own_bytes,
        most_memory_bytes=max(each.anon_bytes + each.swap_bytes for each in history),
        cold_bytes=raw.pods[pod].cold_bytes,
        huge_bytes=first.huge_bytes,
        huge_before_bytes=before.huge_bytes,
        given_up_bytes=before.swap_bytes,
        cached_before_bytes=before.swap_cached_bytes,
        promoted_percent_per_minute=100 * share / minutes if minutes > 0 else 0,
        swapped_bytes=last.swap_bytes,
        most_swapped_bytes=max(each.swap_bytes for each in history),
        major_faults_before=before.major_faults - first.major_faults,
        major_faults=last.major_faults - first.major_faults,
        refaults_anon=last.refaults_anon - first.refaults_anon,
        refaults_file=last.refaults_file - first.refaults_file,
        file_bytes=first.file_bytes,
        cold_file_bytes=raw.pods[pod].cold_file_bytes,
        file_given_up_bytes=first.file_bytes - before.file_bytes,
        file_refaults_before=before.refaults_file - first.refaults_file,
        in_use_before_bytes=before.memory_bytes - before.inactive_file_bytes,
        pressure_some_s=last.pressure_some_s - first.pressure_some_s,
        oom_kills=history[-1].oom_kills,
        asks=raw.pods[pod].asks,
        ready_s=served.end_s - served.begin_s if (served := raw.served.get(pod)) else None,
        cpu_s=last.cpu_s - first.cpu_s,
        steps={name: each for name, each in told.items() if each is not None},
    )
