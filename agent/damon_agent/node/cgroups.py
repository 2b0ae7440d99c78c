"""Container ids in cgroup paths. Pure.

The 64-hex id of a container is the only part of its cgroup path that every runtime, cgroup driver,
kubelet flag and nesting agree on:

    0::/kubepods.slice/.../kubepods-pod<uid>.slice/cri-containerd-<id>.scope   containerd, systemd
    5:memory:/kubepods/burstable/pod<uid>/<id>                                 cgroupfs, v1
    0::/../../pod<uid>/crio-<id>/container                    private cgroup namespace, CRI-O, crun
    0::/docker/<node's id>/kubelet/kubepods/pod<uid>/<id>                      kind
"""

import re
from typing import Final

_ID: Final = re.compile(rb"(?<!conmon-)(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
"""CRI-O puts its monitor beside the container, in `crio-conmon-<id>` with the container's id."""


def container_ids(text: bytes) -> tuple[str, ...]:
    """Return the container ids in the text of /proc/<pid>/cgroup, the innermost first.

    A process of a container inside a container (kind, docker in a pod) belongs to both; whoever
    asks takes the first id it knows.
    """
    return tuple(dict.fromkeys(found.decode() for found in reversed(_ID.findall(text))))


def named_id(directory: str) -> str | None:
    """Return the container id in the name of one cgroup directory; None for all others."""
    found = _ID.findall(directory.encode())
    return found[-1].decode() if found else None
