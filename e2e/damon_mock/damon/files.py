"""The emulator as files for code in the same process: what read(2), write(2) and readdir(3) do.

`VirtualFiles` lets virtual time pass until a waiting write returns, so that a test with one thread
never waits. `RealtimeFiles` blocks as the kernel does, while a `Ticker` moves the time.
"""

import errno
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from .emulator import Emulator
from .events import Writer
from .parse import failure
from .requests import Pending

_LONGEST_NAP_S: Final = 0.05


class WouldHangForever(Exception):  # noqa: N818  # says what would happen, is no error of the caller
    """A write that does not return within the virtual time allowed.

    It still waits: let something free it (`off`), then ask `VirtualFiles.finish(pending)`.
    """

    def __init__(self, pending: Pending) -> None:
        super().__init__(f"write of {pending.value!r} to {pending.path} does not return")
        self.pending = pending


class SharedEmulator:
    """An emulator that threads share: every access holds `changed`, every change notifies it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.changed = threading.Condition()
        self.closed = False

    def close(self) -> None:
        """Let waiting writes of real-time files return EIO: nobody will serve them any more."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class _Files:
    """Reading and listing below a root, which both kinds share. arrive: called before an access."""

    def __init__(
        self,
        shared: SharedEmulator,
        root: str,
        writer: Writer,
        arrive: Callable[[], None] = lambda: None,
    ) -> None:
        self._shared = shared
        self._root = root
        self._writer = writer
        self._arrive = arrive

    def read(self, path: str) -> bytes:
        """Return a file's content; OSError."""
        with self._shared.changed:
            self._arrive()
            return self._shared.emulator.read(self._path(path))

    def list(self, path: str) -> list[str]:
        """Return a directory's entries; OSError."""
        with self._shared.changed:
            self._arrive()
            return self._shared.emulator.entries(self._path(path))

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}".strip("/")


class VirtualFiles(_Files):
    """Files in virtual time. A write that waits moves the clock until it returns.

    root: where paths start, e.g. "damon", "module" or "" for both. limit_us: how long a write may
    wait; 0 to let every waiting write raise at once. Then it raises WouldHangForever, or, with
    `blocks`, waits for another thread to free it.
    """

    def __init__(
        self,
        emulator: Emulator | SharedEmulator,
        root: str = "",
        *,
        writer: Writer | None = None,
        limit_us: int = 15_000_000,
        blocks: bool = False,
    ) -> None:
        shared = SharedEmulator(emulator) if isinstance(emulator, Emulator) else emulator
        super().__init__(shared, root, writer or Writer())
        self.limit_us = limit_us
        self.blocks = blocks

    def under(self, root: str) -> "VirtualFiles":
        """Return the same files, starting at a directory."""
        return VirtualFiles(
            self._shared,
            self._path(root),
            writer=self._writer,
            limit_us=self.limit_us,
            blocks=self.blocks,
        )

    def write(self, path: str, data: bytes) -> None:
        """Write once, as the system call does; OSError, Killed, WouldHangForever."""
        with self._shared.changed:
            try:
                pending = self._shared.emulator.write(self._path(path), data, self._writer)
            finally:
                self._shared.changed.notify_all()
            if pending is not None:
                self.finish(pending)

    def finish(self, pending: Pending) -> None:
        """Let time pass until a waiting write returns, and return or raise what it does."""
        with self._shared.changed:
            self._drive(pending)
            while self.blocks and not pending.done:
                self._shared.changed.wait()
                if not self._shared.emulator.is_stuck(pending):
                    self._drive(pending)
        if not pending.done:
            raise WouldHangForever(pending)
        if pending.error is not None:
            raise pending.error

    def _drive(self, pending: Pending) -> None:
        emulator = self._shared.emulator
        deadline_us = emulator.now_us + self.limit_us
        while not pending.done:
            next_us = emulator.next_event_us()
            if next_us is None or next_us > deadline_us:
                break
            emulator.advance(max(0, next_us - emulator.now_us))
        self._shared.changed.notify_all()


class RealtimeFiles(_Files):
    """Files in real time: a write blocks its thread until a `Ticker` has brought its answer."""

    def __init__(self, ticker: "Ticker", root: str = "", *, writer: Writer | None = None) -> None:
        super().__init__(ticker.shared, root, writer or Writer(), ticker.tick)
        self._ticker = ticker

    def under(self, root: str) -> "RealtimeFiles":
        """Return the same files, starting at a directory."""
        return RealtimeFiles(self._ticker, self._path(root), writer=self._writer)

    def write(self, path: str, data: bytes) -> None:
        """Write once, as the system call does; OSError, Killed."""
        changed = self._shared.changed
        with changed:
            self._arrive()
            try:
                pending = self._shared.emulator.write(self._path(path), data, self._writer)
            finally:
                changed.notify_all()
            while pending is not None and not pending.done:
                if self._shared.closed:
                    raise failure(errno.EIO)
                changed.wait()
        if pending is not None and pending.error is not None:
            raise pending.error


class Ticker:
    """Moves an emulator along with a real clock, in a thread of its own while entered."""

    def __init__(
        self,
        shared: SharedEmulator,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shared = shared
        self._clock = clock
        self._started = clock() - shared.emulator.now_us / 1_000_000
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="damon-mock-ticker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self.shared.changed:
            self._stopping = True
            self.shared.changed.notify_all()
        self._thread.join()

    def tick(self) -> None:
        """Bring the emulator to the present; the caller holds `changed`."""
        emulator = self.shared.emulator
        passed_us = int((self._clock() - self._started) * 1_000_000) - emulator.now_us
        if passed_us > 0:
            emulator.advance(passed_us)

    def _run(self) -> None:
        changed = self.shared.changed
        with changed:
            while not self._stopping:
                before = self.shared.emulator.next_event_us()
                self.tick()
                after = self.shared.emulator.next_event_us()
                if after != before:
                    changed.notify_all()
                changed.wait(self._nap(after))

    def _nap(self, next_us: int | None) -> float:
        """Sleep to the next event, but not shorter than the kernel's own tick, nor too long."""
        if next_us is None:
            return _LONGEST_NAP_S
        wait_s = (next_us - self.shared.emulator.now_us) / 1_000_000
        return min(_LONGEST_NAP_S, max(0.004, wait_s))
