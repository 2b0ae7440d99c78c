"""How far the native driver has come in this boot, and when it must not go on. Pure.

The kernel RFC's tuner keeps static state that outlives the kdamond it was armed for: it works once
per boot. So what was done is noted in a file, always before the write that makes it true.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from damon_agent.facts import MemoryReading
from damon_agent.kernel.ladder import permille
from damon_agent.kernel.native.classes import Layout
from damon_agent.kernel.report import Blocked
from damon_contract.v1alpha1.node import NodeReason

FILE: Final = "native.json"
"""Name of the note in the state directory."""

LEAST_FREE_PERMILLE: Final = 150
"""The tuner subtracts 100 per mille from free memory, unsigned, when it is armed: below that its
marks are astronomical until the first commit of our own. So there has to be well above 100."""


class Phase(StrEnum):
    """What the note says. That nobody is in any slot (parked) is found by looking."""

    CLAIMED = "claimed"
    """The kdamond is allocated or about to be; it has never been switched on."""
    ARMED = "armed"
    """It is on or about to be; the kernel runs schemes of its own making, over nobody."""
    RUNNING = "running"
    """Arming is confirmed; the kernel runs our schemes or is about to."""
    LEAVING = "leaving"
    """It is to be switched off, for the only time in this boot."""
    SPENT = "spent"
    """It is off and stays off."""
    BROKEN = "broken"
    """Its thread died with the state on: any further write may hang for ever or crash."""


@dataclass(frozen=True, slots=True)
class Boot:
    """The note."""

    phase: Phase
    layout: Layout
    """The numbers of the slots, from arming on those that the kernel holds."""


def dump(boot: Boot, boot_id: str) -> str:
    """Return the note as JSON."""
    return json.dumps({"bootId": boot_id, "phase": boot.phase, "numbers": boot.layout.numbers})


def parse(text: bytes | None, boot_id: str) -> Boot | None:
    """Return the note of this boot; None for anything else, such as damage."""
    try:
        value = json.loads(text or "")
        boot = Boot(Phase(value["phase"]), Layout(tuple(value["numbers"])))
        return boot if value["bootId"] == boot_id else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def refuse_beforehand(memory: MemoryReading, *, host_pid_namespace: bool) -> None:
    """Raise Blocked unless this machine is one on which arming is safe and of use."""
    if not host_pid_namespace:
        raise refused(
            "pid 2 is not kthreadd: the agent must run in the host's pid namespace (hostPID)"
        )
    if not memory.swap_total_bytes:
        raise refused("the node has no swap: nothing would be reclaimed")
    free = permille(memory.free_bytes, memory.total_bytes)
    if free < LEAST_FREE_PERMILLE:
        raise refused(
            f"{free} per mille of memory is free, and starting the kernel's tuner is safe only "
            f"with {LEAST_FREE_PERMILLE} or more; it starts as soon as there is"
        )


def refused(because: str) -> Blocked:
    """Return the refusal for an unmet precondition."""
    return Blocked(NodeReason.NATIVE_REFUSED, f"the driver native is not possible: {because}")


def spent(because: str) -> Blocked:
    """Return the refusal to do a second time in one boot what this kernel survives once."""
    return Blocked(
        NodeReason.NATIVE_SPENT,
        f"{because}; this kernel's tuner works once per boot: reboot the node",
    )


def broken(because: str) -> Blocked:
    """Return the refusal to touch a kdamond whose thread has crashed."""
    return Blocked(
        NodeReason.NEEDS_REBOOT,
        f"{because}: the kernel has crashed in it. Nothing is written any more in this boot; "
        "reboot the node",
    )
