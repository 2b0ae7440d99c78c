"""Kernel modules that have DAMON for themselves while their parameter `enabled` reads Y.

Beside one of them every `on` fails EBUSY, and beside a running kdamond none of them starts. They
are left alone, but for DAMON_STAT where the agent was told that it may: kernels since 6.17 start it
at boot, and it only measures. What was switched off is switched on again.
"""

from collections.abc import Callable
from typing import Final

from damon_agent.kernel.report import Blocked
from damon_agent.kernel.tree.errors import KernelError
from damon_agent.kernel.tree.sysfs import Sysfs
from damon_contract.v1alpha1.node import NodeReason

DAMON_STAT: Final = "damon_stat"

EXCLUSIVE_USERS: Final = {
    DAMON_STAT: NodeReason.DAMON_STAT_ENABLED,
    "damon_reclaim": NodeReason.DAMON_BUSY,
    "damon_lru_sort": NodeReason.DAMON_BUSY,
}


def refuse_exclusive_users(module: Sysfs, *, stops_damon_stat: bool = False) -> None:
    """Raise Blocked if a kernel module has DAMON for itself.

    `stops_damon_stat`: DAMON_STAT is no reason, because it will be switched off.
    """
    for name, reason in EXCLUSIVE_USERS.items():
        if stops_damon_stat and name == DAMON_STAT:
            continue
        if _is_on(module, name):
            remedy = (
                ", or let the agent do it (--disable-damon-stat, in the chart "
                "agent.disableDamonStat)"
                if name == DAMON_STAT
                else ""
            )
            raise Blocked(
                reason,
                f"the kernel module {name} uses DAMON exclusively; to let the operator work, write "
                f"N to /sys/module/{name}/parameters/enabled, or boot with {name}.enabled=N"
                f"{remedy}",
            )


def stop_damon_stat(module: Sysfs, note: Callable[[], None]) -> None:
    """Switch DAMON_STAT off if it is on; `note` is called before, to remember that we did.

    Raise Blocked if it stays on; raise KernelError, and what `note` raises.
    """
    if not _is_on(module, DAMON_STAT):
        return
    note()
    module.write(_enabled(DAMON_STAT), "N")
    if _is_on(module, DAMON_STAT):
        raise Blocked(
            NodeReason.DAMON_STAT_ENABLED, "DAMON_STAT is still on after it was switched off"
        )


def resume_damon_stat(module: Sysfs) -> None:
    """Switch DAMON_STAT on again; to be asked only by who switched it off.

    It stays off where another exclusive user has DAMON by now. Raise Blocked where it can't be
    switched on.
    """
    others = EXCLUSIVE_USERS.keys() - {DAMON_STAT}
    if module.found(_enabled(DAMON_STAT)) != "N" or any(_is_on(module, name) for name in others):
        return
    try:
        module.write(_enabled(DAMON_STAT), "Y")
    except KernelError as error:
        raise Blocked(
            NodeReason.DAMON_STAT_OFF,
            "DAMON_STAT was switched off by this agent and cannot be switched on again, so not "
            f"everything is given back: {error}; write Y to "
            f"/sys/module/{_enabled(DAMON_STAT)}, or let the agent (--disable-damon-stat, in the "
            "chart agent.disableDamonStat, mounts it writable)",
        ) from error


def _enabled(name: str) -> str:
    return f"{name}/parameters/enabled"


def _is_on(module: Sysfs, name: str) -> bool:
    return module.found(_enabled(name)) == "Y"
