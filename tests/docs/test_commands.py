"""Every command of README and tutorial has a test that runs it, and what it names is there."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from harness.console import Command, Home, commands, home, missing

ROOT = Path(__file__).parents[2]
README, TUTORIAL = ROOT / "README.md", ROOT / "docs/tutorial.md"
PAGES = (README, TUTORIAL)
ALL = [command for page in PAGES for command in commands(page)]
OF_MAKE = {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
HERE = [command for command in ALL if home(command.text) is Home.MACHINE]


def where(command: Command) -> str:
    return f"{command.where} {command.text}"


def makefile_targets() -> set[str]:
    files = [ROOT / "Makefile", *ROOT.glob("*/*.mk"), *ROOT.glob("e2e/*/*.mk")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return set(re.findall(r"^([a-z][a-z0-9-]*):", text, re.MULTILINE))


@pytest.mark.parametrize("command", ALL, ids=where)
def test_every_command_has_a_home(command):
    assert home(command.text)


@pytest.mark.parametrize("text", sorted({command.text for command in HERE}))
def test_what_needs_only_this_machine_runs_and_prints_what_is_shown(text):
    # As from a shell of its own: a make that runs these tests hands its arguments on by these.
    environment = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    ran = subprocess.run(
        ["bash", "-c", text],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for command in HERE:
        if command.text == text:
            lost = missing(command.output, ran.stdout)
            assert lost is None, f"{command.where}: {lost!r} is not in\n{ran.stdout}"


@pytest.mark.parametrize("command", ALL, ids=where)
def test_what_a_command_names_is_there(command):
    for target in re.findall(r"(?:^|\s)make ([a-z][a-z0-9-]*)", command.text):
        assert target in makefile_targets()
    for path in re.findall(r"(?<![\w./])(?:examples|e2e|helm|crds)/[\w./-]+", command.text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("command", ALL, ids=where)
def test_values_that_a_command_sets_are_values_of_the_chart(command):
    values = yaml.safe_load((ROOT / "helm/damon-operator/values.yaml").read_text(encoding="utf-8"))
    for path in re.findall(r"--set ([\w.]+)=", command.text):
        found = values
        for name in path.split("."):
            assert name in found, path
            found = found[name]


def test_what_the_readme_does_on_a_cluster_the_tutorial_does_too():
    """So it is run by the suite on a cluster, which plays the tutorial."""
    played = {_shape(c.text) for c in commands(TUTORIAL) if home(c.text) is Home.CLUSTER}
    told = {_shape(c.text): c.where for c in commands(README) if home(c.text) is Home.CLUSTER}
    assert not {shape: told[shape] for shape in told.keys() - played}


def _shape(text: str) -> str:
    """Return a command without the names of nodes."""
    return re.sub(r"\b(NODE|damon-operator-e2e-[\w-]+)( damon-operator-e2e-[\w-]+)*", "NODE", text)


def test_there_is_something_to_run_in_each_home():
    assert {home(command.text) for command in ALL} == set(Home)
