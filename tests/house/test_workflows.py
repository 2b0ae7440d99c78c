"""What the workflows run is what was looked at, with no more rights than they need."""

import re
from pathlib import Path

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).parents[2] / ".github/workflows").glob("*.yaml"))


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"].values()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_commit_and_says_its_version(path):
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    for line in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_read_and_jobs_say_what_they_may_besides(path):
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}
    for job in jobs(path):
        assert job["timeout-minutes"] <= 120
        written = {name for name, right in job.get("permissions", {}).items() if right == "write"}
        assert written <= {"packages", "id-token"}
        checkouts = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_a_release_has_sboms_provenance_and_signatures():
    release = next(path for path in WORKFLOWS if path.stem == "release")
    text = release.read_text()
    (build,) = [
        step["with"]
        for job in jobs(release)
        for step in job["steps"]
        if "build-push-action" in step.get("uses", "")
    ]
    assert build["sbom"] is True
    assert build["provenance"] == "mode=max"
    assert text.count("cosign sign --yes") == 2, "images and chart"
    assert "pull_request" not in text
