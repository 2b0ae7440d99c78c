"""What a write to `memory.reclaim` of a cgroup takes. Pure.

user_proactive_reclaim() in mm/vmscan.c, memory_reclaim() in mm/memcontrol.c before Linux 6.17, and
https://docs.kernel.org/admin-guide/cgroup-v2.html. Here numbers are decimal, the lists are the
classic ones, and there is one NUMA node.
"""

import errno
import re
from dataclasses import dataclass
from typing import Final

from damon_mock.damon.memory import MIB, PAGE
from damon_mock.damon.parse import failure

_BATCH_BYTES: Final = 32 * PAGE
"""SWAP_CLUSTER_MAX: the kernel looks for no fewer pages at a time, so it may take more."""
_DEFAULT_SWAPPINESS: Final = 60
_MOST_SWAPPINESS: Final = 200
_ANON_ONLY: Final = _MOST_SWAPPINESS + 1
"""SWAPPINESS_ANON_ONLY: what `swappiness=max` means."""
_TRIM_BYTES: Final = PAGE << 12
"""From so many inactive file pages on (`file >> sc->priority`, at DEF_PRIORITY) there is
cache_trim_mode: they go and nothing else, whatever the swappiness, unless it is 0 or max."""
_SIZE: Final = re.compile(r"([0-9]+)([KMGTPE]?)", re.ASCII | re.IGNORECASE)
_SUFFIXES: Final = ("", "K", "M", "G", "T", "P", "E")
_SWAPPINESS: Final = re.compile(r"swappiness=([0-9]+|max)", re.ASCII)


@dataclass(frozen=True)
class Held:
    """Bytes a cgroup holds. Hot ones are always in use: taken last, and back at once."""

    anon_bytes: int = 64 * MIB
    file_bytes: int = 16 * MIB
    hot_anon_bytes: int = 0
    """Of `anon_bytes`."""
    hot_file_bytes: int = 0
    """Of `file_bytes`."""
    left_bytes: int = 0
    """Anonymous memory that is in swap, mapped by nobody, and still in memory, as on a swap disk:
    the first that is taken."""

    def stat(self) -> dict[str, int]:
        """Return memory.stat, as far as anybody reads it: all file pages came by read(2)."""
        return {
            "anon": self.anon_bytes,
            "file": self.file_bytes,
            "shmem": 0,
            "swapcached": self.left_bytes,
            "inactive_anon": self.anon_bytes + self.left_bytes,
            "active_anon": 0,
            "inactive_file": self.file_bytes,
            "workingset_refault_anon": 0,
            "workingset_refault_file": 0,
            "pgmajfault": 0,
        }


@dataclass(frozen=True)
class Request:
    """What was written to memory.reclaim."""

    size_bytes: int
    """A whole number of pages."""
    swappiness: int = _DEFAULT_SWAPPINESS
    """201: max."""


@dataclass(frozen=True)
class Taken:
    """What came of a request."""

    stat: dict[str, int]
    """memory.stat afterwards."""
    size_bytes: int
    """What was taken, those that came back included."""


def parse(text: str, *, takes_swappiness: bool, takes_max: bool = True) -> Request:
    """Read what was written; OSError with EINVAL.

    takes_swappiness: from Linux 6.9 on. takes_max: `swappiness=max`, from Linux 6.16 on.
    """
    text = text.strip()
    size = _SIZE.match(text)
    if size is None:
        raise failure(errno.EINVAL)
    size_bytes = int(size[1]) << 10 * _SUFFIXES.index(size[2].upper())
    swappiness = _DEFAULT_SWAPPINESS
    for word in filter(None, text[size.end() :].split(" ")):
        found = _SWAPPINESS.fullmatch(word)
        if not takes_swappiness or found is None:
            raise failure(errno.EINVAL)
        is_max = found[1] == "max"
        swappiness = _ANON_ONLY if is_max else int(found[1])
        if swappiness > _MOST_SWAPPINESS and not (is_max and takes_max):
            raise failure(errno.EINVAL)
    return Request(size_bytes // PAGE * PAGE, swappiness)


def take(stat: dict[str, int], held: Held, request: Request, *, may_swap: bool) -> Taken:
    """Take pages, cold ones first; those in use come back at once and are counted as refaults.

    Swappiness weighs anonymous pages against file pages, 0 spares them, and max spares file pages;
    what lies between takes page cache first where there is much of it (get_scan_count()).
    """
    wanted = -(-request.size_bytes // _BATCH_BYTES) * _BATCH_BYTES
    left = stat.get("swapcached", 0)
    anon = stat["anon"] + left if may_swap and request.swappiness else 0
    file = stat["file"] if request.swappiness != _ANON_ONLY else 0
    trimmed = min(wanted, file) if stat.get("inactive_file", 0) >= _TRIM_BYTES else 0
    swappiness = min(request.swappiness, _MOST_SWAPPINESS)
    from_anon = min((wanted - trimmed) * swappiness // _MOST_SWAPPINESS, anon)
    from_file = min(wanted - from_anon, file)
    from_anon = min(wanted - from_file, anon)
    after = dict(stat)
    from_left = min(from_anon, left)
    after["swapcached"] = left - from_left
    for kind, size_bytes, hot_bytes in (
        ("anon", from_anon - from_left, held.hot_anon_bytes),
        ("file", from_file, held.hot_file_bytes),
    ):
        gone_bytes = min(size_bytes, max(0, stat[kind] - hot_bytes))
        after[kind] -= gone_bytes
        refault = f"workingset_refault_{kind}"
        after[refault] = stat.get(refault, 0) + (size_bytes - gone_bytes) // PAGE
    from_lists = from_left + stat["anon"] - after["anon"]
    after["inactive_anon"] = max(0, stat.get("inactive_anon", 0) - from_lists)
    gone_bytes = stat["file"] - after["file"]
    after["inactive_file"] = max(0, stat.get("inactive_file", 0) - gone_bytes)
    return Taken(after, from_anon + from_file)
