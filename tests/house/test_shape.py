"""The house itself: names that would shadow the standard library, sizes, stray files."""

import ast
import operator
import statistics
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTAINERS = ("crds", "operator", "agent", "cli", "e2e")
PACKAGES = (
    "crds/damon_contract",
    "operator/damon_operator",
    "agent/damon_agent",
    "cli/damon_cli",
    "e2e/damon_mock",
)


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_standard_library_operator_is_not_shadowed():
    assert Path(operator.__file__).is_relative_to(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_holds_packages_and_no_module(container):
    assert not (ROOT / container / "__init__.py").exists()
    assert not list((ROOT / container).glob("*.py"))


def test_no_module_is_named_like_one_of_the_standard_library():
    shadowing = [p for p in modules() if p.parent.name.startswith("damon_")]
    scripts = [*(ROOT / "bench").glob("*.py"), *(ROOT / "helm").glob("*.py")]
    assert not [p for p in shadowing + scripts if p.stem in sys.stdlib_module_names]


def test_tests_are_no_packages():
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_files_stay_small():
    sizes = {path.relative_to(ROOT): lines(path) for path in modules()}
    assert not {path: size for path, size in sizes.items() if size > 450}
    assert statistics.median(size for size in sizes.values() if size) < 150


def test_no_test_file_grows_beyond_400_lines():
    assert not [p for p in (ROOT / "tests").rglob("*.py") if lines(p) > 400]


def test_modules_are_nouns_of_the_field():
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "lib"}
    assert not [p for p in modules() if p.stem in drawers]


@pytest.mark.parametrize("package", PACKAGES[:-1])
def test_no_program_has_two_classes_of_one_name(package):
    """Who reads a name knows which class it is.

    The mock is left out: the kernel, the API server and the node it plays have words in common.
    """
    names = Counter(
        node.name
        for path in (ROOT / package).rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert not [name for name, count in names.items() if count > 1]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout: which files belong to the project is unknown")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_code_names_the_real_sysfs():
    """Only the chart, its tests and what is sent into virtual machines do.

    No default reaches the DAMON of the machine it runs on.
    """
    real = "/sys/kernel/mm/" + "damon"
    naming = [
        path.relative_to(ROOT)
        for path in tracked()
        if path.is_file()
        and path.suffix in {".py", ".sh", ".mk", ".toml"}
        and not path.is_relative_to(ROOT / "tests" / "chart")
        and not path.is_relative_to(ROOT / "e2e" / "tests_kernel")
        and any(
            real in line and "NEVER" not in line and not line.lstrip().startswith("#")
            for line in path.read_text(encoding="utf-8").splitlines()
        )
    ]
    assert naming == []
