"""Names a kubelet and its runtime give cgroups: the systemd driver's, for two runtimes.

https://kubernetes.io/docs/setup/production-environment/container-runtimes/#cgroup-drivers
"""

import secrets
from typing import Final, Literal

RuntimeName = Literal["containerd", "cri-o"]
SwapBehavior = Literal["NoSwap", "LimitedSwap", "UnlimitedSwap"]
"""What pods may swap. LimitedSwap and NoSwap are the kubelet's; UnlimitedSwap was until 1.30."""

_SCOPE: Final = {"containerd": "cri-containerd", "cri-o": "crio"}
RUNTIME_CGROUP: Final = "/system.slice/containerd.service"


def new_id() -> str:
    """Return a container id: 64 hex digits."""
    return secrets.token_hex(32)


def pod_cgroup(uid: str, qos_class: str) -> str:
    """Return the cgroup of a pod."""
    name = f"pod{uid.replace('-', '_')}.slice"
    if qos_class == "Guaranteed":
        return f"/kubepods.slice/kubepods-{name}"
    qos = qos_class.lower()
    return f"/kubepods.slice/kubepods-{qos}.slice/kubepods-{qos}-{name}"


def container_cgroup(pod: str, container_id: str, runtime: RuntimeName) -> str:
    """Return the cgroup of a container."""
    return f"{pod}/{_SCOPE[runtime]}-{container_id}.scope"


def monitor_cgroup(pod: str, container_id: str) -> str:
    """Return the cgroup of CRI-O's monitor, which carries the id of the container it watches."""
    return f"{pod}/crio-conmon-{container_id}.scope"


def swap_max(
    behavior: SwapBehavior, qos_class: str, *, requested: int, capacity: int, swap_total: int
) -> str:
    """Return memory.swap.max of a container.

    LimitedSwap: Burstable pods get the share of swap that they requested of memory, others none
    (KEP-2400, node memory swap support).
    """
    if behavior == "UnlimitedSwap":
        return "max"
    if behavior == "NoSwap" or qos_class != "Burstable" or not requested:
        return "0"
    return str(requested * swap_total // capacity)
