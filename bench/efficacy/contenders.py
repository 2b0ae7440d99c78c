"""Who is compared: each does something to the machine, and undoes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tests_kernel.containers import Pod
from tests_kernel.waiting import until_equal

from damon_contract.v1alpha1.tuning import (
    Brake,
    Mode,
    Monitoring,
    Quota,
    Reclaim,
    Settings,
    Watermarks,
)
from efficacy.rivals import (
    DamonReclaim,
    Nothing,
    Protection,
    ReclaimLoop,
    RfcPolicy,
    Sysctls,
    Throttling,
    Undo,
)
from efficacy.stage import Stage

EQUAL_PRIORITY: Final = 50
_FLAT: Final = Watermarks(floor_permille=Watermarks().ceiling_permille)
_TOLD: Final = ("conditions", "lanes", "pods", "memoryReclaim")


def _intervals(sample: str, aggregation: str, update: str) -> Monitoring:
    return Monitoring(
        sample_interval=sample, aggregation_interval=aggregation, update_interval=update
    )


def fixed(**chosen: Any) -> Settings:
    """Return the defaults with these changes, and with ages that nobody changes meanwhile.

    What is compared is one setting then, and not also what the agent makes of the minute before.
    """
    return Settings(tuning="Fixed", **chosen)


class Contender(Protocol):
    """One way to deal with memory pressure."""

    def begin(self, stage: Stage) -> Undo:
        """Do it to a machine on which the pods run."""
        ...


@dataclass(frozen=True, slots=True)
class Product:
    """Ours: a plan with all pods, for the agent that is there in every run."""

    mode: Mode = "Enforce"
    is_equal: bool = False
    """All pods have the same priority."""
    settings: Settings = field(default_factory=fixed)

    def begin(self, stage: Stage) -> Undo:
        """Apply the plan; what the agent makes of it is part of what is measured."""
        self.plan(stage)

        def undo() -> Mapping[str, Any]:
            status = stage.plans.status()
            stage.plans.remove()
            until_equal("no kdamond is left", stage.node.nr_kdamonds, 0)
            return {name: status.get(name) for name in _TOLD}

        return undo

    def plan(self, stage: Stage) -> None:
        """Apply the plan of the pods as they are now."""
        stage.plans.apply(
            [self._planned(pod.pod) for pod in stage.pods.values()],
            mode=self.mode,
            chosen=self.settings,
            reserved_bytes=stage.setup.reserved_mib << 20,
        )

    def _planned(self, pod: Pod) -> Pod:
        priority = EQUAL_PRIORITY if self.is_equal else pod.priority
        return Pod(pod.name, priority, pod.uid, pod.containers)


@dataclass(frozen=True, slots=True)
class Together:
    """Several at once, which do not get in each other's way."""

    parts: tuple[Contender, ...]

    def begin(self, stage: Stage) -> Undo:
        """Begin one after the other; they are undone the other way round."""
        undone = [part.begin(stage) for part in self.parts]

        def undo() -> Mapping[str, Any]:
            told: dict[str, Any] = {}
            for each in reversed(undone):
                told |= each()
            return told

        return undo


DIALS: Final[Mapping[str, Settings]] = {
    "min_age_12s": fixed(reclaim=Reclaim(min_age="12s")),
    "min_age_60s": fixed(reclaim=Reclaim(min_age="60s")),
    "min_age_120s": fixed(reclaim=Reclaim(min_age="120s")),
    "sampling_fast": fixed(monitoring=_intervals("55ms", "490ms", "1s")),
    "sampling_slow": fixed(monitoring=_intervals("500ms", "4500ms", "5s")),
    "ceiling_400": fixed(watermarks=Watermarks(ceiling_permille=400)),
    "ceiling_800": fixed(watermarks=Watermarks(ceiling_permille=800)),
    "floor_300": fixed(watermarks=Watermarks(floor_permille=300)),
    "eager_50": fixed(eager_up_to=50),
    "interval_1s": fixed(watermarks=Watermarks(interval="1s")),
    "brake_3": fixed(brake=Brake(pressure_permille=3, refaults_permille=3)),
    "brake_30": fixed(brake=Brake(pressure_permille=30, refaults_permille=30)),
    # A twentieth of this machine in each aggregation.
    "quota": fixed(reclaim=Reclaim(quota=Quota(bytes="64Mi"))),
}
"""One setting each that differs from its default."""
CONTENDERS: Final[Mapping[str, Contender]] = {
    "none": Nothing(),
    "memory_min": Protection(),
    "memory_low": Protection("memory.low"),
    "memory_high": Throttling(),
    "sysctl": Sysctls({"watermark_scale_factor": 500}),
    "sysctl_2000": Sysctls({"watermark_scale_factor": 2000}),
    "swappiness_100": Sysctls({"swappiness": 100}),
    # The Kubernetes blog's starting point of August 2025 for nodes with swap is 500,000 kB, more
    # than half of what these machines have available: the same share of them as of 16 GiB.
    "min_free": Sysctls({"min_free_kbytes": 39_000}),
    "loop": ReclaimLoop(),
    # A hundredth at a time, as senpai probes.
    "senpai": ReclaimLoop(share=0.01),
    "damon_reclaim": DamonReclaim(),
    "rfc_policy": RfcPolicy(),
    "observe": Product(mode="Observe"),
    "enforce": Product(),
    "enforce_equal": Product(is_equal=True),
    "enforce_reclaim": Product(),
    "enforce_auto": Product(settings=Settings()),
    "enforce_memory_min": Together((Protection(), Product())),
    "enforce_no_brake": Product(settings=fixed(brake=Brake(enabled=False))),
    "enforce_no_eager": Product(settings=fixed(eager_up_to=0)),
    # All that may be reclaimed have the same mark, that of the least important pod.
    "enforce_no_ladder": Product(settings=fixed(watermarks=_FLAT)),
    **{name: Product(settings=settings) for name, settings in DIALS.items()},
}
WITH_MEMORY_RECLAIM: Final = frozenset({"enforce_reclaim"})
"""Those for which the agent is started as the chart's agent.memoryReclaim has it."""
WITHOUT_DAMON: Final = frozenset({"damon_reclaim", "rfc_policy"})
"""Those that use DAMON themselves: the agent finds none."""
