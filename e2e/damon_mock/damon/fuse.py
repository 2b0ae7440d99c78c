"""The emulator as a mounted file system (libfuse3 through mfusepy).

Reads and writes go past the page cache and nothing is cached by name: `nr_*` writes make and remove
directories at any time. Requests run in libfuse's threads; a write that waits blocks only its own.
"""

import ctypes
import errno
import itertools
import os
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .faults import Killed
from .files import RealtimeFiles, Ticker
from .parse import failure


class MountError(Exception):
    """The tree could not be mounted or unmounted; the message says why."""


def missing() -> str | None:
    """Return what this machine lacks for a mount; None if nothing."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is not accessible"
    try:
        import mfusepy  # noqa: F401, PLC0415  # it loads libfuse when imported
    except (ImportError, OSError) as error:
        return f"libfuse3 cannot be loaded: {error}"
    if os.geteuid() != 0 and shutil.which("fusermount3") is None:
        return "fusermount3 is not installed and this is not root"
    return None


class _Operations:
    """What mfusepy calls; a handle keeps what its first read saw, as sysfs does."""

    use_ns = True

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self._files = RealtimeFiles(ticker)
        self._handles = itertools.count(1)
        self._seen: dict[int, bytes] = {}

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        del fh
        mode = self._mode(path)
        directory = mode is None
        return {
            "st_mode": (stat.S_IFDIR | 0o755) if mode is None else (stat.S_IFREG | mode),
            "st_nlink": 2 if directory else 1,
            "st_size": 0 if directory else 4096,
            "st_uid": os.geteuid(),
            "st_gid": os.getegid(),
        }

    def readdir(self, path: str, fh: int) -> Iterable[str]:
        del fh
        return [".", "..", *self._files.list(path)]

    def open(self, path: str, flags: int) -> int:
        mode = self._mode(path)
        writes = flags & os.O_ACCMODE != os.O_RDONLY
        if writes and mode is not None:
            if self._ticker.shared.emulator.read_only:
                raise failure(errno.EROFS)
            if not mode & 0o200:
                raise failure(errno.EACCES)
        return next(self._handles)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        if offset == 0 or fh not in self._seen:
            try:
                self._seen[fh] = self._files.read(path)
            except Killed as killed:
                self._kill(killed)
        return self._seen[fh][offset : offset + size]

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        del offset, fh
        taken = data[:4096]
        try:
            self._files.write(path, taken)
        except Killed as killed:
            self._kill(killed)
        return len(taken)

    def release(self, path: str, fh: int) -> int:
        del path
        self._seen.pop(fh, None)
        return 0

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        del path, length, fh
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        del path, mode, fi
        raise failure(errno.EACCES)

    def mkdir(self, path: str, mode: int) -> int:
        del path, mode
        raise failure(errno.EPERM)

    def unlink(self, path: str) -> int:
        del path
        raise failure(errno.EPERM)

    def rmdir(self, path: str) -> int:
        del path
        raise failure(errno.EPERM)

    def _mode(self, path: str) -> int | None:
        with self._ticker.shared.changed:
            return self._ticker.shared.emulator.mode(path)

    def _kill(self, killed: Killed) -> None:
        """Kill the process whose access this is, as the fault wants."""
        import mfusepy  # noqa: PLC0415  # it loads libfuse when imported

        pid = int(mfusepy.fuse_get_context()[2])
        if pid not in {0, os.getpid()}:
            os.kill(pid, signal.SIGKILL)
        raise OSError(errno.EIO, str(killed))


class Mount:
    """Serves an emulator at a directory while entered. MountError if that cannot be.

    The ticker must be running. Leaving lets waiting writes return EIO, and unmounts.
    """

    def __init__(self, ticker: Ticker, directory: Path) -> None:
        self._ticker = ticker
        self._directory = directory.absolute()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._serve, name="damon-mock-fuse", daemon=True)

    def __enter__(self) -> Self:
        lacking = missing()
        if lacking is not None:
            raise MountError(lacking)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._mounted():
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise MountError(f"{self._directory}: {self._failure or 'no mount after 10 s'}")
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ticker.shared.close()
        if self._mounted():
            self._unmount()
        self._thread.join(10)
        if self._thread.is_alive():
            raise MountError(f"{self._directory}: still served 10 s after unmounting")

    def _mounted(self) -> bool:
        return os.path.ismount(self._directory)

    def _serve(self) -> None:
        import mfusepy  # noqa: PLC0415  # it loads libfuse when imported

        options = {"allow_other": True, "default_permissions": True} if os.geteuid() == 0 else {}
        try:
            mfusepy.FUSE(
                _Operations(self._ticker),
                str(self._directory),
                foreground=True,
                direct_io=True,
                attr_timeout=0,
                entry_timeout=0,
                negative_timeout=0,
                fsname="damon-mock",
                **options,
            )
        except RuntimeError as error:
            self._failure = f"libfuse ended with status {error}"

    def _unmount(self) -> None:
        if os.geteuid() == 0:
            libc = ctypes.CDLL(None, use_errno=True)
            lazily = 2  # MNT_DETACH: somebody may stand in the directory
            if libc.umount2(os.fsencode(self._directory), lazily) != 0:
                code = ctypes.get_errno()
                raise MountError(f"{self._directory}: umount: {os.strerror(code)}")
            return
        subprocess.run(["fusermount3", "-u", "-z", str(self._directory)], check=True)
