"""The pods of the suite, all on the one node: those that hold memory, and those that squeeze it."""

from pathlib import Path
from typing import Any, Final

from harness.api import Body
from harness.workloads import container, pod
from vmnode.node import NAME

COLD_MIB: Final = 40
HOT_MIB: Final = 4
PROGRAM_MIB: Final = 16
"""At most: what a victim's interpreter has in memory, most of it used once."""
POD_S: Final = 600.0
"""Emulated and beside others a pod takes from 10 s to minutes to be Ready."""
_VICTIM: Final = Path(__file__).with_name("victim.py").read_text("utf-8")
_FILLER: Final = "import sys, time; held = b'x' * (int(sys.argv[1]) << 20); time.sleep(1e9)"
# LimitedSwap: a pod's share of the node's swap is that of its request in the node's memory.
BURSTABLE: Final[dict[str, Any]] = {"requests": {"memory": "72Mi"}}
_GUARANTEED: Final[dict[str, Any]] = {"limits": {"memory": "128Mi", "cpu": "250m"}}


def victim(name: str, resources: dict[str, Any], **more: Any) -> Body:
    """Return a pod that holds cold and hot memory."""
    command = ["python3", "-c", _VICTIM, str(COLD_MIB), str(HOT_MIB)]
    return pod(name, NAME, containers=[_program(command, resources)], **more)


def filler(name: str, size_mib: int, **more: Any) -> Body:
    """Return a pod that takes memory from the node, and is nobody's business."""
    command = ["python3", "-c", _FILLER, str(size_mib)]
    return pod(name, NAME, exempt="true", containers=[_program(command, {})], **more)


def _program(command: list[str], resources: dict[str, Any]) -> Body:
    return container("main") | {"command": command, "resources": resources}


VICTIMS: Final = (
    victim("eager", BURSTABLE, priority="10"),
    victim("low", BURSTABLE, priority="30"),
    victim("middle", BURSTABLE, priority="60"),
    victim("protected", BURSTABLE, class_name="critical"),
    victim("best-effort", {}, priority="10"),
    victim("guaranteed", _GUARANTEED, priority="10"),
)
"""Four rungs that may swap, and two pods that would go first and may not."""
