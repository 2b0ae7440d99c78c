"""What is generated is what is committed; what says a version says the same one."""

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

from damon_contract.v1alpha1.node import NodeReason
from damon_operator.planner.priorities import NoteReason
from damon_operator.planner.rollout import RolloutReason
from damon_operator.planner.status import Reason

ROOT = Path(__file__).parents[2]


def test_the_committed_crds_are_the_generated_ones():
    ran = subprocess.run(
        [sys.executable, "-m", "damon_contract", "--check"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_changed_crd_is_noticed(tmp_path):
    for committed in (ROOT / "crds").glob("*.yaml"):
        text = committed.read_text(encoding="utf-8")
        (tmp_path / committed.name).write_text(text.replace("default: 80", "default: 81"))
    ran = subprocess.run(
        [sys.executable, "-m", "damon_contract", "--check", "--directory", str(tmp_path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert "+                default: 80" in ran.stdout
    assert "make crds" in ran.stderr


def test_the_lock_pins_every_direct_dependency_with_hashes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        name = requirement.split(">=")[0].lower()
        assert f"\n{name}==" in locked, f"{name}: run `make lock`"
    pins = [line for line in locked.splitlines() if "==" in line and not line.startswith(" ")]
    assert all(line.endswith("\\") for line in pins), "every pin is followed by its hashes"


def test_the_changelog_opens_with_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = next(line for line in changelog.splitlines() if line.startswith("## "))
    assert project["version"] in first


def test_every_reason_is_explained_to_the_person_on_call():
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"[A-Z][A-Za-z]+", operations))
    reasons = {
        reason.value for kind in (NodeReason, Reason, NoteReason, RolloutReason) for reason in kind
    }
    assert reasons - explained == set()
