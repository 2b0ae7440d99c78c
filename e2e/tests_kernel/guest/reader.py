"""A container's program: reads a file once, and the first part of it again four times a second.

usage: reader.py DIRECTORY read|map HOT_MIB COLD_MIB

The file is a hole, so it takes no disk, and its pages are page cache as any others. DIRECTORY/ready
tells that all of it has been read.
"""

import mmap
import sys
import time
from pathlib import Path

MIB = 1 << 20

directory, how, hot_mib, cold_mib = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:5])
hot_bytes, whole_bytes = hot_mib * MIB, (hot_mib + cold_mib) * MIB
with (directory / "file").open("wb") as made:
    made.truncate(whole_bytes)
file = (directory / "file").open("rb", buffering=0)
memory = mmap.mmap(file.fileno(), whole_bytes, prot=mmap.PROT_READ) if how == "map" else None


def use(size_bytes: int) -> None:
    """Use the first bytes of the file: a byte of each page where it is mapped."""
    if memory is not None:
        memory[: size_bytes : mmap.PAGESIZE]
        return
    file.seek(0)
    for _ in range(size_bytes // MIB):
        file.read(MIB)


use(whole_bytes)
(directory / "ready").touch()
while True:
    use(hot_bytes)
    time.sleep(0.25)
