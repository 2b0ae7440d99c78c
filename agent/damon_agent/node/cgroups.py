"""Pods and containers in cgroup paths. Pure.

The kubelet makes one directory per pod, the runtime one per container below it. Names differ by
cgroup driver and runtime, but all carry the pod's uid and the container's id (64 hex digits):

    0::/kubepods.slice/.../kubepods-pod<uid>.slice/cri-containerd-<id>.scope   containerd, systemd
    5:memory:/kubepods/burstable/pod<uid>/<id>                                 cgroupfs, v1
    0::/../../pod<uid>/crio-<id>/container                    private cgroup namespace, CRI-O, crun
    0::/docker/<node's id>/kubelet/kubepods/pod<uid>/<id>                      kind
    0::/system.slice/kubepods-pod<uid>.slice:cri-containerd:<id>       kubelet and runtime disagree

What lies deeper was made by the container itself and belongs to it, whatever it is called: a
container that may write its own cgroups could name any other container there.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_UID: Final = r"[0-9a-f]{8}(?P<s>[-_])[0-9a-f]{4}(?:(?P=s)[0-9a-f]{4}){2}(?P=s)[0-9a-f]{12}"
_POD: Final = re.compile(rf"(?:^|-)pod(?P<uid>{_UID}|[0-9a-f]{{32}})(?:\.slice)?(?=:|$)")
"""With the uid as the API has it, or with underscores for systemd."""
_CONTAINER: Final = re.compile(r"(?:(?P<runtime>.*)[-:])?(?P<id>[0-9a-f]{64})(?:\.scope)?")
"""The whole name: systemd's mount units (`...-<id>-rootfs.mount`) are no containers."""
_MONITOR: Final = re.compile(r"(?:^|-)conmon$")
"""CRI-O puts its monitor beside the container, in `crio-conmon-<id>` with the container's id."""
_ID: Final = re.compile(rb"[0-9a-f]{64}")


class Place(NamedTuple):
    """Whose cgroup a directory is."""

    pod: str | None
    """The pod's uid; of a static pod the digest of its manifest; None: no pod's directory."""
    container: str
    """The container's id."""

    def may_be_of(self, uid: str) -> bool:
        """Say whether it can be that of a pod with this metadata.uid.

        The API has another uid for a static pod than the kubelet, so a digest may be anybody's. And
        a kubelet without --cgroups-per-qos makes no directories for pods.
        """
        return self.pod is None or "-" not in self.pod or self.pod == uid


def pod_uid(directory: str) -> str | None:
    """Return the uid, or digest, in the name of a pod's directory; None for all others."""
    found = _POD.search(directory)
    return None if found is None else found["uid"].replace("_", "-")


def container_id(directory: str) -> str | None:
    """Return the container id in the name of a container's directory; None for all others."""
    found = _CONTAINER.fullmatch(directory)
    if found is None or (found["runtime"] and _MONITOR.search(found["runtime"])):
        return None
    return found["id"]


def places(text: bytes, outer_pods: int = 0) -> tuple[Place, ...]:
    """Return where the process is whose /proc/<pid>/cgroup has this text; () for most.

    Below a pod that is one place. Where there are no pods' directories it may be in a container in
    a container: the outermost comes first, and whoever asks takes the first that it knows.
    `outer_pods`: so many directories of pods stand before those of this kubelet, which runs in one.
    """
    if not _ID.search(text):
        return ()
    for path in _paths(text.decode(errors="replace")):
        if found := _places(path.split("/"), outer_pods):
            return found
    return ()


def count_pods(text: bytes) -> int:
    """Return how many directories of pods are above the process whose /proc/<pid>/cgroup it is."""
    counts = (
        sum(pod_uid(part) is not None for part in path.split("/"))
        for path in _paths(text.decode(errors="replace"))
    )
    return max(counts, default=0)


def _paths(text: str) -> Iterator[str]:
    """Yield the paths of the hierarchies, that of the memory controller first, then that of v2."""
    lines = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
    # In v1 each hierarchy has its own path; where memory is charged is what counts.
    lines.sort(key=lambda line: ("memory" not in line[1].split(","), line[1] != ""))
    for _, _, path in lines:
        yield path


def _places(parts: list[str], outer_pods: int) -> tuple[Place, ...]:
    pods = [index for index, part in enumerate(parts) if pod_uid(part) is not None]
    if len(pods) > outer_pods:
        index = pods[outer_pods]
        uid = pod_uid(parts[index])
        for part in parts[index : index + 2]:
            if container := container_id(part):
                return (Place(uid, container),)
        return ()
    return tuple(Place(None, found) for part in parts if (found := container_id(part)))
