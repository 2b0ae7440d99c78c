"""CPU and memory of the operator: first sync of N pods, then events that change plans.

The operator is a process of its own and talks HTTP to the embedded API in this one; only its CPU
seconds and memory count. A benchmark, no test: it always ends with status 0.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from damon_contract import names
from damon_mock.kube.server import ApiServer

ROOT = Path(__file__).parents[1]
PODS_PER_NODE = 50
EVENTS = 1000
EVENTS_PER_SECOND = 100
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
GOALS = {10_000: (5.0, 160.0), 100_000: (40.0, 260.0)}
"""Pods -> CPU seconds and MB of the first sync."""
GOAL_EVENTS_CPU_S = 0.6
PEAKS = ((10_000, 2_000), (100, 1_300_000), (1_000, 1_300_000))
"""Pods and bytes of each: memory must follow what is kept of a pod, not what it weighs."""
CLASSES = (("batch", -1000), ("normal", 0), ("standard", 1000), ("critical", 1_000_000))


@dataclass(frozen=True)
class Result:
    """What was measured, all of it about the operator's process alone."""

    pods: int
    nodes: int
    sync_cpu_s: float
    sync_rss_peak_mb: float
    plans_written: int
    unplanned_events_cpu_s: float
    """1,000 events that change no plan, 100 per second."""
    burst_events_cpu_s: float
    """1,000 events at once, each of which changes a plan."""
    spread_events_cpu_s: float
    """1,000 events, 100 per second, each of which changes the plan of another node: the worst case,
    1,000 plans made, applied and read back."""
    pod_writes: int


def node(number: int) -> dict[str, object]:
    """Return a Node."""
    memory = {"capacity": {"memory": "64Gi"}, "allocatable": {"memory": "63Gi"}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{number:05d}", "labels": {"pool": f"p{number % 7}"}},
        "status": memory,
    }


def pod(number: int) -> dict[str, Any]:
    """Return a running pod of two containers, about as large as those of real clusters."""
    statuses = [
        {
            "name": f"c{index}",
            "containerID": f"containerd://{2 * number + index + 1:064x}",
            "image": "registry.invalid/team/app:v1.2.3",
            "imageID": f"sha256:{number:064x}",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
        for index in range(2)
    ]
    containers = [
        {
            "name": f"c{index}",
            "image": "registry.invalid/team/app:v1.2.3",
            "env": [{"name": f"SETTING_{n}", "value": "x" * 40} for n in range(20)],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        }
        for index in range(2)
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"app-{number:06d}",
            "namespace": f"team-{number % 40}",
            "uid": f"6ba7b810-9dad-11d1-80b4-{number:012d}",
            "labels": {"app": f"app-{number % 500}", "pod-template-hash": "5f7d8c9b6d"},
            "annotations": {"checksum/config": "0" * 64},
        },
        "spec": {
            "nodeName": f"node-{number // PODS_PER_NODE:05d}",
            "priorityClassName": CLASSES[number % len(CLASSES)][0],
            "containers": containers,
        },
        "status": {"phase": "Running", "qosClass": "Burstable", "containerStatuses": statuses},
    }


def cluster_of(pods: int) -> Iterator[dict[str, object]]:
    """Yield PriorityClasses, namespaces, nodes and pods."""
    for name, value in CLASSES:
        yield {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
        }
    for number in range(40):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{number}"}}
    for number in range(pods // PODS_PER_NODE):
        yield node(number)
    for number in range(pods):
        yield pod(number)


def cpu_s(pid: int) -> float:
    """Return user and system CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def peak_mb(pid: int) -> float:
    """Return the peak resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def measure(pods: int, directory: Path) -> Result:
    """Run one operator against one cluster."""
    nodes = pods // PODS_PER_NODE
    async with ApiServer() as api:
        api.cluster.install(ROOT / "crds")
        api.cluster.load(cluster_of(pods))
        tuning = {"kind": names.TUNING_KIND, "metadata": {"name": "bench"}, "spec": {}}
        api.cluster.create({"apiVersion": names.API_VERSION, **tuning})
        kubeconfig = str(api.write_kubeconfig(directory / "kubeconfig"))
        operator = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "damon_operator"),
            *("--kubeconfig", kubeconfig, "--liveness-port", "0", "--log-level", "warning"),
        )
        try:
            while len(api.journal.writes("damonnodes")) < nodes:
                await settled(operator.pid)
            synced, peak = cpu_s(operator.pid), peak_mb(operator.pid)
            written = len(api.journal.writes("damonnodes"))
            unplanned = await events(api, operator.pid, pods, "example.com/note", pause=True)
            burst = await events(api, operator.pid, pods, names.PRIORITY_ANNOTATION, pause=False)
            spread = await events(
                api, operator.pid, pods, names.PRIORITY_ANNOTATION, pause=True, shift=50
            )
            return Result(
                pods=pods,
                nodes=nodes,
                sync_cpu_s=round(synced, 2),
                sync_rss_peak_mb=round(peak, 1),
                plans_written=written,
                unplanned_events_cpu_s=unplanned,
                burst_events_cpu_s=burst,
                spread_events_cpu_s=spread,
                pod_writes=len(api.journal.writes("pods")),
            )
        finally:
            if operator.returncode is None:
                operator.terminate()
            await operator.wait()


async def peak_of(pods: int, size_bytes: int, directory: Path) -> float:
    """Return the peak of an operator's resident memory, in MB, with so many pods of this size."""
    async with ApiServer() as api:
        api.cluster.install(ROOT / "crds")
        api.cluster.load(cluster_of(0))
        api.cluster.load([node(0), *(padded(number, size_bytes) for number in range(pods))])
        kubeconfig = str(api.write_kubeconfig(directory / "kubeconfig"))
        operator = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "damon_operator"),
            *("--kubeconfig", kubeconfig, "--liveness-port", "0", "--log-level", "warning"),
        )
        try:
            while not api.journal.watches("pods"):
                await settled(operator.pid)
            for number in range(20):
                annotation = {"example.com/note": str(number)}
                api.cluster.annotate("pods", f"app-{number:06d}", annotation, f"team-{number % 40}")
            await settled(operator.pid)
            return round(peak_mb(operator.pid), 1)
        finally:
            operator.terminate()
            await operator.wait()


def padded(number: int, size_bytes: int) -> dict[str, Any]:
    """Return a pod of a size."""
    made = pod(number)
    made["spec"] = {"nodeName": "node-00000", "containers": [{"name": "c0", "image": "i"}]}
    padding = max(0, size_bytes - len(json.dumps(made)))
    made["spec"]["containers"][0]["env"] = [{"name": "PADDING", "value": "x" * padding}]
    return made


async def events(
    api: ApiServer, pid: int, pods: int, annotation: str, *, pause: bool, shift: int = 0
) -> float:
    """Annotate 1,000 pods spread over the nodes; return the operator's CPU seconds for it."""
    before = cpu_s(pid)
    for number in range(EVENTS):
        chosen = number * 7 % pods
        value = {annotation: str(1 + (number + shift) % 100)}
        api.cluster.annotate("pods", f"app-{chosen:06d}", value, f"team-{chosen % 40}")
        await asyncio.sleep(1 / EVENTS_PER_SECOND if pause else 0)
    await settled(pid)
    return round(cpu_s(pid) - before, 2)


async def settled(pid: int) -> None:
    """Wait until a process has been almost idle for two seconds."""
    while True:
        before = cpu_s(pid)
        await asyncio.sleep(2)
        if cpu_s(pid) - before < 0.05:
            return


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, nargs="+", default=[10_000], help="cluster sizes")
    parser.add_argument(
        "--no-peaks", dest="peaks", action="store_false", help="do not measure pods of other sizes"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    for pods, size_bytes in PEAKS if options.peaks else ():
        with tempfile.TemporaryDirectory(prefix="damon-bench-") as directory:
            peak = asyncio.run(peak_of(pods, size_bytes, Path(directory)))
        print(f"peak with {pods} pods of {size_bytes} bytes: {peak} MB")
    for pods in options.pods:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="damon-bench-") as directory:
            result = asyncio.run(measure(pods, Path(directory)))
        if options.json:
            print(json.dumps(asdict(result)))
            continue
        cpu_goal, memory_goal = GOALS.get(pods, (0.0, 0.0))
        goals = {
            "sync_cpu_s": cpu_goal,
            "sync_rss_peak_mb": memory_goal,
            "unplanned_events_cpu_s": GOAL_EVENTS_CPU_S,
        }
        print(f"one operator, {pods} pods ({time.monotonic() - started:.0f} s in all)")
        for name, value in asdict(result).items():
            goal = goals.get(name)
            verdict = f"  goal {goal:g}: {'met' if value <= goal else 'MISSED'}" if goal else ""
            print(f"  {name:<24}{value:>10}{verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
