"""Finished runs as Markdown: a median and its spread for each contender in each scenario. Pure."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from efficacy.record import PodMeasures, Run
from efficacy.scenarios import SCENARIOS
from efficacy.schedule import CONTENDERS

MIB: Final = 1 << 20
OWN_BYTES: Final = 4 * MIB
MANY: Final = 3
"""So many pods that ask for their memory have figures of their own."""
Runs = Sequence[Run]
Read = Callable[[Run], float | None]


def grouped(runs: Iterable[Run]) -> dict[str, dict[str, list[Run]]]:
    """Return scenario -> contender -> its runs, each in the order in which they are shown."""
    found: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in sorted(runs, key=_place):
        found[run.facts.scenario][run.facts.contender].append(run)
    return {name: dict(contenders) for name, contenders in found.items()}


def _place(run: Run) -> tuple[int, int, int]:
    name = run.facts.name
    scenario = list(SCENARIOS).index(name.scenario)
    return scenario, CONTENDERS.index(name.contender), name.repetition


def shown(number: float) -> str:
    """Return a number with as many digits as are worth reading."""
    if number and abs(number) < 10:
        return f"{number:.2g}"
    return f"{number:,.0f}"


def spread(values: Iterable[float | None], none: str = "-") -> str:
    """Return median (least-most); of a value that is missing in a run, in how many it is there."""
    all_values = list(values)
    there = [value for value in all_values if value is not None]
    if not there:
        return none
    least, middle, most = (shown(f(there)) for f in (min, statistics.median, max))
    text = middle if least == most else f"{middle} ({least}-{most})"
    if len(there) < len(all_values):
        text += f", in {len(there)} of {len(all_values)}"
    return text


def tables(runs: Iterable[Run]) -> str:
    """Return a section for each scenario."""
    return "\n".join(
        f"## {scenario}\n\n{_about(contenders)}\n\n{_node(contenders)}\n{_pods(contenders)}\n"
        f"{_files(contenders)}{_asking(contenders)}{_latency(contenders)}"
        for scenario, contenders in grouped(runs).items()
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _about(contenders: dict[str, list[Run]]) -> str:
    runs = [run for each in contenders.values() for run in each]
    facts = runs[0].facts
    boots = len({run.facts.boot for run in runs})
    steps = ", ".join(f"{name} {seconds:g} s" for name, seconds in facts.seconds.items())
    available = spread(run.measures.available_bytes / MIB for run in runs)
    load = spread(run.facts.host_load for run in runs)
    swap = f"swap on {facts.swap}" if SCENARIOS[facts.scenario].has_swap else "no swap"
    return (
        f"{counted(len(runs), 'run')} in {counted(boots, 'boot')} of {facts.release} "
        f"({facts.accelerator}, {swap}), {facts.total_bytes // MIB} MiB, available of it at the "
        f"beginning {available} MiB; steps: {steps}; load of the host {load}. Median (least-most)."
    )


def counted(number: int, noun: str) -> str:
    """Return a number of things, as in `1 run` and `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _node(contenders: dict[str, list[Run]]) -> str:
    columns: dict[str, Read] = {
        "spike satisfied, s": lambda run: run.measures.satisfied_s,
        "available before, MiB": lambda run: run.measures.available_before_bytes / MIB,
        "pressure before, s": lambda run: run.measures.pressure_some_before_s,
        "pressure then, s": lambda run: run.measures.pressure_some_s,
        "swapped in, MiB": lambda run: run.measures.swapped_in_bytes / MIB,
        "swapped out, MiB": lambda run: run.measures.swapped_out_bytes / MIB,
        "kdamonds, CPU s": lambda run: run.measures.kdamonds_cpu_s,
        "agent, CPU s": lambda run: run.measures.agent_cpu_s,
        "loop, CPU s": lambda run: run.measures.contender_cpu_s,
        "kswapd, CPU s": lambda run: run.measures.kswapd_cpu_s,
    }
    told = [run.measures.kubelet_least_bytes for runs in contenders.values() for run in runs]
    if None not in told:
        columns["least for the kubelet, MiB"] = _kubelet_least
    rows = [
        [
            f"{name} ({len(runs)})",
            *(spread(map(read, runs), unsatisfied(runs[0])) for read in columns.values()),
            _killed(runs),
        ]
        for name, runs in contenders.items()
    ]
    return table(["contender (runs)", *columns, "OOM kills"], rows)


def _kubelet_least(run: Run) -> float | None:
    least = run.measures.kubelet_least_bytes
    return None if least is None else least / MIB


def unsatisfied(run: Run) -> str:
    """Return what stands for a spike that did not get its memory; some scenarios have none."""
    return "never" if has_spike(run) else "-"


def has_spike(run: Run) -> bool:
    """Tell whether a step of the run's scenario waits for a spike to get its memory."""
    return any(step.satisfies for step in SCENARIOS[run.facts.scenario].steps)


def _killed(runs: Runs) -> str:
    killed: dict[str, int] = defaultdict(int)
    for run in runs:
        for name, pod in run.measures.pods.items():
            killed[name] += pod.oom_kills
    return ", ".join(f"{name} {number}" for name, number in killed.items() if number) or "0"


Columns = dict[str, Callable[[PodMeasures], float | None]]


def _pods(contenders: dict[str, list[Run]]) -> str:
    runs = [run for each in contenders.values() for run in each]
    pods = [pod for run in runs for pod in run.measures.pods.values()]
    columns: Columns = {"given up before, MiB": lambda pod: pod.given_up_bytes / MIB}
    if any(run.facts.swap == "disk" for run in runs):
        columns["of it still in memory, MiB"] = lambda pod: pod.cached_before_bytes / MIB
    columns |= {
        "came back before, % per min": _promoted,
        "swapped at the end, MiB": lambda pod: pod.swapped_bytes / MIB,
        "major faults before": lambda pod: pod.major_faults_before,
        "major faults": lambda pod: pod.major_faults,
        "refaults": lambda pod: pod.refaults_anon,
        "pressure, s": lambda pod: pod.pressure_some_s,
    }
    if any(pod.huge_bytes or pod.huge_before_bytes for pod in pods):
        columns["in huge pages at first, MiB"] = lambda pod: pod.huge_bytes / MIB
        columns["in huge pages before, MiB"] = lambda pod: pod.huge_before_bytes / MIB
    return _of_pods(
        contenders,
        "memory",
        columns,
        lambda pod: (pod.most_memory_bytes, pod.cold_bytes),
    )


def _files(contenders: dict[str, list[Run]]) -> str:
    """Return what became of page cache, where pods have some of which a part is known as cold."""
    columns: Columns = {
        "file given up before, MiB": lambda pod: pod.file_given_up_bytes / MIB,
        "in use for the kubelet before, MiB": lambda pod: pod.in_use_before_bytes / MIB,
        "file refaults before": lambda pod: pod.file_refaults_before,
        "file refaults": lambda pod: pod.refaults_file,
    }
    pods = next(iter(contenders.values()))[0].measures.pods
    if not any(pod.cold_file_bytes for pod in pods.values()):
        return ""
    sizes = lambda pod: (pod.file_bytes, pod.cold_file_bytes)  # noqa: E731
    return _of_pods(contenders, "page cache", columns, sizes) + "\n"


def _of_pods(
    contenders: dict[str, list[Run]],
    kind: str,
    columns: Columns,
    sizes: Callable[[PodMeasures], tuple[int, int]],
) -> str:
    """Return a row for each pod of each contender; many of a kind (`NAME-NUMBER`) are one row."""
    rows = []
    for name, runs in contenders.items():
        for group, pods in _groups(runs[0]).items():
            told = [runs[0].measures.pods[pod] for pod in pods]
            whole, cold = (sum(each) for each in zip(*map(sizes, told), strict=True))
            # The others have no memory of this kind that they could give up.
            if whole < OWN_BYTES:
                continue
            who = f"{group} (p{told[0].priority})" if len(pods) == 1 else f"{len(pods)} {group}"
            figures = [
                spread(_together(read, [run.measures.pods[pod] for pod in pods]) for run in runs)
                for read in columns.values()
            ]
            rows.append([name, who, f"{whole // MIB}, {cold // MIB}", *figures])
    return table(["contender", "pod", f"{kind}, cold of it, MiB", *columns], rows)


def _groups(run: Run) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for pod in run.measures.pods:
        found[group_of(pod)].append(pod)
    return found


def group_of(pod: str) -> str:
    """Return of which kind a pod is one of many; its own name if it is none."""
    stem, _, number = pod.rpartition("-")
    return stem if number.isdecimal() else pod


def _together(
    read: Callable[[PodMeasures], float | None], pods: Sequence[PodMeasures]
) -> float | None:
    """Return a figure of pods: the sum, of shares the mean."""
    there = [value for value in map(read, pods) if value is not None]
    if not there:
        return None
    return statistics.fmean(there) if read is _promoted else sum(there)


def _promoted(pod: PodMeasures) -> float | None:
    """Return the share that came back, of a pod that had memory of its own by then."""
    return pod.promoted_percent_per_minute if pod.memory_bytes >= OWN_BYTES else None


def _asking(contenders: dict[str, list[Run]]) -> str:
    """Return how those fared that asked for memory one after the other, if there are some."""
    names = [n for n, pod in next(iter(contenders.values()))[0].measures.pods.items() if pod.asks]
    if len(names) < MANY:
        return ""
    rows = []
    for name, runs in contenders.items():
        asking = [[run.measures.pods[pod] for pod in names] for run in runs]
        rows.append(
            [
                name,
                spread(sum(is_healthy(pod) for pod in pods) for pods in asking),
                *(spread(ready_s(pods, share) for pods in asking) for share in (0.5, 0.99)),
                spread(sum(pod.swapped_bytes for pod in pods) / MIB for pods in asking),
            ]
        )
    headings = [f"healthy of {len(names)}", "P50 to ready, s", "P99 to ready, s", "swapped, MiB"]
    return table(["contender", *headings], rows) + "\n"


def is_healthy(pod: PodMeasures) -> bool:
    """Tell whether a pod that asked for its memory got it, and nothing of it was killed."""
    return pod.ready_s is not None and not pod.oom_kills


def ready_s(pods: Sequence[PodMeasures], share: float) -> float | None:
    """Return the time by which this share of those that became ready was."""
    times = sorted(pod.ready_s for pod in pods if pod.ready_s is not None)
    return times[math.ceil(share * len(times)) - 1] if times else None


def _latency(contenders: dict[str, list[Run]]) -> str:
    rows = []
    for name, runs in contenders.items():
        for pod, told in runs[0].measures.pods.items():
            for step in told.steps:
                every = [found for run in runs if (found := run.measures.pods[pod].steps.get(step))]
                rows.append(
                    [
                        name,
                        pod,
                        step,
                        spread(each.operations_per_s for each in every),
                        spread(each.p50_us for each in every),
                        spread(each.p99_us for each in every),
                        spread(each.p999_us for each in every),
                    ]
                )
    headings = ["contender", "pod", "step", "operations per s", "p50 us", "p99 us", "p99.9 us"]
    return table(headings, rows)
