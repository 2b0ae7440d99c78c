"""The arrows between rooms, by import-linter; and that this check can turn red."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")
IMPORTED_SUITE = re.compile(r"^(?:from|import) (tests_\w+)", re.MULTILINE)


def lint(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--config", config, "--no-cache"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def test_every_contract_is_kept():
    ran = lint(ROOT / "pyproject.toml")
    assert ran.returncode == 0, ran.stdout


def test_a_forbidden_arrow_is_reported(tmp_path):
    config = tmp_path / "importlinter.ini"
    config.write_text(
        "[importlinter]\n"
        "root_packages =\n    damon_contract\n"
        "include_external_packages = True\n"
        "[importlinter:contract:pure]\n"
        "name = The priority map imports no mathematics\n"
        "type = forbidden\n"
        "source_modules =\n    damon_contract.priorities\n"
        "forbidden_modules =\n    math\n"
    )
    ran = lint(config)
    assert ran.returncode == 1
    assert "damon_contract.priorities -> math" in ran.stdout


def test_end_to_end_suites_stand_on_the_harness_and_not_on_each_other():
    upwards = [
        f"{path.relative_to(ROOT)}: {suite}"
        for path in (ROOT / "e2e").rglob("*.py")
        for suite in IMPORTED_SUITE.findall(path.read_text(encoding="utf-8"))
        if suite not in path.parts
    ]
    assert not upwards
