"""Takes memory away from everybody: locked, so that it is never reclaimed.

usage: hog.py READY MIB; the file READY appears when all of it is taken.
"""

import ctypes
import mmap
import signal
import sys
from pathlib import Path

ready, mib = Path(sys.argv[1]), int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
if libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(memory))) != 0:
    raise OSError(ctypes.get_errno(), "mlock")
ready.touch()
signal.pause()
