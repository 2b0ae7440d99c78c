"""From the kubelet's word that a container runs to its process being a committed target.

Nothing is asserted about the times: they are printed, as a table and as JSON, leg by leg.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pytest
from harness.api import Api, Body, eventually
from harness.workloads import Workloads, container_ids, pod
from tests_kind.nodes import Node
from tests_kind.truth import Truth, pids_of
from tests_kind.watching import Sightings

PODS: Final = 100
AT_ONCE: Final = 5

LEGS: Final = {
    "runningToPlanned": "pod says running -> plan has the container",
    "plannedToWritten": "-> the agent writes its pid",
    "writtenToCommitted": "-> the kernel has taken it",
    "runningToCommitted": "pod says running -> the kernel has taken it",
    "startedAtToCommitted": "startedAt (whole seconds) -> the kernel has taken it",
}


@dataclass(frozen=True)
class Mark:
    """How much a mock had noted, to ask only for what came after."""

    writes: int
    events: int


@dataclass(frozen=True)
class Taken:
    """When a process got into the kernel, in monotonic seconds."""

    written_s: float
    committed_s: float


@pytest.fixture(name="running")
def running_fixture(api: Api) -> Iterator[Sightings]:
    """When each container was first said to run."""
    sightings = Sightings(api, "pods", "shop", container_ids)
    sightings.begin()
    yield sightings
    sightings.end()


@pytest.fixture(name="planned")
def planned_fixture(api: Api) -> Iterator[Sightings]:
    """When each container was first in a plan."""
    sightings = Sightings(api, "damonnodes", "", _planned)
    sightings.begin()
    yield sightings
    sightings.end()


def test_a_hundred_pod_starts_get_into_the_kernel(
    tuning: Body,
    workloads: Workloads,
    truth: Truth,
    workers: tuple[Node, Node],
    running: Sightings,
    planned: Sightings,
    measured: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    priorities = ("25", "35", "45", "55", "65")
    bodies = [
        pod(f"start-{n:03}", workers[n % 2].name, priority=priorities[n % 5]) for n in range(PODS)
    ]
    seconds: dict[str, list[float]] = {leg: [] for leg in LEGS}
    for first in range(0, PODS, AT_ONCE):
        marks = {node.name: _mark(node) for node in workers}
        batch = workloads.start(*bodies[first : first + AT_ONCE])
        for node in workers:
            mine = [body for body in batch if body["spec"]["nodeName"] == node.name]
            processes = node.processes()
            wanted = {body["metadata"]["name"]: pids_of(body, processes) for body in mine}
            taken = eventually("all are targets", partial(_taken, node, marks[node.name], wanted))
            for body in mine:
                (identity,) = container_ids(body)
                into = taken[body["metadata"]["name"]]
                told_s, planned_s = running.first_s[identity], planned.first_s[identity]
                seconds["runningToPlanned"].append(planned_s - told_s)
                seconds["plannedToWritten"].append(into.written_s - planned_s)
                seconds["writtenToCommitted"].append(into.committed_s - into.written_s)
                seconds["runningToCommitted"].append(into.committed_s - told_s)
                seconds["startedAtToCommitted"].append(into.committed_s - _started_s(body))
    truth.holds()
    report = {leg: _quantiles(values) for leg, values in seconds.items()}
    measured["latencySeconds"] = report
    with capsys.disabled():
        print(_table(report))
        print(json.dumps({"latencySeconds": report}))
    assert {leg: len(values) for leg, values in seconds.items()} == dict.fromkeys(LEGS, PODS)


def _planned(damon_node: Body) -> Iterator[str]:
    for planned_pod in damon_node["spec"].get("pods", ()):
        for container in planned_pod["containers"]:
            yield container["id"]


def _mark(node: Node) -> Mark:
    dump = node.dump(since_write=sys.maxsize, since_event=sys.maxsize)
    return Mark(dump["nr_writes"], dump["nr_events"])


def _taken(node: Node, mark: Mark, pids: dict[str, frozenset[int]]) -> dict[str, Taken] | None:
    """Return when each pod's process was written and committed; None unless all have been."""
    before_s = time.monotonic()
    dump = node.dump(since_write=mark.writes, since_event=mark.events)
    # The mock's clock runs as ours does, from another moment on.
    offset_s = (before_s + time.monotonic()) / 2 - dump["now_us"] / 1e6
    found = {}
    for name, wanted in pids.items():
        (pid,) = wanted
        written = next(
            (
                write
                for write in dump["writes"]
                if write["path"].endswith("/pid_target") and write["value"].strip() == str(pid)
            ),
            None,
        )
        if written is None:
            return None
        kdamond = int(written["path"].split("/")[3])
        committed = next(
            (
                event
                for event in dump["events"]
                if event["kind"] in {"on", "commit"}
                and event["kdamond"] == kdamond
                and event["time_us"] >= written["time_us"]
            ),
            None,
        )
        if committed is None:
            return None
        found[name] = Taken(
            written["time_us"] / 1e6 + offset_s, committed["time_us"] / 1e6 + offset_s
        )
    return found


def _started_s(body: Body) -> float:
    """Return the container's startedAt in monotonic seconds."""
    told = body["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    unix_s = datetime.strptime(told, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    return unix_s - time.time() + time.monotonic()


def _quantiles(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "pods": len(seconds),
        "p50": round(cuts[49], 3),
        "p90": round(cuts[89], 3),
        "p99": round(cuts[98], 3),
        "max": round(max(seconds), 3),
    }


def _table(report: dict[str, dict[str, float]]) -> str:
    lines = [f"\n{'seconds':<54}{'pods':>6}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}"]
    for leg, row in report.items():
        cells = "".join(f"{row[key]:>9.3f}" for key in ("p50", "p90", "p99", "max"))
        lines.append(f"{LEGS[leg]:<54}{row['pods']:>6.0f}{cells}")
    return "\n".join(lines)
