"""A mounted cgroup tree of the host: where containers' directories are, and who is in them.

cgroup v2, or one v1 hierarchy: both have `cgroup.procs` with one thread group id per line
(https://docs.kernel.org/admin-guide/cgroup-v2.html). The root is a value.

What stands below a container's directory is the container's own doing: it may be very deep, have
any name, and be closed to us, who have no CAP_DAC_OVERRIDE. That costs this container, nobody else.
"""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from damon_agent.errors import AgentError, MalformedError, UnreadableError
from damon_agent.node.cgroups import Place, container_id, pod_uid

_GONE: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR})
"""A directory that was removed; ENODEV is what reading an open file of it gives."""
_THREADED: Final = errno.EOPNOTSUPP
"""cgroup.procs of a threaded cgroup: its processes are listed by the domain above."""
_V1_HIERARCHIES: Final = ("memory", "pids", "systemd", "cpu")
_PROCS: Final = "cgroup.procs"
_READ_BYTES: Final = 65536
_WHOLE_BYTES: Final = 2048
"""The kernel fills at least half a page before it lets a reader come back for the rest."""
_MOST_BELOW: Final = 256
"""Cgroups below one container that are looked into at each look: 10 ms."""
_MOST_WALKED: Final = 16_384
"""Directories of one search; none of them is below a container, so there are a few per pod."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a walk of the tree has found."""

    homes: Mapping[str, tuple[str, ...]]
    """By container id the directories that may be its own, the likeliest first."""
    trouble: AgentError | None
    """Why part of the tree was not seen, if so."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Who is in a cgroup and below it."""

    pids: tuple[int, ...]
    """Thread group ids; processes outside the reader's pid namespace (0) are left out."""
    trouble: AgentError | None
    """Why that may not be all, if so."""


class Hierarchy:
    """One cgroup tree below `mount`, the directory mounted from the host's /sys/fs/cgroup."""

    def __init__(self, mount: Path) -> None:
        self._root = os.fspath(_hierarchy(mount))

    def find(self, wanted: Mapping[str, str]) -> Found:
        """Walk the tree for the directories of containers (id -> uid of the pod).

        Children of pods' directories are containers, and nobody looks below those. A directory of
        the right pod is better than one outside of all pods. Of equal ones the older is better:
        whoever copies the name of a container does so after its runtime made it, and cgroups are
        numbered in the order in which they are made.
        """
        found: dict[str, list[tuple[bool, int, str]]] = {}
        trouble: AgentError | None = None
        below: list[tuple[str, str | None]] = [(self._root, None)]
        walked = 0
        while below:
            if (walked := walked + 1) > _MOST_WALKED:
                trouble = MalformedError(self._root, f"more than {_MOST_WALKED} directories")
                break
            directory, above = below.pop()
            try:
                entries = _subdirectories(directory)
            except UnreadableError as error:
                trouble = error
                continue
            for entry in entries:
                pod, container = above or pod_uid(entry.name), container_id(entry.name)
                if container is not None and container in wanted:
                    if Place(pod, container).may_be_of(wanted[container]):
                        rank = (pod is None, entry.inode(), entry.path)
                        found.setdefault(container, []).append(rank)
                elif above is None and (pod is None or container is None):
                    below.append((entry.path, pod))
        return Found(
            {
                container: tuple(path for outside, _, path in sorted(ranks) if outside is best)
                for container, ranks in found.items()
                for best in [min(ranks)[0]]
            },
            trouble,
        )

    def processes(self, directory: str) -> Listed | None:
        """Return who is in a cgroup and all below it; None when it is gone."""
        pids: list[int] = []
        trouble: AgentError | None = None
        below = [directory]
        for _ in range(_MOST_BELOW):
            each = below.pop()
            try:
                pids += _pids(each)
                # A directory has one link from above, its own dot, and one dot-dot per child.
                if os.stat(each).st_nlink != 2:  # noqa: PTH116 - every container, every tick
                    below += [entry.path for entry in _subdirectories(each)]
            except OSError as error:
                if error.errno not in _GONE:
                    trouble = UnreadableError(f"{each}/{_PROCS}", error)
                elif each == directory:
                    return None
            except AgentError as error:
                trouble = error
            if not below:
                return Listed(tuple(pids), trouble)
        return Listed(
            tuple(pids), MalformedError(directory, f"more than {_MOST_BELOW} cgroups below it")
        )

    def swappable(self, directory: str) -> bool:
        """Say whether the cgroup may swap: no memory.swap.max of it or above it is 0.

        Raise UnreadableError.
        """
        while True:
            try:
                if _read(f"{directory}/memory.swap.max").strip() == b"0":
                    return False
            except OSError as error:
                # Absent in v1, at the root, without CONFIG_SWAP, and after the container is gone.
                if error.errno not in _GONE:
                    raise UnreadableError(f"{directory}/memory.swap.max", error) from error
            if len(directory) <= len(self._root):
                return True
            directory = directory.rpartition("/")[0]


def _hierarchy(mount: Path) -> Path:
    if (mount / _PROCS).exists():
        return mount
    for name in _V1_HIERARCHIES:
        if (mount / name / _PROCS).exists():
            return mount / name
    # A private cgroup namespace has no cgroup.procs at a root that is not mounted from the host.
    return mount


def _subdirectories(directory: str) -> list[os.DirEntry[str]]:
    """Return the directories below one; none when it is gone. Raise UnreadableError."""
    try:
        with os.scandir(directory) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise UnreadableError(directory, error) from error


def _pids(directory: str) -> list[int]:
    """Return the pids in a cgroup itself; raise OSError, MalformedError."""
    try:
        text = _read(f"{directory}/{_PROCS}")
    except OSError as error:
        if error.errno == _THREADED:
            return []
        raise
    try:
        return [pid for pid in map(int, text.split()) if pid]
    except ValueError as error:
        raise MalformedError(f"{directory}/{_PROCS}", text.decode(errors="replace")) from error


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, _READ_BYTES)
        if len(text) < _WHOLE_BYTES:
            return text
        parts = [text]
        while text:
            text = os.read(descriptor, _READ_BYTES)
            parts.append(text)
        return b"".join(parts)
    finally:
        os.close(descriptor)
