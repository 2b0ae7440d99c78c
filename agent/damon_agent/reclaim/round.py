"""One round of writes to memory.reclaim: pod after pod, each measured before and after."""

import errno
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from damon_agent.errors import AgentError
from damon_agent.facts import PodCharge
from damon_agent.node import pods
from damon_agent.node.reclaim_file import ReclaimFile

GONE: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR})
"""The pod has ended meanwhile, or its kernel has no memory.reclaim."""
FOUND_LESS: Final = frozenset({errno.EAGAIN, errno.EINTR, errno.EBUSY})
"""The pod had less to give, or the kernel was kept from looking further."""

PIECE_BYTES: Final = 1 << 30
"""Of one write at most: less than a second where clean page cache goes, some seconds for swap."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one pod is asked for, and where."""

    uid: str
    directories: Collection[str]
    """Its cgroups: its own, or, where it has none, those of its containers."""
    size_bytes: int
    word: str
    """Written behind the size, if any: which memory is to go."""


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What came of it."""

    asked: Asked
    freed: PodCharge
    error: OSError | None = None
    """The first write that failed, if so: BlockingIOError says that less was found."""


class Round:
    """The writes of one look; carried out beside the loop, because a write may block.

    A write can't be called back, and nobody is listened to while it lasts. So what is asked for is
    written in pieces, and before each it is seen whether there may be another one.
    """

    def __init__(
        self, asked: Collection[Asked], file: ReclaimFile, is_over: Callable[[], bool]
    ) -> None:
        """`is_over`: whether it is too late for another write."""
        self._asked = asked
        self._file = file
        self._is_late = is_over
        self._is_stopped = False
        self.answers: list[Reclaimed] = []
        self.was_cut = False
        """Whether it was over before everybody had been asked for everything."""
        self.is_done = False

    def stop(self) -> None:
        """Let no further write begin."""
        self._is_stopped = True

    def carry_out(self) -> None:
        """Ask pod after pod; what goes wrong with one is its answer."""
        try:
            for asked in self._asked:
                if self._is_over():
                    return
                self.answers.append(self._ask(asked))
        finally:
            self.is_done = True

    def _is_over(self) -> bool:
        self.was_cut = self.was_cut or self._is_stopped or self._is_late()
        return self.was_cut

    def _ask(self, asked: Asked) -> Reclaimed:
        before, error = _charge(asked.directories), None
        share_bytes = asked.size_bytes // max(1, len(asked.directories))
        for directory in asked.directories:
            try:
                self._write(directory, share_bytes, asked.word)
            except OSError as failed:
                error = error or failed
        after = _charge(asked.directories)
        if before is None or after is None:
            return Reclaimed(asked, PodCharge(0, 0), error)
        freed = (max(0, was - now) for was, now in zip(before, after, strict=True))
        return Reclaimed(asked, PodCharge(*freed), error)

    def _write(self, directory: str, size_bytes: int, word: str) -> None:
        for begin in range(0, size_bytes, PIECE_BYTES):
            if self._is_over():
                return
            piece_bytes = min(PIECE_BYTES, size_bytes - begin)
            self._file.write(directory, f"{piece_bytes} {word}".rstrip())


def _charge(directories: Collection[str]) -> PodCharge | None:
    """Return what a pod is charged for; None where it can't be read: then nothing is counted."""
    try:
        return pods.charge(directories)
    except AgentError:
        # The next look at the pod finds the same file unreadable, and tells it of the pod.
        return None
