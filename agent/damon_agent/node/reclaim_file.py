"""The one place that writes to a cgroup: `memory.reclaim`, and no other file of it.

A write asks the kernel to reclaim so many bytes from the cgroup and those below it, and returns
when that is done: EAGAIN says that less was found
(https://docs.kernel.org/admin-guide/cgroup-v2.html, memory.reclaim; Linux 5.19 and later).
"""

import os
from pathlib import Path
from typing import Final, Protocol

from damon_agent.errors import StartError
from damon_agent.mounts import below, filesystem

_NAME: Final = "memory.reclaim"
FILE_PAGES_ONLY: Final = "swappiness=0"
"""Leaves anonymous memory where it is; Linux 6.9 and later, EINVAL before."""
ANONYMOUS_ONLY: Final = "swappiness=max"
"""Leaves page cache where it is; Linux 6.16 and later, EINVAL before."""
ANONYMOUS_FIRST: Final = "swappiness=200"
"""The best there is where the kernel does not know `swappiness=max`: one that knows the word at all
knows this. Page cache may go instead. The classic LRU goes by swappiness only where less than 4,096
inactive file pages of the cgroup are on a NUMA node; else it takes those and nothing else
(cache_trim_mode in prepare_scan_control() of mm/vmscan.c, which comes before swappiness in
get_scan_count()). The multi-generational LRU takes file pages when it finds no anonymous ones."""


class ReclaimFile(Protocol):
    """Asks for memory; may block for as long as the kernel reclaims."""

    def write(self, directory: str, text: str) -> None:
        """Write to the memory.reclaim of a cgroup directory; raise OSError."""
        ...


class CgroupReclaimFile:
    """`ReclaimFile` of the cgroup tree of this machine, or of one that stands for it."""

    def __init__(
        self,
        root: Path,
        *,
        allow_cgroupfs: bool = False,
        mountinfo: Path = Path("/proc/self/mountinfo"),
    ) -> None:
        """Raise StartError if `root` is or holds a mounted cgroup tree, unless `allow_cgroupfs`.

        Only an agent that runs from an in-cluster service account sets it: nothing is reclaimed on
        a developer's machine by accident.
        """
        mounts = mountinfo.read_text(encoding="utf-8")
        kinds = {filesystem(root.resolve(), mounts), *below(root.resolve(), mounts)}
        if not allow_cgroupfs and kinds & {"cgroup", "cgroup2"}:
            raise StartError(
                f"{root} is the cgroup tree of this machine; only an agent in a cluster writes it"
            )

    def write(self, directory: str, text: str) -> None:
        """See `ReclaimFile`. No link is followed, neither to the directory nor to the file."""
        flags = os.O_CLOEXEC | os.O_NOFOLLOW
        home = os.open(directory, os.O_PATH | os.O_DIRECTORY | flags)
        try:
            descriptor = os.open(_NAME, os.O_WRONLY | flags, dir_fd=home)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)
        finally:
            os.close(home)
