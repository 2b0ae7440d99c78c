"""A container's program: parts of memory, each touched at its own pace.

usage: victim.py DIRECTORY NAME:MIB[:SECONDS[:random]|:later]... [hole:MIB] [workers:N]

A part without seconds is touched once, when it is made; with `random` each of its pages is touched
that often on average, at any time, else all of them at the same time. Such pages are small ones:
of a huge page, some part would always just have been used. DIRECTORY/ready then tells
the parts' addresses. SIGUSR1 makes the parts that are for later, or touches everything once more
where there is none; DIRECTORY/touched counts that. A part named `shared` is mapped by the workers
as well, which are forked and sleep.
"""

import ctypes
import heapq
import json
import mmap
import os
import random
import signal
import sys
import time
from pathlib import Path

PAGE = mmap.PAGESIZE
MIB = 1 << 20
TICK_S = 0.1
MAP_NORESERVE = 0x4000
"""<asm-generic/mman-common.h>; else the kernel refuses more than there is memory and swap."""


def part(size_bytes: int, *, hole: bool, small_pages: bool, shared: bool) -> mmap.mmap:
    """Return memory whose pages are a quarter noise: zram has something to compress.

    A hole is reserved, and never used.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | (MAP_NORESERVE if hole else 0)
    made = mmap.mmap(-1, size_bytes, flags=flags)
    # Neighbours with the same flags would be one mapping in /proc/PID/smaps.
    if not shared:
        made.madvise(mmap.MADV_DONTFORK)
    if len(parts) % 2:
        made.madvise(mmap.MADV_DONTDUMP)
    if hole:
        return made
    if small_pages:
        made.madvise(mmap.MADV_NOHUGEPAGE)
    block = b"".join(os.urandom(PAGE // 4) + bytes(PAGE - PAGE // 4) for _ in range(64))
    for start in range(0, size_bytes, len(block)):
        made[start : start + len(block)] = block
    return made


def touch_some(memory: mmap.mmap, pages: int) -> None:
    """Read a byte of so many pages."""
    for _ in range(pages):
        memory[random.randrange(0, len(memory), PAGE)]


def touch(memory: mmap.mmap) -> None:
    """Read a byte of each page."""
    memory[::PAGE]


directory = Path(sys.argv[1])
parts: dict[str, mmap.mmap] = {}
due: list[tuple[float, str, float, int]] = []
later: list[tuple[str, int]] = []
workers = 0
for description in sys.argv[2:]:
    name, mib, *pace = description.split(":")
    if name == "workers":
        workers = int(mib)
        continue
    if pace == ["later"]:
        later.append((name, int(mib) * MIB))
        continue
    at_random = pace[1:] == ["random"]
    parts[name] = part(
        int(mib) * MIB, hole=name == "hole", small_pages=at_random, shared=name == "shared"
    )
    if at_random:
        pages = int(mib) * MIB // PAGE * TICK_S / float(pace[0])
        due.append((time.monotonic(), name, TICK_S, max(1, round(pages))))
    elif pace:
        due.append((time.monotonic(), name, float(pace[0]), 0))
heapq.heapify(due)

asked: list[int] = []
touched = 0
signal.signal(signal.SIGUSR1, lambda number, _: asked.append(number))
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
addresses = {
    name: [ctypes.addressof(ctypes.c_char.from_buffer(memory)), len(memory)]
    for name, memory in parts.items()
}
for _ in range(workers):
    if not os.fork():
        while True:
            signal.pause()
(directory / "new").write_text(json.dumps(addresses))
(directory / "new").rename(directory / "ready")

while True:
    if touched < len(asked):
        touched = len(asked)
        for name, memory in () if later else parts.items():
            if name != "hole":
                touch(memory)
        for name, size_bytes in later:
            parts[name] = part(size_bytes, hole=False, small_pages=False, shared=False)
        later.clear()
        (directory / "touched").write_text(str(touched))
    if not due:
        time.sleep(1)
        continue
    moment, name, pace_s, pages = due[0]
    if (left_s := moment - time.monotonic()) > 0:
        time.sleep(left_s)
    if touched == len(asked):
        if pages:
            touch_some(parts[name], pages)
        else:
            touch(parts[name])
        heapq.heapreplace(due, (max(moment + pace_s, time.monotonic()), name, pace_s, pages))
