"""What can go wrong between the agent and sysfs, by what the agent can do about it.

Every error carries the path, the value that was to be written (None for a read) and the errno.
"""

import errno
from typing import ClassVar

from damon_contract.v1alpha1.node import NodeReason


class KernelError(Exception):
    """A file operation below the DAMON or module directory failed."""

    reason: ClassVar[NodeReason] = NodeReason.WRITE_REJECTED

    def __init__(self, path: str, value: str | None, error: OSError) -> None:
        self.path = path
        self.value = value
        self.errno = error.errno or 0
        did = f"read {path}" if value is None else f"write {str(value)!r} to {path}"
        name = errno.errorcode.get(self.errno, str(self.errno))
        super().__init__(f"could not {did}: {name}")


class Missing(KernelError):  # noqa: N818 - says what is the case
    """The file is not there (ENOENT), or was removed while open (ENODEV)."""

    reason = NodeReason.NO_DAMON


class ReadOnly(KernelError):  # noqa: N818 - says what is the case
    """The mount is read-only (EROFS)."""

    reason = NodeReason.READ_ONLY


class Denied(KernelError):  # noqa: N818 - says what is the case
    """The agent may not (EACCES); not uid 0, or a file that is only for reading."""

    reason = NodeReason.PERMISSION_DENIED


class Busy(KernelError):  # noqa: N818 - says what is the case
    """Somebody else holds DAMON's one lock, or DAMON itself (EBUSY): come back in milliseconds."""

    reason = NodeReason.SYSFS_LOCKED


class Rejected(KernelError):  # noqa: N818 - says what is the case
    """The kernel refuses the value (EINVAL, ERANGE, ...): repeating it does not help."""

    reason = NodeReason.WRITE_REJECTED


class RealSysfs(Exception):  # noqa: N818 - says what is the case
    """A root lies on a real sysfs and the agent was not told that this is intended."""


class StateUnwritable(Exception):  # noqa: N818 - says what is the case
    """The ownership record cannot be written, so nothing may be written to sysfs either."""


class AlreadyRunning(Exception):  # noqa: N818 - says what is the case
    """Another agent holds the lock of the state directory."""


_BY_ERRNO: dict[int, type[KernelError]] = {
    errno.ENOENT: Missing,
    errno.ENODEV: Missing,
    errno.ENOTDIR: Missing,
    errno.EROFS: ReadOnly,
    errno.EACCES: Denied,
    errno.EBUSY: Busy,
    errno.EAGAIN: Busy,
    errno.EINTR: Busy,
}


def translated(path: str, value: str | None, error: OSError) -> KernelError:
    """Return the typed error for an OSError of one read (value None) or write.

    EPERM is not "denied": DAMON answers it to `off` on a kdamond that has stopped by itself.
    """
    return _BY_ERRNO.get(error.errno or 0, Rejected)(path, value, error)
