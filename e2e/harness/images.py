"""The images of this checkout, brought into the nodes of the cluster."""

import os
from collections.abc import Sequence
from pathlib import Path

from harness.command import run, set_up
from harness.release import AGENT_IMAGE, OPERATOR_IMAGE, ROOT, SOURCES


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


def _in_node(node: str) -> set[str]:
    """Return the names of the images that a node has."""
    command = ["ctr", "--namespace", "k8s.io", "images", "list", "--quiet"]
    return set(run([os.environ["KIND_ENGINE"], "exec", node, *command]).split())
