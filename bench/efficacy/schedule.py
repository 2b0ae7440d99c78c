"""Which runs there are and in which order: contenders take turns inside one boot. Pure."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

THEIRS: Final = (
    *("none", "memory_min", "memory_low", "memory_high"),
    *("sysctl", "sysctl_2000", "swappiness_100", "min_free"),
    *("loop", "senpai", "damon_reclaim", "rfc_policy"),
)
OURS: Final = (
    *("observe", "enforce", "enforce_equal", "enforce_reclaim", "enforce_auto"),
    "enforce_memory_min",
    *("enforce_no_brake", "enforce_no_eager", "enforce_no_ladder"),
)
DIALS: Final = (
    *("min_age_12s", "min_age_60s", "min_age_120s", "sampling_fast", "sampling_slow"),
    *("ceiling_400", "ceiling_800", "floor_300", "eager_50", "interval_1s"),
    *("brake_3", "brake_30", "quota"),
)
"""Ours with one default changed: by these the defaults are chosen, where it is asked for."""
CONTENDERS: Final = (*THEIRS, *OURS, *DIALS)
"""By their names, in the order in which they are shown; contenders.py says what each does."""


@dataclass(frozen=True, slots=True)
class RunName:
    """One contender in one scenario, once."""

    scenario: str
    contender: str
    repetition: int
    """From 1."""

    def __str__(self) -> str:  # type: ignore[explicit-override]  # typing.override is of 3.12
        return f"{self.scenario}-{self.contender}-{self.repetition}"


def schedule(compared: Mapping[str, Sequence[str]], repetitions: int) -> Iterator[RunName]:
    """Yield all runs of scenarios with the contenders of each, repetition by repetition.

    In each repetition another contender is the first, so that none of them always has the
    machine as it is right after its boot, or right after the same other one.
    """
    for repetition in range(1, repetitions + 1):
        for scenario, contenders in compared.items():
            first = (repetition - 1) % len(contenders)
            for contender in (*contenders[first:], *contenders[:first]):
                yield RunName(scenario, contender, repetition)


@dataclass(slots=True)
class Attempts:
    """Which runs have failed how often: one that always does must not end all the others."""

    most: int = 3
    failures: Counter[RunName] = field(default_factory=Counter)

    def left(self, runs: Sequence[RunName]) -> list[RunName]:
        """Return the runs that have not failed too often."""
        return [run for run in runs if run not in self.given_up]

    @property
    def given_up(self) -> list[RunName]:
        """Return the runs that have."""
        return [run for run, failures in self.failures.items() if failures >= self.most]


def missing(runs: Iterator[RunName], finished: Container[str]) -> list[RunName]:
    """Return the runs that are not finished, in their order."""
    return [run for run in runs if str(run) not in finished]
