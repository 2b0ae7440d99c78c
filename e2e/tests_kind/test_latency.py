"""From the kubelet's word that a container runs to its process being a committed target."""

import json
import statistics
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import urllib3
from tests_kind.api import Api, Body, eventually
from tests_kind.nodes import Node
from tests_kind.truth import Truth, container_ids, pids_of
from tests_kind.workloads import Workloads, pod

PODS = 100
AT_ONCE = 5


class Starts:
    """Watches pods, and notes when the API server first says that each runs."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._thread = threading.Thread(target=self._watch, name="starts", daemon=True)
        self._over = False
        self.seen: dict[str, float] = {}
        """Pod -> monotonic seconds of the first status that shows its container running."""
        self.started: dict[str, float] = {}
        """Pod -> unix seconds of the container's startedAt, whole ones."""

    def begin(self) -> None:
        self._thread.start()

    def _watch(self) -> None:
        while not self._over:
            try:
                for body in self._api.watch("pods", "shop"):
                    self._note(body)
            except urllib3.exceptions.HTTPError:
                continue  # the watch is over every few seconds

    def end(self) -> None:
        self._over = True
        self._thread.join()

    def _note(self, body: Body) -> None:
        now = time.monotonic()
        name = body["metadata"]["name"]
        if name in self.seen or not any(container_ids(body)):
            return
        self.seen[name] = now
        state = body["status"]["containerStatuses"][0]["state"]["running"]
        self.started[name] = (
            datetime.strptime(state["startedAt"], "%Y-%m-%dT%H:%M:%SZ")
            .replace(tzinfo=UTC)
            .timestamp()
        )


@pytest.fixture(name="starts")
def starts_fixture(api: Api) -> Iterator[Starts]:
    starts = Starts(api)
    starts.begin()
    yield starts
    starts.end()


def test_a_hundred_pod_starts_are_in_the_kernel_soon_after_they_run(
    tuning: Body,
    workloads: Workloads,
    truth: Truth,
    workers: tuple[Node, Node],
    starts: Starts,
    measured: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    priorities = ("25", "35", "45", "55", "65")
    bodies = [
        pod(f"start-{n:03}", workers[n % 2].name, priority=priorities[n % 5]) for n in range(PODS)
    ]
    latencies: dict[str, float] = {}
    by_kubelet: dict[str, float] = {}
    for first in range(0, PODS, AT_ONCE):
        batch = workloads.start(*bodies[first : first + AT_ONCE])
        for node in workers:
            mine = [b for b in batch if b["spec"]["nodeName"] == node.name]
            pids = {b["metadata"]["name"]: pids_of(b, node.processes()) for b in mine}
            for name, targets in eventually(
                "all are targets", partial(_targets, node, pids)
            ).items():
                latencies[name] = targets - starts.seen[name]
                offset = time.time() - time.monotonic()
                by_kubelet[name] = targets + offset - starts.started[name]
    truth.holds()
    report = {
        "statusChangeToTarget": _quantiles(list(latencies.values())),
        "startedAtToTarget": _quantiles(list(by_kubelet.values())),
    }
    measured["latencySeconds"] = report
    with capsys.disabled():
        print(_table(report))
        print(json.dumps({"latencySeconds": report}))
    assert len(latencies) == PODS
    assert max(latencies.values()) < 60


def _targets(node: Node, pids: dict[str, frozenset[int]]) -> dict[str, float] | None:
    """Return pod -> monotonic seconds of the commit that made its process a target; all or None."""
    before = time.monotonic()
    dump = node.dump()
    offset = (before + time.monotonic()) / 2 - dump["now_us"] / 1e6
    found = {}
    for name, wanted in pids.items():
        (pid,) = wanted
        writes = [
            w
            for w in dump["writes"]
            if w["path"].endswith("/pid_target") and w["value"].strip() == str(pid)
        ]
        if not writes:
            return None
        kdamond = int(writes[0]["path"].split("/")[3])
        commits = [
            event["time_us"]
            for event in dump["events"]
            if event["kind"] in {"on", "commit"}
            and event["kdamond"] == kdamond
            and event["time_us"] >= writes[0]["time_us"]
        ]
        if not commits:
            return None
        found[name] = commits[0] / 1e6 + offset
    return found


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
    lines = [f"\n{'seconds':<24}{'pods':>6}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}"]
    for name, row in report.items():
        cells = "".join(f"{row[key]:>9.3f}" for key in ("p50", "p90", "p99", "max"))
        lines.append(f"{name:<24}{row['pods']:>6.0f}{cells}")
    return "\n".join(lines)
