"""How the machine is before a run: the next one starts from there, or it is not comparable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests_kernel.node import Node
from tests_kernel.waiting import until_equal

SYSCTLS: Final = ("watermark_scale_factor", "swappiness", "min_free_kbytes", "page-cluster")
_KUBEPODS: Final = "/sys/fs/cgroup/kubepods"
_TOLERANCE_BYTES: Final = 48 << 20
"""Of what is available: page cache and slabs are not the same twice."""


class NotAtBeginningError(Exception):
    """The machine is not as it was; the message says what differs."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What has to be the same before each run."""

    sysctls: Mapping[str, str]
    protected_bytes: int
    """memory.min and memory.low of all pods together."""
    nr_kdamonds: int
    swap_used_bytes: int
    pods: int
    """Cgroups of pods; the agent's is one."""
    available_bytes: int

    def differences(self, now: "Beginning") -> list[str]:
        """Return what is not as it was; what is available may be a little more or less."""
        found = [
            f"{name}: {was!r} before, {there!r} now"
            for name in ("sysctls", "protected_bytes", "nr_kdamonds", "swap_used_bytes", "pods")
            if (was := getattr(self, name)) != (there := getattr(now, name))
        ]
        lost_bytes = self.available_bytes - now.available_bytes
        if abs(lost_bytes) > _TOLERANCE_BYTES:
            found.append(f"available: {lost_bytes >> 20} MiB less than before")
        return found


def clean(node: Node, swap: str, *, has_swap: bool) -> Beginning:
    """Empty swap (a block device) and page cache, and return how the machine is then."""
    until_equal("no kdamond is left", node.nr_kdamonds, 0)
    node.guest.shell(
        f"[ $(tail -n +2 /proc/swaps | wc -l) = 0 ] || swapoff {swap}; "
        "sync; echo 3 >/proc/sys/vm/drop_caches",
        timeout_s=300,
    )
    node.guest.run("swapon", swap)
    begin = _look(node)
    if not has_swap:
        node.guest.run("swapoff", swap, timeout_s=300)
    return begin


def _look(node: Node) -> Beginning:
    guest = node.guest
    facts = node.meminfo()
    protection = (int(guest.read(f"{_KUBEPODS}/memory.{name}")) for name in ("min", "low"))
    pods = guest.shell(f"find {_KUBEPODS} -maxdepth 2 -name 'pod*' | wc -l")
    return Beginning(
        sysctls={name: guest.read(f"/proc/sys/vm/{name}") for name in SYSCTLS},
        protected_bytes=sum(protection),
        nr_kdamonds=node.nr_kdamonds(),
        swap_used_bytes=facts["SwapTotal"] - facts["SwapFree"],
        pods=int(pods),
        available_bytes=facts["MemAvailable"],
    )
