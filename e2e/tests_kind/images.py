"""The images of this checkout, brought into the nodes of the cluster."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from tests_kind.nodes import run
from tests_kind.release import AGENT_IMAGE, OPERATOR_IMAGE, ROOT, SOURCES

_BUILD_S = 900.0


def ensure(*nodes: str, images: Sequence[str] = (AGENT_IMAGE, OPERATOR_IMAGE)) -> None:
    """Build all, and load these, unless these nodes have those of the sources as they are."""
    wanted = f"{AGENT_IMAGE} {SOURCES}"
    stamp = Path(os.environ["DAMON_MOCKS"]).with_name("images-loaded")
    current = stamp.is_file() and stamp.read_text() == wanted
    if current and all(set(images) <= _in_node(node) for node in nodes):
        return
    set_up(["make", "--directory", str(ROOT), "images"])
    for image in images:
        set_up([str(ROOT / "e2e/kind/load.sh"), image])
    stamp.write_text(wanted)


def set_up(command: list[str]) -> str:
    """Run a command of the set-up, which may be tried again; return what it prints."""
    for pause_s in (10, 40):
        try:
            return run(command, within_s=_BUILD_S)
        except AssertionError:
            time.sleep(pause_s)
    return run(command, within_s=_BUILD_S)


def _in_node(node: str) -> set[str]:
    """Return the names of the images that a node has."""
    command = ["ctr", "--namespace", "k8s.io", "images", "list", "--quiet"]
    return set(run([os.environ["KIND_ENGINE"], "exec", node, *command]).split())
