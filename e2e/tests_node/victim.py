"""Holds memory until it is ended: `cold`, filled once, and `hot`, touched five times a second.

Runs in a pod. SIGUSR1: touch all of the cold memory, once. Sizes in MiB are its two arguments.
Each kind is a mapping of its own, told from the rest by what it advises: neither matters to DAMON.
"""

import mmap
import os
import signal
import sys
import time

PAGE = mmap.PAGESIZE


def filled(size_mib: int, advice: int) -> mmap.mmap:
    """Map memory and fill it with what compresses to a quarter."""
    area = mmap.mmap(-1, size_mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(advice)
    page = os.urandom(PAGE // 4) + bytes(PAGE - PAGE // 4)
    for start in range(0, len(area), PAGE):
        area[start : start + PAGE] = page
    return area


def touch(area: mmap.mmap) -> None:
    """Write to every page."""
    for start in range(0, len(area), PAGE):
        area[start] = 1


cold = filled(int(sys.argv[1]), mmap.MADV_DONTFORK)  # "dc" in its VmFlags
hot = filled(int(sys.argv[2]), mmap.MADV_DONTDUMP)  # "dd"
signal.signal(signal.SIGUSR1, lambda *_: touch(cold))
while True:
    touch(hot)
    time.sleep(0.2)
