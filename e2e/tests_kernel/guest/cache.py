"""Fills the page cache, at a steady pace: reads a file of zeros that is nowhere on the disk.

usage: cache.py FILE MIB MIB_PER_S
"""

import sys
import time
from pathlib import Path

path, mib, mib_per_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
with path.open("wb") as file:
    file.truncate(mib << 20)
begin = time.monotonic()
with path.open("rb", buffering=0) as file:
    for read in range(mib):
        file.read(1 << 20)
        time.sleep(max(0.0, begin + (read + 1) / mib_per_s - time.monotonic()))
