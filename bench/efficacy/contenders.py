"""Who is compared: each does something to the machine, and undoes it."""

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tests_kernel.containers import Pod
from tests_kernel.waiting import until_equal

from damon_contract.v1alpha1.tuning import Mode, Settings
from efficacy.stage import PROGRAMS, STATE, Stage

EQUAL_PRIORITY: Final = 50
_TOLD: Final = ("conditions", "lanes", "pods", "memoryReclaim")


class Undo(Protocol):
    """What takes everything back that a contender did."""

    def __call__(self) -> Mapping[str, Any]:
        """Undo it; return what the contender says of the run, `cpu_s` among it if it has any."""
        ...


class Contender(Protocol):
    """One way to deal with memory pressure."""

    def begin(self, stage: Stage) -> Undo:
        """Do it to a machine on which the pods run."""
        ...


@dataclass(frozen=True, slots=True)
class Nothing:
    """The kernel alone."""

    def begin(self, stage: Stage) -> Undo:
        """Do nothing."""
        _ = stage
        return dict


@dataclass(frozen=True, slots=True)
class MemoryMin:
    """memory.min of protected pods, as the kubelet's MemoryQoS sets it from their requests."""

    spare_mib: int = 30
    """A request is so much above what the pod's heap has."""

    def begin(self, stage: Stage) -> Undo:
        """Protect them, and what is above them in the tree as far as it has to be."""
        protected = [pod for pod in stage.pods.values() if pod.plan.is_protected]
        amounts: dict[str, int] = {}
        for pod in protected:
            wanted = int(stage.guest.read(f"{pod.container.cgroup}/memory.current"))
            wanted += self.spare_mib << 20
            # The container's, the pod's, burstable and kubepods.
            cgroup = pod.container.cgroup
            while cgroup != "/sys/fs/cgroup":
                amounts[cgroup] = amounts.get(cgroup, 0) + wanted
                cgroup = cgroup.rpartition("/")[0]
        for cgroup, amount in amounts.items():
            stage.guest.shell(f"echo {amount} >{cgroup}/memory.min")

        def undo() -> Mapping[str, Any]:
            for cgroup in amounts:
                stage.guest.shell(f"echo 0 >{cgroup}/memory.min")
            return {"protected_bytes": amounts.get("/sys/fs/cgroup/kubepods", 0)}

        return undo


@dataclass(frozen=True, slots=True)
class Sysctls:
    """Settings of the kernel's own reclaim, as published advice has them."""

    values: Mapping[str, int]

    def begin(self, stage: Stage) -> Undo:
        """Set them."""
        before = {name: stage.guest.read(f"/proc/sys/vm/{name}") for name in self.values}
        for name, value in self.values.items():
            stage.guest.shell(f"echo {value} >/proc/sys/vm/{name}")

        def undo() -> Mapping[str, Any]:
            for name, value in before.items():
                stage.guest.shell(f"echo {value} >/proc/sys/vm/{name}")
            return {"before": before}

        return undo


@dataclass(frozen=True, slots=True)
class ReclaimLoop:
    """memory.reclaim again and again on pods that are not protected (guest/reclaim_loop.py)."""

    interval_s: float = 6
    share: float = 0.05
    pressure_percent: float = 0.1

    def begin(self, stage: Stage) -> Undo:
        """Start it beside the pods."""
        output = f"{STATE}/loop"
        low = [pod for pod in stage.pods.values() if not pod.plan.is_protected]
        pid = stage.guest.spawn(
            *("python3", f"{PROGRAMS}/reclaim_loop.py", output),
            *map(str, (self.interval_s, self.share, self.pressure_percent)),
            *(pod.container.cgroup for pod in low),
            output=f"{STATE}/loop.log",
        )

        def undo() -> Mapping[str, Any]:
            stage.guest.kill(pid, signal.SIGTERM)
            stage.guest.wait(pid)
            told: Mapping[str, Any] = json.loads(stage.guest.read(output))
            return told

        return undo


@dataclass(frozen=True, slots=True)
class Product:
    """Ours: a plan with all pods, for the agent that is there in every run."""

    mode: Mode = "Enforce"
    is_equal: bool = False
    """All pods have the same priority."""
    settings: Settings = field(default_factory=Settings)

    def begin(self, stage: Stage) -> Undo:
        """Apply the plan; what the agent makes of it is part of what is measured."""
        stage.plans.apply(
            [self._planned(pod.pod) for pod in stage.pods.values()],
            mode=self.mode,
            chosen=self.settings,
            reserved_bytes=stage.setup.reserved_mib << 20,
        )

        def undo() -> Mapping[str, Any]:
            status = stage.plans.status()
            stage.plans.remove()
            until_equal("no kdamond is left", stage.node.nr_kdamonds, 0)
            return {name: status.get(name) for name in _TOLD}

        return undo

    def _planned(self, pod: Pod) -> Pod:
        priority = EQUAL_PRIORITY if self.is_equal else pod.priority
        return Pod(pod.name, priority, pod.uid, pod.containers)


CONTENDERS: Final[Mapping[str, Contender]] = {
    "none": Nothing(),
    "memory_min": MemoryMin(),
    "sysctl": Sysctls({"watermark_scale_factor": 500}),
    "loop": ReclaimLoop(),
    "observe": Product(mode="Observe"),
    "enforce": Product(),
    "enforce_equal": Product(is_equal=True),
    "enforce_reclaim": Product(),
}
WITH_MEMORY_RECLAIM: Final = frozenset({"enforce_reclaim"})
"""Those for which the agent is started as the chart's agent.memoryReclaim has it."""
