"""What the kernel and others offer for the same purpose: settings, modules, and simple programs."""

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests_kernel.node import DAMON
from tests_kernel.waiting import until, until_equal

from efficacy.stage import PROGRAMS, STATE, RunningPod, Stage

Undo = Callable[[], Mapping[str, Any]]
"""Takes everything back; returns what is to be kept of it, `cpu_s` among it if it has any."""
KUBEPODS: Final = "/sys/fs/cgroup/kubepods"
_MODULE: Final = "/sys/module/damon_reclaim/parameters"


class AbsentError(Exception):
    """The kernel of the machine lacks what a contender is; the message says what."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """The kernel alone."""

    def begin(self, stage: Stage) -> Undo:
        """Do nothing."""
        _ = stage
        return dict


@dataclass(frozen=True, slots=True)
class Protection:
    """memory.min or memory.low of protected pods, as the kubelet sets them from requests."""

    file: str = "memory.min"
    spare_mib: int = 30
    """A request is so much above what the pod has."""

    def begin(self, stage: Stage) -> Undo:
        """Protect them, and what is above them in the tree as far as it has to be."""
        amounts: dict[str, int] = {}
        for pod in stage.pods.values():
            if not pod.plan.is_protected:
                continue
            # The container's, the pod's, burstable and kubepods.
            cgroup = pod.container.cgroup
            wanted = _current(stage, pod) + (self.spare_mib << 20)
            while cgroup != "/sys/fs/cgroup":
                amounts[cgroup] = amounts.get(cgroup, 0) + wanted
                cgroup = cgroup.rpartition("/")[0]
        for cgroup, amount in amounts.items():
            stage.guest.shell(f"echo {amount} >{cgroup}/{self.file}")

        def undo() -> Mapping[str, Any]:
            for cgroup in amounts:
                stage.guest.shell(f"echo 0 >{cgroup}/{self.file}")
            return {"protected_bytes": amounts.get(KUBEPODS, 0)}

        return undo


def _current(stage: Stage, pod: RunningPod) -> int:
    return int(stage.guest.read(f"{pod.container.cgroup}/memory.current"))


@dataclass(frozen=True, slots=True)
class Throttling:
    """All of the kubelet's MemoryQoS: memory.min of protected pods, and memory.high of the others.

    memory.high is the request and nine tenths of what is from there to the limit. A pod here
    requests half of what it has at the beginning and may have a tenth more than it has.
    """

    factor: float = 0.9

    def begin(self, stage: Stage) -> Undo:
        """Protect the ones and throttle the others."""
        unprotect = Protection().begin(stage)
        high: dict[str, int] = {}
        for pod in stage.pods.values():
            # One that is about to take its memory may take it.
            if pod.plan.is_protected or pod.plan.workload.waits:
                continue
            current = _current(stage, pod)
            request, limit = current // 2, current * 11 // 10
            high[pod.container.cgroup] = int(request + self.factor * (limit - request))
        for cgroup, amount in high.items():
            stage.guest.shell(f"echo {amount} >{cgroup}/memory.high")

        def undo() -> Mapping[str, Any]:
            for cgroup in high:
                stage.guest.shell(f"echo max >{cgroup}/memory.high")
            return {**unprotect(), "high_bytes": sum(high.values())}

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
class DamonReclaim:
    """The kernel's module DAMON_RECLAIM with its defaults: no priorities, cold for 120 s."""

    def begin(self, stage: Stage) -> Undo:
        """Switch it on."""
        enabled = f"{_MODULE}/enabled"
        if not stage.guest.exists(enabled):
            raise AbsentError(f"{stage.guest.release} has no {enabled}")
        stage.guest.shell(f"echo Y >{enabled}")

        def undo() -> Mapping[str, Any]:
            names = ("nr_reclaim_tried_regions", "bytes_reclaimed_regions", "nr_quota_exceeds")
            told = {name: stage.guest.read(f"{_MODULE}/{name}") for name in names}
            stage.guest.shell(f"echo N >{enabled}")
            kdamond = f"{_MODULE}/kdamond_pid"
            until_equal("the module's kdamond ends", lambda: stage.guest.read(kdamond), "-1")
            return told

        return undo


@dataclass(frozen=True, slots=True)
class RfcPolicy:
    """The policy of the RFC "target_priority" in user space (guest/rfc_policy.py)."""

    def begin(self, stage: Stage) -> Undo:
        """Set its kdamond up, with a process of each pod."""
        output = f"{STATE}/rfc"
        stage.guest.run("rm", "-f", output)
        pid = stage.guest.spawn(
            *("python3", f"{PROGRAMS}/rfc_policy.py", output, f"{DAMON}/admin/kdamonds"),
            *(f"{pod.plan.priority}:{pod.container.pid}" for pod in stage.pods.values()),
            output=f"{STATE}/rfc.log",
        )
        until("the RFC's policy is in the kernel", lambda: stage.guest.exists(output))

        def undo() -> Mapping[str, Any]:
            stage.guest.kill(pid, signal.SIGTERM)
            stage.guest.wait(pid)
            until_equal("no kdamond is left", stage.node.nr_kdamonds, 0)
            told: Mapping[str, Any] = json.loads(stage.guest.read(output))
            return told

        return undo
