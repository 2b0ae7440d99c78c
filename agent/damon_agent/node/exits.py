"""Notice at once when a target exits: pidfd_open(2) and one epoll the loop sleeps on.

A pidfd becomes readable when its process exits (pidfd_open(2)), and not when only its first thread
does. That thread and forks inside a container raise no event: for those the loop looks again every
few seconds, and once a minute at the first threads of those that are watched.
"""

import errno
import logging
import os
import resource
import select
from collections.abc import Callable, Collection
from typing import Final

from damon_agent.facts import Process

_LOGGER: Final = logging.getLogger(__name__)
_RESERVED_DESCRIPTORS: Final = 256
"""Left to sockets and to the files that are open for a moment."""
_MOST_DESCRIPTORS: Final = 4096
_NOT_THIS_ONE: Final = frozenset({errno.ESRCH, errno.EINVAL, errno.ENOENT})
"""It has been reaped; or it is a thread, not the first of its process: EINVAL, ENOENT since 6.15.
Everything else that pidfd_open(2) and epoll_ctl(2) answer (no permission, descriptors, memory or
watches) would be answered for the next process as well."""


class Exits:
    """Watches processes; `fileno()` is readable when one of them has exited.

    What it can't watch (a process whose first thread has exited, no permission, no free descriptor)
    is left to the periodic look; the latter two are logged once.
    """

    def __init__(self, alive: Callable[[Process], bool]) -> None:
        """`alive` is asked for a process when its descriptor has been opened, or could not be."""
        self._alive = alive
        self._epoll = select.epoll()
        self._descriptors: dict[Process, int] = {}
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = max(0, min(_MOST_DESCRIPTORS, soft - _RESERVED_DESCRIPTORS))
        self._complained = False

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._epoll.fileno()

    @property
    def watched(self) -> Collection[Process]:
        """Processes whose exit would be seen: they live, and their pids are nobody else's."""
        return self._descriptors.keys()

    def is_alive(self, process: Process) -> bool:
        """Say whether this very process is there, by its descriptor if it is watched.

        By a descriptor a process lives until its last thread has exited. That the first one has is
        found by the look, which then knows the process by another thread.
        """
        descriptor = self._descriptors.get(process)
        if descriptor is None:
            return self._alive(process)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return not poll.poll(0)

    def watch(self, processes: Collection[Process]) -> None:
        """Watch exactly these processes, as many as there are descriptors for."""
        wanted = frozenset(processes)
        for process in self._descriptors.keys() - wanted:
            self._drop(process)
        for process in sorted(wanted - self._descriptors.keys()):
            if len(self._descriptors) >= self._most:
                self._complain(f"{len(wanted)} processes, descriptors for {self._most}")
                return
            if not self._open(process):
                return

    def exited(self) -> int:
        """Return how many of them have exited since the last call, and stop watching those."""
        # All at once: epoll_wait(2) returns no more than it is asked for.
        most = max(1, len(self._descriptors))
        readable = {descriptor for descriptor, _ in self._epoll.poll(0, most)}
        gone = [process for process, fd in self._descriptors.items() if fd in readable]
        for process in gone:
            self._drop(process)
        return len(gone)

    def close(self) -> None:
        """Give all descriptors back."""
        for process in list(self._descriptors):
            self._drop(process)
        self._epoll.close()

    def _open(self, process: Process) -> bool:
        """Open one pidfd; return False when no further one can be had."""
        try:
            descriptor = os.pidfd_open(process.pid)
        except OverflowError:
            return True  # no kernel has such a pid
        except OSError as error:
            if error.errno in _NOT_THIS_ONE:
                return True
            self._complain(f"pidfd_open({process.pid}): {error.strerror}")
            return False
        if not self._alive(process):
            # The descriptor may be that of a later process with the same pid.
            os.close(descriptor)
            return True
        try:
            self._epoll.register(descriptor, select.EPOLLIN)
        except OSError as error:
            os.close(descriptor)
            self._complain(f"epoll_ctl: {error.strerror}")
            return False
        self._descriptors[process] = descriptor
        return True

    def _drop(self, process: Process) -> None:
        descriptor = self._descriptors.pop(process)
        self._epoll.unregister(descriptor)
        os.close(descriptor)

    def _complain(self, why: str) -> None:
        if not self._complained:
            self._complained = True
            _LOGGER.warning("some exits are noticed only by the periodic look: %s", why)
