"""Who may write where: a real DAMON only inside a guest that was booted to be written to.

The machine that runs this may have a DAMON of its own, which others use.
"""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

SYSFS_MAGIC: Final = 0x62656572
"""f_type of sysfs (include/uapi/linux/magic.h)."""

GUEST_WORD: Final = "damon_mock.guest"
"""The word on the kernel's command line that says: this machine is made to be broken."""

_STATFS_BYTES: Final = 256  # more than any architecture's struct statfs


class RealKernelError(Exception):
    """A directory of a real kernel's sysfs, on a machine that is not ours to write to."""


def filesystem_type(descriptor: int) -> int:
    """Return f_type of the file system an open directory is on; OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    if libc.fstatfs(descriptor, buffer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    # f_type is the first field, a long on 64 bit machines.
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFF_FFFF


def command_line() -> str:
    """Return the running kernel's command line; OSError."""
    return Path("/proc/cmdline").read_text("utf-8")


def check(
    descriptor: int,
    what: Path,
    *,
    type_of: Callable[[int], int] = filesystem_type,
    words: Callable[[], str] = command_line,
) -> bool:
    """Return whether an open directory is a real kernel's, in a guest; RealKernelError elsewhere.

    It looks at the open directory, not at its path: what was checked is what is written to.
    """
    if type_of(descriptor) != SYSFS_MAGIC:
        return False
    if GUEST_WORD not in words().split():
        raise RealKernelError(
            f"{what} is a real sysfs, and this kernel was not booted with {GUEST_WORD}: "
            "conformance scripts run there only inside a guest made for them"
        )
    return True
