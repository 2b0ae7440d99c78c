"""A container's program whose first thread has exited: another one holds memory and goes on.

usage: headless.py DIRECTORY MIB

All of the memory is used once, when it is made; DIRECTORY/ready then appears.
"""

import ctypes
import os
import platform
import sys
import threading
import time
from pathlib import Path

SYS_EXIT = {"x86_64": 60, "aarch64": 93}[platform.machine()]
"""exit(2) as a system call ends the calling thread alone, exit(3) the process."""


def hold(size_bytes: int, ready: Path) -> None:
    """Use memory once, say so, and stay."""
    held = os.urandom(size_bytes)
    while Path("/proc/self/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.1)
    ready.touch()
    while held:
        time.sleep(60)


arguments = int(sys.argv[2]) << 20, Path(sys.argv[1]) / "ready"
threading.Thread(target=hold, args=arguments).start()
ctypes.CDLL(None).syscall(SYS_EXIT, 0)
