"""CI's runner: tiers in order until one is red, and what is told at the end."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLOSING = "===== 3 passed, 1 skipped in 0.10s ====="


@pytest.fixture(name="ci")
def ci_fixture(tmp_path):
    """Return a function that begins a run of these tiers."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    (tmp_path / "pytest").write_text(f"echo '{CLOSING}'; echo 'a word after it'\n")
    (tmp_path / "unable").write_text("echo 'SKIPPED: no such device'; exit 77\n")
    (tmp_path / "slow").write_text(
        # In short naps: one begun just after the signal is over soon.
        "trap 'echo cleaned up' EXIT; trap 'exit 130' TERM; touch begun\n"
        "for _ in {1..600}; do sleep 0.1; done\n"
    )

    def begin(*tiers: str) -> subprocess.Popen[str]:
        quoted = " ".join(f'"{tier}"' for tier in tiers)
        (tmp_path / ".ci/tiers.sh").write_text(f"TIERS=({quoted})\n")
        return subprocess.Popen(
            [tmp_path / ".ci/run"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    return begin


def test_green_tiers_end_in_a_summary_with_the_closing_line_of_each(ci):
    run = ci("one 1 echo fine", "two 1 sh pytest")
    said = run.communicate(timeout=60)[0].splitlines()
    assert run.returncode == 0
    assert CLOSING in said
    one, two = said[said.index("== summary") + 1 :]
    assert one.split()[:2] == ["one", "green"]
    assert one.endswith("fine")
    assert two.split()[:2] == ["two", "green"]
    assert two.endswith(CLOSING)


def test_the_first_red_tier_is_the_last_one(ci):
    run = ci("one 1 false", "two 1 touch never")
    said = run.communicate(timeout=60)[0]
    assert run.returncode == 1
    assert "one    RED, exit 1" in said
    assert "two" not in said.replace("later tiers were not run", "")


def test_a_tier_that_cannot_be_run_is_told_at_the_end_and_the_others_go_on(ci):
    run = ci("one 1 sh unable", "two 1 echo fine")
    said = run.communicate(timeout=60)[0].splitlines()
    assert run.returncode == 0
    skipped = said[said.index("== summary") + 1]
    assert "SKIPPED" in skipped
    assert skipped.endswith("no such device")


def test_a_tier_that_does_not_end_is_ended_and_may_clean_up(ci):
    run = ci("one 0.02 bash slow")
    said = run.communicate(timeout=60)[0]
    assert run.returncode == 1
    assert "cleaned up" in said
    assert "RED, not done after 0.02 min" in said


def test_who_ends_the_run_ends_its_tier(ci, tmp_path):
    run = ci("one 5 bash slow")
    while not (tmp_path / "begun").exists():
        assert run.poll() is None
    os.kill(run.pid, signal.SIGTERM)
    assert "cleaned up" in run.communicate(timeout=60)[0]
    assert run.returncode == 130


def test_the_tiers_of_this_project_begin_with_the_cheap_ones():
    done = subprocess.run(
        ["bash", "-c", '. .ci/tiers.sh && printf "%s\\n" "${TIERS[@]}"'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names, minutes, _ = zip(
        *(line.split(maxsplit=2) for line in done.stdout.splitlines()), strict=True
    )
    assert names[:3] == ("setup", "check", "test")
    assert all(int(most) <= 45 for most in minutes)


@pytest.fixture(name="kind")
def kind_fixture(tmp_path):
    """Return a function that runs the tier on a cluster with a `make` that ends as it is told."""
    for directory in (".ci", "e2e/kind", "bin"):
        (tmp_path / directory).mkdir(parents=True)
    shutil.copy(ROOT / ".ci/kind", tmp_path / ".ci/kind")
    for script in ("e2e/kind/can-host.sh", "e2e/kind/logs.sh", "bin/make"):
        (tmp_path / script).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / script).chmod(0o755)

    def run(target: str, code: int) -> int:
        make = f'#!/bin/sh\ncase "$*" in *{target}*) exit {code};; esac\n'
        (tmp_path / "bin/make").write_text(make)
        environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
        command = ["bash", tmp_path / ".ci/kind"]
        return subprocess.run(command, env=environment, timeout=60, check=False).returncode

    return run


def test_the_tier_on_a_cluster_is_red_when_its_suite_or_its_cluster_is(kind):
    """It was green with failed tests: in `if ! command`, `$?` is that of the `!`."""
    assert kind("test-kind", 0) == 0
    assert kind("test-kind", 2) == 2
    assert kind("kind-up", 2) == 1
