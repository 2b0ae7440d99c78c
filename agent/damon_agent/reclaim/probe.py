"""What a node's kernel can do by memory.reclaim, found by asking for nothing."""

import errno
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, Literal

from damon_agent.facts import MemoryReading
from damon_agent.node import pods
from damon_agent.node.reclaim_file import ANONYMOUS_ONLY, FILE_PAGES_ONLY, ReclaimFile
from damon_agent.reclaim.round import GONE

Takes = Literal["FilePages", "AllMemory", "Nothing"]

_AGAIN_US: Final = 60_000_000
"""How soon a kernel that could not do it is asked again: a mount may have changed."""
_REMEDIES: Final = {
    errno.ENOENT: "is not there: it needs cgroup v2 and Linux 5.19",
    errno.EROFS: "is mounted read-only: set agent.memoryReclaim of the chart",
    errno.EACCES: "may not be written: see whether AppArmor or SELinux is in the way",
}


class Probe:
    """Asks once, and again once a minute while something is in the way."""

    def __init__(self, file: ReclaimFile) -> None:
        self._file = file
        self._next_us: int | None = None
        self.knows_file_pages_only = False
        """Whether the kernel takes `swappiness=0`."""
        self.knows_anonymous_only = False
        """Whether the kernel takes `swappiness=max`."""
        self.asked = False
        """Whether there was a pod to ask the last time."""
        self.trouble: str | None = "not asked yet"
        """What is in the way, with what to do about it."""

    def doubt(self) -> None:
        """Ask again at the next look: a write has failed as only the whole node's would."""
        self.trouble, self._next_us = "not asked again yet", None

    def look(self, homes: Mapping[str, Collection[str]], now_us: int) -> None:
        """Ask one of the pods (uid -> cgroups of its containers) for nothing, if it is time to.

        A request for 0 bytes reclaims nothing, and is refused just as any other would be. A pod
        that has ended meanwhile says nothing of the node: then the next one is asked.
        """
        if self.trouble is None or (self._next_us is not None and now_us < self._next_us):
            return
        for directory in (each for home in homes.values() for each in pods.cgroups(home)):
            error = self._error(directory, f"0 {FILE_PAGES_ONLY}")
            # A kernel that does not know the word at all does not know its maximum either.
            of_max = error or self._error(directory, f"0 {ANONYMOUS_ONLY}")
            if of_max is not None and of_max.errno in GONE and not Path(directory).is_dir():
                continue
            self._next_us, self.asked = now_us + _AGAIN_US, True
            self.knows_file_pages_only, self.knows_anonymous_only = error is None, of_max is None
            self.trouble = None
            if error is not None and error.errno != errno.EINVAL:
                why = _REMEDIES.get(error.errno or 0, f"can't be written: {error.strerror}")
                self.trouble = f"memory.reclaim {why} (errno {error.errno}, {directory[-160:]!a})"
            return
        self.asked = False
        self.trouble = "no pod that may be reclaimed has a cgroup directory here"

    def _error(self, directory: str, text: str) -> OSError | None:
        """Write; return what the kernel says against it."""
        try:
            self._file.write(directory, text)
        except OSError as error:
            return error
        return None

    def takes(self, memory: MemoryReading, *, damon: bool) -> tuple[Takes, str]:
        """Return what may go this way, and why nothing may, if so.

        `damon`: lanes serve the anonymous memory of this node. Where they do not, and there is room
        in swap, it goes this way too. Else only file pages are asked for, in so many words; without
        swap nothing else could go anyhow.
        """
        if self.trouble is not None:
            return "Nothing", self.trouble
        if memory.swap_total_bytes and not memory.swap_full and not damon:
            return "AllMemory", ""
        if memory.swap_total_bytes and not self.knows_file_pages_only:
            return "Nothing", (
                "this kernel does not know swappiness=0 (Linux 6.9), so anonymous memory would go "
                "with page cache: upgrade it, or take its swap away"
            )
        return "FilePages", ""
