"""The emulator as a mounted file system, over the kernel's FUSE device.

The protocol is spoken here rather than through libfuse, because `state` must be writable while
another write to it waits (`off` frees a hung `commit`). The kernel lets one writer at a time into
an inode, so every lookup of `state` gives an inode of its own, which libfuse's path API cannot do.
Nothing is cached: `nr_*` writes make and remove directories at any time.
"""

import errno
import functools
import itertools
import os
import select
import signal
import stat
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from . import fuse_protocol as protocol
from .faults import Killed
from .files import Ticker
from .fuse_protocol import Opcode, Request
from .mounting import MountError, missing, mount, unmount
from .parse import failure

__all__ = ["Mount", "MountError", "missing"]

_REFUSED: Final[Mapping[int, int]] = {
    Opcode.CREATE: errno.EACCES,
    Opcode.MKNOD: errno.EACCES,
    Opcode.MKDIR: errno.EPERM,
    Opcode.UNLINK: errno.EPERM,
    Opcode.RMDIR: errno.EPERM,
    Opcode.RENAME: errno.EPERM,
    Opcode.RENAME2: errno.EPERM,
}


class _Nodes:
    """Numbers the kernel has for paths, and how often it looked each up."""

    def __init__(self) -> None:
        self._fresh = itertools.count(protocol.ROOT + 1)
        self._paths = {protocol.ROOT: ""}
        self._lookups: dict[int, int] = {}
        self._lasting: dict[str, int] = {}

    def path(self, node: int) -> str:
        """Return the path of a node."""
        return self._paths[node]

    def look_up(self, path: str, *, anew: bool) -> int:
        """Count a lookup and return the node of a path, or a new one for this use of it alone."""
        node = self._lasting.get(path)
        if node is None:
            node = next(self._fresh)
            self._paths[node] = path
            if not anew:
                self._lasting[path] = node
        self._lookups[node] = self._lookups.get(node, 0) + 1
        return node

    def forget(self, node: int, lookups: int) -> None:
        """Drop a node when every lookup is forgotten."""
        left = self._lookups.get(node, 0) - lookups
        if left > 0:
            self._lookups[node] = left
        elif node != protocol.ROOT:
            self._lookups.pop(node, None)
            path = self._paths.pop(node, "")
            if self._lasting.get(path) == node:
                del self._lasting[path]


class _Session:
    """Answers the kernel's requests. The caller holds the emulator's lock."""

    def __init__(self, ticker: Ticker, device: int) -> None:
        self._ticker = ticker
        self._emulator = ticker.shared.emulator
        self._device = device
        self._nodes = _Nodes()
        self._handles = itertools.count(1)
        self._seen: dict[int, bytes] = {}
        self._waiting: set[int] = set()
        self._doers = self._by_opcode()

    def serve(self, request: Request) -> None:
        """Answer one request, now or when its write returns."""
        if request.opcode in {Opcode.FORGET, Opcode.BATCH_FORGET}:
            for node, lookups in protocol.forgotten(request):
                self._nodes.forget(node, lookups)
            return
        if request.opcode == Opcode.INTERRUPT:
            return  # the real wait does not hear signals either
        doer = self._doers.get(request.opcode)
        try:
            if doer is None:
                raise failure(_REFUSED.get(request.opcode, errno.ENOSYS))
            body = doer(request)
        except OSError as error:
            self._reply(request.unique, code=error.errno or errno.EIO)
        except Killed:
            self._kill(request.pid)
            self._reply(request.unique, code=errno.EIO)
        else:
            if body is not None:
                self._reply(request.unique, body)

    def give_up(self) -> None:
        """Let every write that waits return EIO."""
        for unique in sorted(self._waiting):
            self._reply(unique, code=errno.EIO)
        self._waiting.clear()

    def _by_opcode(self) -> Mapping[int, Callable[[Request], bytes | None]]:
        return {
            Opcode.INIT: lambda _: protocol.init_out(),
            Opcode.LOOKUP: self._look_up,
            Opcode.GETATTR: self._attributes,
            Opcode.SETATTR: self._attributes,  # O_TRUNC: means nothing here
            Opcode.OPEN: self._open,
            Opcode.OPENDIR: self._open,
            Opcode.READ: self._read,
            Opcode.READDIR: self._list,
            Opcode.WRITE: self._write,
            Opcode.RELEASE: self._release,
            Opcode.RELEASEDIR: self._release,
            Opcode.STATFS: lambda _: protocol.statfs_out(),
            Opcode.DESTROY: lambda _: b"",
        }

    def _reply(self, unique: int, body: bytes = b"", code: int = 0) -> None:
        try:
            os.write(self._device, protocol.reply(unique, body, code))
        except OSError as error:
            # The asker is gone (ENOENT), or the mount is (ENODEV): nobody waits for this answer.
            if error.errno not in {errno.ENOENT, errno.ENODEV}:
                raise

    def _kill(self, pid: int) -> None:
        if pid not in {0, os.getpid()}:
            os.kill(pid, signal.SIGKILL)

    def _look_up(self, request: Request) -> bytes:
        name = protocol.name(request.body)
        path = f"{self._nodes.path(request.node)}/{name}".strip("/")
        attributes = self._of(path)
        anew = name == "state"  # so that `off` gets past a commit that waits
        lasting = not anew and not name.isdecimal()  # numbered directories come and go
        return protocol.entry_out(self._nodes.look_up(path, anew=anew), attributes, lasting=lasting)

    def _attributes(self, request: Request) -> bytes:
        return protocol.attr_out(self._of(self._nodes.path(request.node)))

    def _of(self, path: str) -> protocol.Attributes:
        mode = self._emulator.mode(path)
        return protocol.Attributes(
            inode=zlib.crc32(path.encode("utf-8", "surrogateescape")) + 2,
            mode=(stat.S_IFDIR | 0o755) if mode is None else (stat.S_IFREG | mode),
            size_bytes=0 if mode is None else 4096,
            uid=os.geteuid(),
            gid=os.getegid(),
        )

    def _open(self, request: Request) -> bytes:
        mode = self._emulator.mode(self._nodes.path(request.node))
        writes = protocol.open_flags(request.body) & os.O_ACCMODE != os.O_RDONLY
        if writes and mode is not None:
            if self._emulator.read_only:
                raise failure(errno.EROFS)
            if not mode & 0o200:
                raise failure(errno.EACCES)
        return protocol.open_out(next(self._handles))

    def _read(self, request: Request) -> bytes:
        handle = protocol.handle(request.body)
        offset, size = protocol.span(request.body)
        if offset == 0 or handle not in self._seen:
            self._seen[handle] = self._emulator.read(self._nodes.path(request.node))
        return self._seen[handle][offset : offset + size]

    def _list(self, request: Request) -> bytes:
        path = self._nodes.path(request.node)
        names = self._emulator.entries(path)
        listed = [(name, self._emulator.mode(f"{path}/{name}") is None) for name in names]
        offset, size = protocol.span(request.body)
        return protocol.entries_out([(".", True), ("..", True), *listed], offset, size)

    def _write(self, request: Request) -> bytes | None:
        data = protocol.written(request.body)
        pending = self._emulator.write(self._nodes.path(request.node), data)
        done = protocol.write_out(len(data))
        if pending is None:
            return done
        self._waiting.add(request.unique)
        pending.when_done.append(functools.partial(self._returned, request.unique, done))
        return None

    def _returned(self, unique: int, done: bytes, error: OSError | None) -> None:
        if unique in self._waiting:
            self._waiting.remove(unique)
            if error is None:
                self._reply(unique, done)
            else:
                self._reply(unique, code=error.errno or errno.EIO)

    def _release(self, request: Request) -> bytes:
        self._seen.pop(protocol.handle(request.body), None)
        return b""


class Mount:
    """Serves an emulator at a directory while entered. MountError if that cannot be.

    The ticker must be running. Leaving lets waiting writes return EIO, and unmounts.
    """

    def __init__(self, ticker: Ticker, directory: Path) -> None:
        self._ticker = ticker
        self._directory = directory.absolute()
        self._device = -1
        self._wake = (-1, -1)
        self._thread = threading.Thread(target=self._serve, name="damon-mock-fuse", daemon=True)

    def __enter__(self) -> Self:
        self._device = mount(self._directory)
        os.set_blocking(self._device, False)
        self._wake = os.pipe()
        self._session = _Session(self._ticker, self._device)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._ticker.shared.changed:
            self._session.give_up()
        try:
            unmount(self._directory)
        finally:
            os.write(self._wake[1], b"x")
            self._thread.join()
            for descriptor in (self._device, *self._wake):
                os.close(descriptor)  # the last one of the device ends whatever still waits

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._device, select.POLLIN)
        poll.register(self._wake[0], select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wake[0] in ready:
                return
            try:
                data = os.read(self._device, protocol.BUFFER_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno == errno.ENOENT:
                    continue  # the asker went away in between
                if error.errno in {errno.ENODEV, errno.ECONNABORTED}:
                    return  # unmounted, or about to be with a request under way
                raise
            request = protocol.request(data)
            changed = self._ticker.shared.changed
            with changed:
                self._ticker.tick()
                self._session.serve(request)
                if request.opcode == Opcode.WRITE:
                    changed.notify_all()
