"""One emulated machine: the files of DAMON, and the kernel behind them. Pure, in virtual time."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from . import parse
from .commands import Commands
from .events import Event, Writer, WriteRecord
from .faults import Effect, Fails, Faults, Hangs, Killed, Kills
from .kdamond import Kdamond
from .kernel import Kernel
from .memory import Memory, SimulatedMemory, layout
from .modules import Modules
from .parse import failure
from .processes import Identity, ProcessTable
from .profiles import Profile, load
from .requests import Pending
from .tree import Directory

_MOST: Final = {"nr_contexts": 1, "nr_probes": 4}
"""Counts that have a limit (DAMON_MAX_PROBES for the second)."""


@dataclass(frozen=True)
class Inherited:
    """A live slot that covers its process's memory with the age of another process: the trap."""

    kdamond: int
    slot: int
    process: Identity
    owner: Identity
    age: int


def _any_memcg(path: str) -> bool:
    return path.startswith("/")


class Emulator:
    """The state machine. Paths are "damon/admin/…" and "module/…"; errors are OSError with errno.

    Time passes only in `advance`. A write that waits for a kdamond returns a Pending, which a later
    `advance` resolves. Set `present` or `read_only` to lose the tree or its writability.
    """

    def __init__(
        self,
        profile: Profile | str,
        processes: ProcessTable,
        memory: Memory | None = None,
        *,
        memcg_exists: Callable[[str], bool] = _any_memcg,
        panic_on_oops: bool = True,
    ) -> None:
        self.profile = load(profile) if isinstance(profile, str) else profile
        self.processes = processes
        self.memory = memory if memory is not None else SimulatedMemory()
        self.faults = Faults()
        self.log: list[WriteRecord] = []
        self.present = True
        self.read_only = False
        self._memcg_exists = memcg_exists
        self._panic_on_oops = panic_on_oops
        self._events: list[Event] = []
        self._boot(0)

    def _boot(self, now_us: int) -> None:
        self._kernel = Kernel(
            self.profile,
            self.processes,
            self.memory,
            self._memcg_exists,
            panic_on_oops=self._panic_on_oops,
            now_us=now_us,
            events=self._events,
        )
        self.modules = Modules(self.profile)
        self._commands = Commands(self._kernel)
        self._root = Directory(self.profile.root, "kernel")
        self.kdamonds: list[Kdamond] = []

    # ------------------------------------------------------------------ time

    @property
    def now_us(self) -> int:
        """Virtual time since the emulator was made, in microseconds."""
        return self._kernel.now_us

    @property
    def events(self) -> list[Event]:
        """What the kernel did, oldest first."""
        return self._events

    @property
    def panicked(self) -> str | None:
        """Of what the kernel died; everything fails with EIO then."""
        return self._kernel.panicked

    @property
    def panic_on_oops(self) -> bool:
        """Whether a crash in a kdamond is the end of all, or of that thread only."""
        return self._panic_on_oops

    @panic_on_oops.setter
    def panic_on_oops(self, value: bool) -> None:
        self._panic_on_oops = self._kernel.panic_on_oops = value

    @property
    def broken(self) -> bool:
        """Whether only a reboot helps: it died, or a kdamond, or a writer with the lock held."""
        crashed = any(kdamond.crashed for kdamond in self.kdamonds)
        return self.panicked is not None or self._kernel.wedged or crashed

    def reboot(self) -> None:
        """Start the machine anew: empty tree, nothing armed, modules off. Logs and time go on."""
        self.hide_threads()
        self._boot(self.now_us)
        self._kernel.note("boot")

    def hide_threads(self) -> None:
        """Let no thread be seen any more: the machine goes down."""
        for kdamond in self.kdamonds:
            if kdamond.alive:
                self.processes.thread_ended(kdamond.pid)

    def next_event_us(self) -> int | None:
        """Return when something happens next by itself; None if nothing ever will."""
        if self.panicked is not None:
            return None
        times = [kdamond.wake_us for kdamond in self.kdamonds if kdamond.alive]
        poll_us = self._commands.next_poll_us()
        if poll_us is not None:
            times.append(poll_us)
        return min(times, default=None)

    def advance(self, us: int) -> None:
        """Let so many microseconds pass; 0 does what is due now."""
        until_us = self.now_us + us
        while (next_us := self.next_event_us()) is not None and next_us <= until_us:
            self._pass_time(next_us)
            for kdamond in self.kdamonds:
                if kdamond.alive and kdamond.wake_us <= self.now_us:
                    kdamond.step()
                if self.panicked is not None:
                    break
            self._commands.look()
        self._pass_time(until_us)

    # ----------------------------------------------------------------- files

    def entries(self, path: str) -> list[str]:
        """Return the names in a directory."""
        self._alive()
        self._fail_if_told("list", path)
        match self._split(path):
            case []:
                return ["damon", "module"]
            case ["module", *rest]:
                return self.modules.entries(tuple(rest))
            case ["damon"]:
                return ["admin"]
            case ["damon", "admin"]:
                return ["kdamonds"]
            case below:
                return self._directory(below[3:]).entries()

    def mode(self, path: str) -> int | None:
        """Return the permission bits of a file; None for a directory; OSError if there is none."""
        parts = self._split(path)
        try:
            if parts[:1] == ("module",):
                value = self.modules.read(parts[1:])
                return 0o600 if value in {"Y", "N"} else 0o400
            if len(parts) > 3:
                return self._directory(parts[3:-1]).file(parts[-1]).mode
        except IsADirectoryError:
            pass
        return None

    def read(self, path: str) -> bytes:
        """Return the content of a file, newline included."""
        self._alive()
        self._fail_if_told("read", path)
        parts = self._split(path)
        if parts[:1] == ("module",):
            return (self.modules.read(parts[1:]) + "\n").encode()
        if len(parts) < 4:
            raise failure(errno.EISDIR)
        directory, name = self._directory(parts[3:-1]), parts[-1]
        kind = directory.file(name).kind
        takes_lock = kind in {"pid", "text"} or (kind == "state" and self.profile.synchronous)
        if takes_lock and self._commands.locked:
            raise failure(errno.EBUSY)
        return (self._shown(directory, name, kind, parts) + "\n").encode("latin-1")

    def write(self, path: str, data: bytes, writer: Writer | None = None) -> Pending | None:
        """Write once. Pending if the write waits, None if it returned; OSError, Killed."""
        writer = writer or Writer()
        self._alive()
        value = parse.text_of(data).decode("latin-1").removesuffix("\n")
        record = WriteRecord(
            len(self.log), self.now_us, writer.name, path, value, None, self._harms(path, writer)
        )
        self.log.append(record)
        effect = self.faults.hit("write", path, value)
        try:
            if isinstance(effect, Kills) and effect.when == "before":
                raise Killed(f"before write {record.index} to {path}")
            if isinstance(effect, Fails):
                raise failure(effect.code)
            pending = self._write(path, data, writer, effect)
        except OSError as error:
            record.code = error.errno
            raise
        if pending is None:
            record.code = 0
        else:
            pending.when_done.append(record.returned)
        if isinstance(effect, Kills):
            raise Killed(f"after write {record.index} to {path}")
        return pending

    # -------------------------------------------------------------- evidence

    def snapshot(self) -> dict[str, str]:
        """Return the sysfs copy: every file below damon/ with its value."""
        shown = {}
        for path, value in self._root.walk("damon/admin/kdamonds/"):
            parts = path.split("/")
            shown[path] = value
            if len(parts) == 5 and parts[4] in {"state", "pid"}:
                kdamond = self.kdamonds[int(parts[3])]
                shown[path] = self._thread_text(kdamond, parts[4])
        return shown

    def inherited(self) -> list[Inherited]:
        """Return every live slot whose regions hold the age of another process, over its memory."""
        return [
            Inherited(kdamond.index, slot, process, region.owner, region.age)
            for kdamond in self.kdamonds
            if kdamond.running and kdamond.context is not None
            for slot, target in enumerate(kdamond.context.targets)
            if (process := target.process) is not None and self.processes.has_memory(process)
            for region in target.regions
            if region.owner is not None
            and region.owner != process
            and any(
                region.range.intersects(part)
                for part in layout(process, self.memory.usage(process)).ranges
            )
        ]

    def is_stuck(self, pending: Pending) -> bool:
        """Return whether a keyword waits that no passing of time will let return."""
        return any(
            kdamond.running
            and kdamond.request is not None
            and kdamond.request.pending is pending
            and (kdamond.request.hangs or kdamond.crashed)
            for kdamond in self.kdamonds
        )

    # --------------------------------------------------------------- details

    def _pass_time(self, until_us: int) -> None:
        passed_us = max(0, until_us - self.now_us)
        self.memory.pass_time(passed_us)
        self._kernel.now_us += passed_us

    def _alive(self) -> None:
        if self.panicked is not None:
            raise failure(errno.EIO)

    def _fail_if_told(self, operation: str, path: str) -> None:
        effect = self.faults.hit("read" if operation == "read" else "list", path)
        if isinstance(effect, Kills):
            raise Killed(f"at {operation} of {path}")
        if isinstance(effect, Fails):
            raise failure(effect.code)

    def _split(self, path: str) -> tuple[str, ...]:
        parts = tuple(part for part in path.split("/") if part)
        if not parts:
            return parts
        if parts[0] not in {"damon", "module"}:
            raise failure(errno.ENOENT)
        if parts[0] == "damon" and (
            not self.present or parts[1:3] != ("admin", "kdamonds")[: len(parts) - 1]
        ):
            raise failure(errno.ENOENT)
        return parts

    def _directory(self, parts: tuple[str, ...]) -> Directory:
        return self._root.descend(*parts)

    def _shown(self, directory: Directory, name: str, kind: str, parts: tuple[str, ...]) -> str:
        if kind in {"state", "pid"}:
            return self._thread_text(self.kdamonds[int(parts[3])], kind)
        return directory.values[name]

    def _thread_text(self, kdamond: Kdamond, kind: str) -> str:
        if kind == "pid":
            return str(kdamond.pid)
        return "on" if kdamond.running else "off"

    def _harms(self, path: str, writer: Writer) -> bool:
        parts = path.split("/")
        if path.endswith("kdamonds/nr_kdamonds"):
            return any(k.directory.creator != writer.name for k in self.kdamonds)
        if len(parts) > 4 and parts[3].isdecimal() and int(parts[3]) < len(self.kdamonds):
            return self.kdamonds[int(parts[3])].directory.creator != writer.name
        return False

    def _write(
        self, path: str, data: bytes, writer: Writer, effect: Effect | None
    ) -> Pending | None:
        parts = self._split(path)
        mode = self.mode(path)
        if mode is None:
            raise failure(errno.EISDIR)
        if self.read_only:
            raise failure(errno.EROFS)
        if not mode & 0o200:
            raise failure(errno.EACCES)
        if not data:
            return None
        if parts[0] == "module":
            runs = any(kdamond.running for kdamond in self.kdamonds)
            self.modules.write(parts[1:], parse.text_of(data), kdamond_runs=runs)
            return None
        directory, name = self._directory(parts[3:-1]), parts[-1]
        kind = directory.file(name).kind
        if kind == "state":
            return self._command(self.kdamonds[int(parts[3])], path, data, writer, effect)
        if isinstance(effect, Hangs):
            return Pending(path, "", self.now_us)
        if kind == "count":
            self._make(directory, name, data, writer)
        else:
            if kind == "text" and self._commands.locked:
                raise failure(errno.EBUSY)
            directory.values[name] = parse.stored(
                kind, data, self.profile.words, enable_is_true=self.profile.enable_is_true
            )
        return None

    def _command(
        self, kdamond: Kdamond, path: str, data: bytes, writer: Writer, effect: Effect | None
    ) -> Pending | None:
        if self._commands.locked:
            raise failure(errno.EBUSY)
        keyword = parse.word(parse.text_of(data), self.profile.words["state"])
        if keyword == "on":
            self._commands.turn_on(kdamond, writer, exclusive_runs=self.modules.any_enabled)
            return None
        pending = Pending(path, keyword, self.now_us)
        return self._commands.write(kdamond, keyword, pending, effect)

    def _make(self, directory: Directory, name: str, data: bytes, writer: Writer) -> None:
        number = parse.count(parse.text_of(data))
        if self._commands.locked:
            raise failure(errno.EBUSY)
        if number > _MOST.get(name, number):
            raise failure(errno.EINVAL)
        if name != "nr_kdamonds":
            directory.make(number, writer.name)
            return
        if self._commands.request_waits or any(k.running for k in self.kdamonds):
            raise failure(errno.EBUSY)
        for kdamond in self.kdamonds:
            kdamond.free()
        directory.make(number, writer.name)
        self.kdamonds = [
            Kdamond(index, child, self._kernel) for index, child in enumerate(directory.numbered)
        ]
