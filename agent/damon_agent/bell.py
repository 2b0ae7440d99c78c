"""What wakes the loop: a bell that any thread, or a signal handler, may ring."""

import os
import select
from collections.abc import Sequence


class Bell:
    """An eventfd, and further descriptors whose readability is as good as a ring."""

    def __init__(self, descriptors: Sequence[int] = ()) -> None:
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        for descriptor in (self._event, *descriptors):
            self._poll.register(descriptor, select.POLLIN)

    def ring(self) -> None:
        """Wake whoever waits now, or whoever waits next."""
        os.eventfd_write(self._event, 1)

    def wait(self, timeout_us: int) -> None:
        """Return when somebody has rung, a descriptor is readable, or the time is over."""
        self._poll.poll(max(0, -(-timeout_us // 1000)))
        try:
            os.eventfd_read(self._event)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the descriptor back; nobody may ring afterwards."""
        os.close(self._event)
