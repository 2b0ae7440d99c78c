"""docs/tutorial.md, command by command, on a cluster that has nothing of ours yet.

With TUTORIAL_RECORD=1 what the commands print goes into the page, below those that show nothing
yet; what is too long there is shortened by hand, with `...`.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from harness.api import Api, eventually
from harness.command import run
from harness.console import Command, Home, commands, filled, home, missing
from harness.release import AGENT_IMAGE, NAMESPACE, ROOT, Release
from tests_kind.nodes import Node
from tests_kind.truth import remains

TUTORIAL: Final = ROOT / "docs/tutorial.md"
CLUSTER: Final = os.environ.get("KIND_CLUSTER", "damon-operator-e2e")
PREFIX: Final = AGENT_IMAGE.rpartition("/")[0]
_PATIENCE_S: Final = 60.0


@pytest.fixture(name="empty")
def empty_fixture(release: Release, api: Api) -> Iterator[None]:
    """Nothing of ours in the cluster, neither CRDs nor the namespaces of the examples; and back."""
    examples = ["-f", "examples/pods.yaml", "-f", "examples/priorityclasses.yaml"]
    release.uninstall()
    run(["kubectl", "delete", "crd", "--selector=app.kubernetes.io/part-of=damon-operator"])
    _kubectl("delete", *examples, "--ignore-not-found")
    yield
    _kubectl("label", "nodes", "--all", "damon-operator.io/canary-")
    _kubectl("delete", *examples, "--ignore-not-found")
    release.install()
    _kubectl("apply", "-f", "examples/priorityclasses.yaml")
    for name, labels in (("shop", {}), ("builds", {"purpose": "ci"})):
        api.create("namespaces", {"metadata": {"name": name, "labels": labels}})


def test_the_tutorial_leads_from_nothing_to_mode_enforce_and_back(
    empty: None, nodes: dict[str, Node], api: Api
) -> None:
    printed: dict[int, str] = {}
    for command in map(_fitted, commands(TUTORIAL)):
        if home(command.text) is Home.CLUSTER:
            printed[command.line] = _play(command)
        if command.text.startswith("helm uninstall"):
            assert [trace for node in nodes.values() for trace in remains(node)] == []
            eventually("its pods have ended", lambda: not api.get("pods", namespace=NAMESPACE))
    if "TUTORIAL_RECORD" in os.environ:
        TUTORIAL.write_text(filled(TUTORIAL, printed), encoding="utf-8")


def _play(command: Command) -> str:
    """Run a command until it prints what the page shows: a status follows within seconds."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        ran = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command.text}"],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=400,
        )
        printed = ran.stdout + ran.stderr
        assert ran.returncode == 0, f"{command.where}: {command.text}\n{printed}"
        lost = None if command.is_example else missing(command.output, printed)
        if lost is None:
            return printed
        reads = command.text.startswith("kubectl get")
        assert reads, f"{command.where}: {lost!r} is not in\n{printed}"
        assert time.monotonic() < until, f"{command.where}: {lost!r} is not in\n{printed}"
        time.sleep(1)


def _fitted(command: Command) -> Command:
    """Return the command for this cluster: its nodes, its images, and whether it has swap."""
    text = command.text.replace("damon-operator-e2e", CLUSTER)
    if text.startswith("helm install"):
        text += f" --set image.prefix={PREFIX}"
    output = tuple(line.replace("damon-operator-e2e", CLUSTER) for line in command.output)
    if _has_swap():
        output = tuple(_with_swap(line) for line in output)
    return Command(command.file, command.line, text, output, command.is_example)


def _with_swap(line: str) -> str:
    """Return a line of `kubectl get dn` as a machine with swap prints it."""
    return line.replace("NoSwap", "Applied")


def _has_swap() -> bool:
    (total,) = [
        int(line.split()[1])
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("SwapTotal:")
    ]
    return total > 0


def _kubectl(*arguments: str) -> None:
    run(["kubectl", *arguments[:1], *(_path(argument) for argument in arguments[1:])])


def _path(argument: str) -> str:
    return str(ROOT / argument) if argument.startswith("examples/") else argument
