"""Time of `kubectl damon` against 5,000 nodes and 10,000 pods, each command a process of its own.

The embedded API runs in another process, so that only the command's own CPU seconds are its own. A
benchmark, no test: it always ends with status 0.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from damon_contract import names
from damon_mock.kube.server import ApiServer

ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).with_name("kubectl-damon")
GIB = 2**30
COMMANDS = (
    ("explain pod", ("explain", "pod", "app-000042", "-n", "team-2")),
    ("status", ("status",)),
    ("top --node", ("top", "--node", "node-00021")),
    ("top -n", ("top", "-n", "team-2")),
    ("top", ("top",)),
    ("report", ("report",)),
    ("plan --node", ("plan", "--node", "node-00021")),
    ("plan", ("plan",)),
)
GOALS_S = {"explain pod": 1.0}


def pod(number: int, nodes: int) -> dict[str, Any]:
    """Return a running pod, about as large as those of real clusters."""
    statuses = [
        {
            "name": "main",
            "containerID": f"containerd://{number + 1:064x}",
            "image": "registry.invalid/team/app:v1.2.3",
            "imageID": f"sha256:{number:064x}",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
    ]
    settings = [{"name": f"SETTING_{n}", "value": "x" * 40} for n in range(40)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"app-{number:06d}",
            "namespace": f"team-{number % 40}",
            "uid": f"6ba7b810-9dad-11d1-80b4-{number:012d}",
            "labels": {"app": f"app-{number % 500}"},
            "annotations": {names.PRIORITY_ANNOTATION: str(30 + number % 60)},
        },
        "spec": {
            "nodeName": f"node-{number % nodes:05d}",
            "containers": [{"name": "main", "image": "i", "env": settings}],
        },
        "status": {"phase": "Running", "qosClass": "Burstable", "containerStatuses": statuses},
    }


def damon_node(name: str, pods: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the DamonNode of a node whose pods are all in lanes."""
    priorities = sorted(
        {int(p["metadata"]["annotations"][names.PRIORITY_ANNOTATION]) for p in pods}
    )
    planned, told = [], []
    for each in pods:
        metadata = each["metadata"]
        priority = int(metadata["annotations"][names.PRIORITY_ANNOTATION])
        known = {
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "priority": priority,
        }
        container = each["status"]["containerStatuses"][0]["containerID"].partition("//")[2]
        containers = [{"name": "main", "id": container}]
        planned.append({**known, "source": "annotation", "containers": containers})
        lane = {"kdamond": priorities.index(priority), "processes": 1}
        told.append({**known, **lane, "coldBytes": 2**26, "givenUpBytes": 2**20})
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Applied",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.NODE_KIND,
        "metadata": {"name": name},
        "spec": {
            "tuning": "bench",
            "mode": "Enforce",
            "settings": {},
            "hash": "0",
            "pods": planned,
        },
        "status": {
            "observedHash": "0",
            "conditions": [ready],
            "memory": {
                "capacityBytes": 64 * GIB,
                "availableBytes": 20 * GIB,
                "swapTotalBytes": GIB,
                "floorPermille": 70,
                "ceilingPermille": 600,
            },
            "lanes": [
                {
                    "kdamond": i,
                    "priorities": [priority],
                    "role": "Protected" if priority >= 80 else "Ladder",
                    "pods": 1,
                    "targets": 1,
                    "state": "on",
                    "active": False,
                }
                for i, priority in enumerate(priorities)
            ],
            "pods": told,
            "targets": len(told),
        },
    }


def cluster_of(nodes: int, pods: int) -> Iterator[dict[str, Any]]:
    """Yield namespaces, nodes, pods and DamonNodes."""
    for number in range(40):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{number}"}}
    memory = {"capacity": {"memory": "64Gi"}, "allocatable": {"memory": "63Gi"}}
    on: dict[str, list[dict[str, Any]]] = {}
    for number in range(pods):
        made = pod(number, nodes)
        on.setdefault(made["spec"]["nodeName"], []).append(made)
        yield made
    for number in range(nodes):
        name = f"node-{number:05d}"
        yield {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": memory}
        yield damon_node(name, on.get(name, []))


async def serve(nodes: int, pods: int, kubeconfig: Path) -> None:
    """Serve the cluster until the parent ends this process."""
    async with ApiServer() as api:
        api.cluster.install(ROOT / "crds")
        tuning = {"kind": names.TUNING_KIND, "metadata": {"name": "bench"}}
        spec = {"spec": {"mode": "Enforce"}}
        api.cluster.create({"apiVersion": names.API_VERSION, **tuning, **spec})
        api.cluster.load(cluster_of(nodes, pods))
        api.write_kubeconfig(kubeconfig)
        print("serving", flush=True)
        await asyncio.Event().wait()


def measured(arguments: tuple[str, ...], kubeconfig: Path) -> tuple[float, float]:
    """Run a command; return its wall time and its CPU seconds."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    ran = subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, check=False)
    wall_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode > 1:
        raise SystemExit(ran.stderr.decode())
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=5_000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.nodes, options.pods, options.serve))
        return 0
    with tempfile.TemporaryDirectory(prefix="damon-bench-") as directory:
        kubeconfig = Path(directory) / "kubeconfig"
        server = subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--serve", str(kubeconfig)],
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            server.stdout.readline()
            report(options, kubeconfig)
        finally:
            server.terminate()
            server.wait()
    return 0


def report(options: argparse.Namespace, kubeconfig: Path) -> None:
    """Print a row per command."""
    if not options.json:
        print(f"{options.nodes} nodes, {options.pods} pods; median of {options.runs} runs")
    for name, arguments in COMMANDS:
        runs = [measured(arguments, kubeconfig) for _ in range(options.runs)]
        wall_s, cpu_s = (round(statistics.median(each), 2) for each in zip(*runs, strict=True))
        if options.json:
            print(json.dumps({"command": name, "wall_s": wall_s, "cpu_s": cpu_s}))
            continue
        goal = GOALS_S.get(name)
        verdict = f"  goal {goal:g}: {'met' if wall_s <= goal else 'MISSED'}" if goal else ""
        print(f"  {name:<14}{wall_s:>7} s wall{cpu_s:>7} s CPU{verdict}")


if __name__ == "__main__":
    sys.exit(main())
