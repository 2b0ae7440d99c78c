"""Runs in a pod of `kubectl damon check`: holds memory, and says every second where it is.

`cold` is filled once, `hot` touched five times a second; their sizes in MiB are its arguments. Each
is a mapping of its own, told from the rest by what it advises, which matters neither to DAMON nor
to the kernel. It is sent as text, so it needs Python and its standard library only.
"""

import json
import mmap
import os
import re
import sys
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
KINDS = {"dc": "cold", "dd": "hot"}
"""VmFlags of what is advised below."""


def filled(size_mib: int, advice: int) -> mmap.mmap:
    """Map memory and fill it with what compresses to a quarter."""
    area = mmap.mmap(-1, size_mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(advice)
    page = os.urandom(mmap.PAGESIZE // 4) + bytes(mmap.PAGESIZE - mmap.PAGESIZE // 4)
    for start in range(0, len(area), mmap.PAGESIZE):
        area[start : start + mmap.PAGESIZE] = page
    return area


def touch(area: mmap.mmap) -> None:
    """Write to every page."""
    for start in range(0, len(area), mmap.PAGESIZE):
        area[start] = 1


def areas() -> dict[str, int]:
    """Return how much of each kind is resident, and how much in swap."""
    sizes = {f"{kind}{what}Bytes": 0 for kind in KINDS.values() for what in ("Resident", "Swap")}
    smaps = Path("/proc/self/smaps").read_text()
    # Every mapping ends with its flags.
    for mapping, flags in re.findall(r"((?:.*\n)*?)VmFlags: (.*)\n", smaps):
        words = set(flags.split())
        for flag in words & set(KINDS) if "wr" in words else ():
            found = dict(re.findall(r"^(\w+): +(\d+) kB$", mapping, re.MULTILINE))
            sizes[f"{KINDS[flag]}ResidentBytes"] += int(found["Rss"]) << 10
            sizes[f"{KINDS[flag]}SwapBytes"] += int(found["Swap"]) << 10
    return sizes


def cgroup() -> dict[str, int]:
    """Return what cgroup v2 says of this container; what it does not say is left out."""
    inside = re.search(r"^0::/?(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    own = CGROUPS / inside[1] if inside else CGROUPS
    said = {}
    for key, name in (
        ("memoryBytes", "memory.current"),
        ("swapBytes", "memory.swap.current"),
        ("swapMaxBytes", "memory.swap.max"),
        ("anonBytes", "memory.stat"),
    ):
        try:
            text = (own / name).read_text()
        except OSError:
            continue
        found = re.match(r"(?:[^\n]*\n)*?anon (\d+)$|(\d+)$", text.rstrip(), re.MULTILINE)
        if found:
            said[key] = int(found[1] or found[2])
    return said


def main() -> None:
    """Hold the memory until killed."""
    cold = filled(int(sys.argv[1]), mmap.MADV_DONTFORK)
    hot = filled(int(sys.argv[2]), mmap.MADV_DONTDUMP)
    second = 0
    while len(cold):
        for _ in range(5):
            touch(hot)
            time.sleep(0.2)
        second += 1
        print(json.dumps({"second": second, **areas(), **cgroup()}), flush=True)


if __name__ == "__main__":
    main()
