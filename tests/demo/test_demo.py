"""The demo as a program: everything real but the kernel and the API server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from damon_mock.damon import fuse

ROOT = Path(__file__).parents[2]


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "damon_mock", "demo", "--output", "json", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("transport", "profile"),
    [pytest.param("fuse", "7.2", marks=pytest.mark.fuse), ("socket", "6.12")],
)
def test_every_step_of_the_demo_holds(transport, profile):
    if transport == "fuse" and (reason := fuse.missing()):
        pytest.skip(f"no FUSE here: {reason}")
    ran = play("--transport", transport, "--profile", profile)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    assert told["held"]
    assert len(told["steps"]) == 10
    first, *_, joined, last = told["steps"]
    by_pod = {row["pod"]: row for row in first["nodes"]["node-a"]["pods"]}
    assert by_pod["shop/web"]["priority"] == 66
    assert len(by_pod["shop/web"]["pids"]) == 2
    assert by_pod["shop/database"]["role"] == "protected"
    assert "shop/profiler" not in by_pod
    gave_up, said = joined["facts"]
    assert "default/search-index (83) keeps all 320 MiB of its own" in gave_up
    assert "without DAMON, page cache goes by memory.reclaim" in said
    assert last["facts"][-1] == "requests that modify a pod: none"


def test_without_its_files_the_demo_says_what_is_missing(tmp_path):
    ran = play("--project", str(tmp_path))
    assert ran.returncode == 2
    assert "no examples/tuning.yaml" in ran.stderr
