"""The same few figures of every scenario, a row for each contender: what docs/benchmark.md shows.

Pure. All figures of each pod are in the tables (tables.py).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from efficacy.measures import COLD
from efficacy.record import PodMeasures, Run
from efficacy.scenario import PROTECTED_FROM
from efficacy.scenarios import SCENARIOS
from efficacy.tables import (
    MIB,
    Read,
    counted,
    grouped,
    is_healthy,
    ready_s,
    spread,
    table,
    unsatisfied,
)


def overview(runs: Iterable[Run]) -> str:
    """Return a section for each scenario."""
    return "\n".join(f"### {scenario}\n{text}" for scenario, text in sections(runs).items())


def sections(runs: Iterable[Run]) -> dict[str, str]:
    """Return what is said of each scenario: a line, and a table."""
    return {
        scenario: f"{_about(scenario, contenders)}\n\n{_table(contenders)}"
        for scenario, contenders in grouped(runs).items()
    }


def _about(scenario: str, contenders: dict[str, list[Run]]) -> str:
    question = SCENARIOS[scenario].question
    end = "" if question.endswith("?") else "."
    numbers = sorted({len(runs) for runs in contenders.values()})
    boots = len({run.facts.boot for runs in contenders.values() for run in runs})
    few = f"{numbers[0]} to " if len(numbers) > 1 else ""
    return f"{question}{end} {few}{counted(numbers[-1], 'run')} of each, {counted(boots, 'boot')}."


def _table(contenders: dict[str, list[Run]]) -> str:
    every = [run for runs in contenders.values() for run in runs]
    columns = {
        title: read
        for title, read in COLUMNS.items()
        if any(read(run) is not None for run in every)
    }
    missing = unsatisfied(every[0])
    rows = [
        [name, *(spread(map(read, runs), missing) for read in columns.values())]
        for name, runs in contenders.items()
    ]
    return table(["contender", *columns], rows)


def _killed(run: Run) -> float:
    """Return how many pods lost a process because memory was out."""
    return sum(pod.oom_kills > 0 for pod in run.measures.pods.values())


def _pods(run: Run, *, protected: bool) -> Sequence[PodMeasures]:
    pods = run.measures.pods.values()
    return [pod for pod in pods if (pod.priority >= PROTECTED_FROM) == protected]


def _given_up_percent(run: Run) -> float | None:
    """Return how much of what is known to be cold in pods that are not protected was given up."""
    cold = given = 0
    for pod in _pods(run, protected=False):
        cold += pod.cold_bytes + pod.cold_file_bytes
        given += min(pod.given_up_bytes, pod.cold_bytes)
        given += max(0, min(pod.file_given_up_bytes, pod.cold_file_bytes))
    return 100 * given / cold if cold else None


def _crowd(run: Run) -> Sequence[PodMeasures]:
    """Return the pods that asked for memory, where several did."""
    asked = [pod for pod in run.measures.pods.values() if pod.asks]
    return asked if len(asked) > 1 else ()


def _healthy(run: Run) -> float | None:
    asked = _crowd(run)
    return sum(map(is_healthy, asked)) if asked else None


def _protected_swapped(run: Run) -> float | None:
    pods = _pods(run, protected=True)
    return sum(pod.swapped_bytes for pod in pods) / MIB if pods else None


def _came_back(*, protected: bool) -> Read:
    def read(run: Run) -> float | None:
        """Return the pages that came back, but of page cache that nobody needs."""
        pods = _pods(run, protected=protected)
        known = [pod.refaults_file for pod in pods if protected or pod.cold_file_bytes]
        return sum(pod.refaults_anon for pod in pods) + sum(known) if pods else None

    return read


def _slowest(*, protected: bool) -> Read:
    def read(run: Run) -> float | None:
        """Return the worst p99.9 of any of these pods in any step after the first."""
        told = [
            latency.p999_us
            for pod in _pods(run, protected=protected)
            for step, latency in pod.steps.items()
            if step != COLD and latency.p999_us is not None
        ]
        return max(told, default=None)

    return read


def _cpu_s(run: Run) -> float:
    measures = run.measures
    return measures.kdamonds_cpu_s + measures.agent_cpu_s + measures.contender_cpu_s


COLUMNS: Final[dict[str, Read]] = {
    "spike satisfied, s": lambda run: run.measures.satisfied_s,
    "healthy": _healthy,
    "P99 to ready, s": lambda run: ready_s(_crowd(run), 0.99),
    "cold given up before, %": _given_up_percent,
    "some task waited, s": lambda run: (
        run.measures.pressure_some_before_s + run.measures.pressure_some_s
    ),
    "protected: in swap, MiB": _protected_swapped,
    "pages back": _came_back(protected=True),
    "p99.9, us": _slowest(protected=True),
    "others: pages back": _came_back(protected=False),
    "p99.9 of theirs, us": _slowest(protected=False),
    "CPU, s": _cpu_s,
    "kswapd, s": lambda run: run.measures.kswapd_cpu_s,
    "killed": _killed,
}
"""What is shown of a scenario, by its heading; None: a run has no such figure."""
