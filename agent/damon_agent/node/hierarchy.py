"""A mounted cgroup tree of the host: where containers' directories are, and who is in them.

cgroup v2, or one v1 hierarchy: both have `cgroup.procs` with one thread group id per line
(https://docs.kernel.org/admin-guide/cgroup-v2.html). The root is a value.
"""

import errno
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from damon_agent.errors import UnreadableError
from damon_agent.node import cgroups

_GONE: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR})
"""A directory that was removed; ENODEV is what reading an open file of it gives."""
_THREADED: Final = errno.EOPNOTSUPP
"""cgroup.procs of a threaded cgroup: its processes are listed by the domain above."""
_V1_HIERARCHIES: Final = ("memory", "pids", "systemd", "cpu")
_PROCS: Final = "cgroup.procs"
_READ_BYTES: Final = 65536
_WHOLE_BYTES: Final = 2048
"""The kernel fills at least half a page before it lets a reader come back for the rest."""


class Hierarchy:
    """One cgroup tree below `mount`, the directory mounted from the host's /sys/fs/cgroup."""

    def __init__(self, mount: Path) -> None:
        self._root = os.fspath(_hierarchy(mount))

    def find(self, wanted: Collection[str]) -> dict[str, str]:
        """Walk the tree and return the directory of each container id that has one."""
        found: dict[str, str] = {}
        missing = set(wanted)
        below = [self._root]
        while below and missing:
            for path, name in _subdirectories(below.pop()):
                container = cgroups.named_id(name)
                if container in missing:
                    found[container] = path
                    missing.discard(container)
                else:
                    below.append(path)
        return found

    def pids(self, directory: str) -> list[int] | None:
        """Return the thread group ids in a cgroup and all below it; None when it is gone.

        Zeros, which stand for processes outside the reader's pid namespace, are left out.
        """
        try:
            pids = _pids(directory)
            # A directory has one link from above, its own dot, and one dot-dot per child.
            if os.stat(directory).st_nlink == 2:  # noqa: PTH116 - every container, every tick
                return pids
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise UnreadableError(f"{directory}/{_PROCS}", error) from error
        for path, _ in _subdirectories(directory):
            pids += self.pids(path) or []
        return pids

    def swappable(self, directory: str) -> bool:
        """Say whether the cgroup may swap: no memory.swap.max of it or above it is 0."""
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


def _subdirectories(directory: str) -> list[tuple[str, str]]:
    """Return path and name of the directories below one; none when it is gone."""
    try:
        with os.scandir(directory) as entries:
            return [(e.path, e.name) for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno in _GONE:
            return []
        raise UnreadableError(directory, error) from error


def _pids(directory: str) -> list[int]:
    try:
        text = _read(f"{directory}/{_PROCS}")
    except OSError as error:
        if error.errno == _THREADED:
            return []
        raise
    return [pid for pid in map(int, text.split()) if pid]


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
