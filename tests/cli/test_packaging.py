"""What kubectl, krew and shells need besides the commands."""

import importlib.util
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from damon_cli import completion
from damon_cli.report.command import Form

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="pyz", scope="module")
def pyz_fixture():
    """The script that packs."""
    spec = importlib.util.spec_from_file_location("pyz", ROOT / "cli/packaging/pyz.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_krew_manifest_has_what_krew_asks_for(pyz):
    told = pyz.manifest("1.2.3", "https://example.com/x.tar.gz", "0" * 64)
    assert told["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert told["metadata"]["name"] == "damon"
    assert re.fullmatch(r"v\d+\.\d+\.\d+", told["spec"]["version"])
    assert len(told["spec"]["shortDescription"]) < 50
    chosen = [p["selector"]["matchLabels"] for p in told["spec"]["platforms"]]
    assert {"os": "linux", "arch": "amd64"} in chosen
    assert len({(c["os"], c["arch"]) for c in chosen}) == len(chosen)
    for platform in told["spec"]["platforms"]:
        assert platform["bin"] in {each["from"] for each in platform["files"]}
    assert yaml.safe_load(yaml.safe_dump(told)) == told


def test_the_archive_holds_a_program_that_kubectl_finds_and_is_the_same_each_time(pyz, tmp_path):
    program = tmp_path / "kubectl-damon.pyz"
    program.write_text("#!/bin/sh\necho fine\n")
    one, two = tmp_path / "one.tar.gz", tmp_path / "two.tar.gz"
    pyz.archive(program, one)
    pyz.archive(program, two)
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as packed:
        packed.extractall(tmp_path / "out", filter="data")
    assert os.access(tmp_path / "out/kubectl-damon", os.X_OK)


def test_the_core_is_fetched_as_the_lock_pins_it(pyz):
    first, *hashes = pyz.pinned().splitlines()
    assert first in (ROOT / "requirements-cli.lock").read_text().splitlines()
    assert hashes
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)


@pytest.mark.parametrize(
    ("before", "word", "candidates"),
    [
        (["report", "-o"], "", sorted(Form)),
        ([], "st", ["status"]),
        (["top", "-g"], "n", ["namespace", "node"]),
        (["status"], "--w", ["--wait"]),
        (["explain"], "d", ["deploy", "ds"]),
        (["explain", "pod", "web"], "", []),
    ],
)
def test_words_are_completed(before, word, candidates):
    assert completion.candidates(before, word) == (candidates, ":4")


def test_a_file_is_left_to_the_shell():
    assert completion.candidates(["plan", "-f"], "x") == ([], ":0")


def test_pods_are_completed_from_the_cluster(shop):
    ran = subprocess.run(
        [shop.program.with_name("kubectl_complete-damon"), "explain", "-n", "shop", "pod", "w"],
        env=shop.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines() == ["web", ":4"]
