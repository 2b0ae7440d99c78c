"""Mounting and unmounting a FUSE file system: by mount(2) as root, else by fusermount3."""

import array
import ctypes
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

_MS_NOSUID: Final = 2
_MS_NODEV: Final = 4
_MNT_DETACH: Final = 2


class MountError(Exception):
    """A tree could not be mounted or unmounted; the message says why."""


def missing() -> str | None:
    """Return what this machine lacks for a mount; None if nothing."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is not accessible"
    if os.geteuid() != 0 and shutil.which("fusermount3") is None:
        return "not root, and fusermount3 is not installed"
    return None


def mount(directory: Path) -> int:
    """Mount at a directory and return the descriptor to serve it by. MountError."""
    lacking = missing()
    if lacking is not None:
        raise MountError(lacking)
    if not directory.is_dir():
        raise MountError(f"{directory} is not a directory")
    return _as_root(directory) if os.geteuid() == 0 else _by_fusermount(directory)


def unmount(directory: Path) -> None:
    """Unmount, even if somebody still stands in the directory. MountError."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.umount2(os.fsencode(directory), _MNT_DETACH) != 0:
            raise MountError(f"{directory}: umount: {os.strerror(ctypes.get_errno())}")
        return
    ended = subprocess.run(
        ["fusermount3", "-u", "-z", str(directory)], check=False, capture_output=True, text=True
    )
    if ended.returncode:
        raise MountError(f"{directory}: {ended.stderr.strip()}")


def _as_root(directory: Path) -> int:
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    code = libc.mount(
        b"damon-mock", os.fsencode(directory), b"fuse", _MS_NOSUID | _MS_NODEV, options.encode()
    )
    if code != 0:
        os.close(device)
        raise MountError(f"{directory}: mount: {os.strerror(ctypes.get_errno())}")
    return device


def _by_fusermount(directory: Path) -> int:
    """Let the setuid helper mount; it sends the descriptor through a socket it inherits."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        ended = subprocess.run(
            ["fusermount3", "-o", "fsname=damon-mock,nosuid,nodev", "--", str(directory)],
            check=False,
            capture_output=True,
            text=True,
            pass_fds=[theirs.fileno()],
            env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
        )
        if ended.returncode:
            raise MountError(f"{directory}: {ended.stderr.strip()}")
        descriptors = array.array("i")
        _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(descriptors.itemsize))
        for _, _, data in ancillary:
            descriptors.frombytes(data[: descriptors.itemsize])
    if not descriptors:
        raise MountError(f"{directory}: fusermount3 sent no descriptor")
    return descriptors[0]
