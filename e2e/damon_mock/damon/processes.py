"""Who runs on the emulated machine: processes by identity, never by bare number.

Two tables with one protocol: `SimulatedProcesses` for tests, `HostProcesses` over a proc root.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

INIT: Final = "init"
"""Name of the initial pid namespace, the one in which `commit` resolves numbers."""

KTHREADD: Final = 2

PID_MAX_LIMIT: Final = 4 * 1024 * 1024
"""No process has a number as high (include/linux/threads.h): emulated threads get higher ones."""

_PF_KTHREAD: Final = 0x0020_0000  # include/linux/sched.h
_KTHREAD_FLAGS: Final = 0x0020_8040
"""PF_KTHREAD | PF_NOFREEZE | PF_FORKNOEXEC, as kthreadd has them."""


@dataclass(frozen=True, order=True)
class Identity:
    """One process for as long as the machine is up: its pid and its start time in clock ticks.

    `start_ticks` is field 22 of /proc/<pid>/stat. pid is that of the initial namespace.
    """

    pid: int
    start_ticks: int


_KTHREADD: Final = Identity(KTHREADD, 1)
"""Start times count from boot, and kthreadd is there from the first tick."""


class ProcessTable(Protocol):
    """What the emulated kernel asks about processes."""

    def identity(self, pid: int, namespace: str = INIT) -> Identity | None:
        """Return whom `find_get_pid(pid)` finds in a namespace: zombies and kernel threads too."""
        ...

    def exists(self, identity: Identity) -> bool:
        """Return whether the task is still there; a zombie is until it has been reaped."""
        ...

    def has_memory(self, identity: Identity) -> bool:
        """Return whether there is an address space to look at: not for zombies and kthreads."""
        ...

    def thread_started(self, pid: int, comm: str) -> None:
        """Take in that the emulated kernel has started a thread of its own."""
        ...

    def thread_ended(self, pid: int) -> None:
        """Take in that such a thread is gone."""
        ...


class SimulatedProcesses:
    """Processes that exist because a test says so. pid 1 and pid 2 (kthreadd) are always there."""

    def __init__(self) -> None:
        self._ticks = 100
        self._next_pid = 1000
        self._numbers: dict[str, dict[int, Identity]] = {INIT: {}}
        self._zombies: set[Identity] = set()
        self._gone: set[Identity] = set()
        self._threads: dict[int, str] = {}
        self._numbers[INIT][1] = Identity(1, 1)
        self._numbers[INIT][KTHREADD] = _KTHREADD

    def spawn(self, pid: int | None = None) -> Identity:
        """Start a process, under a fresh number or under `pid` (which must be free: a reuse)."""
        numbers = self._numbers[INIT]
        if pid is None:
            while self._next_pid in numbers:
                self._next_pid += 1
            pid = self._next_pid
            self._next_pid += 1
        if pid in numbers and self.exists(numbers[pid]):
            raise ValueError(f"pid {pid} is in use")
        self._ticks += 7
        identity = Identity(pid, self._ticks)
        numbers[pid] = identity
        return identity

    def exit(self, pid: int) -> None:
        """End a process; it stays a zombie until `reap`."""
        self._zombies.add(self._found(pid))

    def reap(self, pid: int) -> None:
        """Remove a zombie; its number is free again."""
        identity = self._found(pid)
        self._gone.add(identity)
        self._zombies.discard(identity)
        for numbers in self._numbers.values():
            for number in [n for n, held in numbers.items() if held == identity]:
                del numbers[number]

    def kill(self, pid: int) -> None:
        """End and reap a process at once."""
        self.exit(pid)
        self.reap(pid)

    def enter(self, namespace: str, inner_pid: int, identity: Identity) -> None:
        """Let a process have the number `inner_pid` inside a pid namespace."""
        self._numbers.setdefault(namespace, {})[inner_pid] = identity

    def hold_number(self, pid: int) -> None:
        """Let a number live on as a session or process group id only: found, but no task."""
        identity = Identity(pid, 0)
        self._gone.add(identity)
        self._numbers[INIT][pid] = identity

    def is_running(self, pid: int, start_ticks: int) -> bool:
        """Return whether this very process runs (a zombie does not)."""
        identity = Identity(pid, start_ticks)
        return self._numbers[INIT].get(pid) == identity and identity not in self._zombies

    def identity(self, pid: int, namespace: str = INIT) -> Identity | None:
        """See `ProcessTable`."""
        return self._numbers.get(namespace, {}).get(pid)

    def exists(self, identity: Identity) -> bool:
        """See `ProcessTable`."""
        return identity not in self._gone

    def has_memory(self, identity: Identity) -> bool:
        """See `ProcessTable`."""
        has_none = identity in self._gone or identity in self._zombies
        return not has_none and identity.pid != KTHREADD

    def thread_started(self, pid: int, comm: str) -> None:
        """See `ProcessTable`."""
        self._threads[pid] = comm

    def thread_ended(self, pid: int) -> None:
        """See `ProcessTable`."""
        self._threads.pop(pid, None)

    def comm(self, pid: int) -> str | None:
        """Return the name of a thread of the emulated kernel, as /proc/<pid>/comm; None if gone."""
        return "kthreadd" if pid == KTHREADD else self._threads.get(pid)

    def _found(self, pid: int) -> Identity:
        identity = self._numbers[INIT].get(pid)
        if identity is None or identity.pid <= KTHREADD:
            raise LookupError(f"no process {pid} to end")
        return identity


class HostProcesses:
    """The processes below a proc root, which may be /proc or a directory made to look like it.

    pid 2 is kthreadd whatever stands there: the emulated kernel has one, and a proc root of another
    pid namespace, such as that of a node in a container, shows somebody else or nobody.
    shows_threads: the root is a directory like /proc, and what the emulated kernel starts is to
    appear there.
    """

    def __init__(self, proc_root: Path, *, shows_threads: bool = False) -> None:
        self._root = proc_root
        self._shows_threads = shows_threads

    def identity(self, pid: int, namespace: str = INIT) -> Identity | None:
        """See `ProcessTable`. Numbers are those of the proc root, whatever the namespace."""
        del namespace
        if pid == KTHREADD:
            return _KTHREADD
        fields = self._stat(pid)
        return None if fields is None else Identity(pid, int(fields[19]))

    def exists(self, identity: Identity) -> bool:
        """See `ProcessTable`."""
        return self.identity(identity.pid) == identity

    def has_memory(self, identity: Identity) -> bool:
        """See `ProcessTable`."""
        fields = self._stat(identity.pid) if identity != _KTHREADD else None
        return (
            fields is not None
            and int(fields[19]) == identity.start_ticks
            and fields[0] not in {"Z", "X"}
            and not int(fields[6]) & _PF_KTHREAD
        )

    def thread_started(self, pid: int, comm: str) -> None:
        """See `ProcessTable`. The entry appears whole at once."""
        if not self._shows_threads:
            return
        entry = self._root / f".{pid}.new"
        entry.mkdir()
        (entry / "comm").write_text(f"{comm}\n")
        (entry / "cgroup").write_text("0::/\n")
        (entry / "stat").write_text(
            stat_text(pid, comm, start_ticks=pid, parent=KTHREADD, flags=_KTHREAD_FLAGS)
        )
        entry.rename(self._root / str(pid))

    def thread_ended(self, pid: int) -> None:
        """See `ProcessTable`."""
        if self._shows_threads and (self._root / str(pid)).exists():
            aside = self._root / f".{pid}.old"
            (self._root / str(pid)).rename(aside)
            shutil.rmtree(aside)

    def _stat(self, pid: int) -> list[str] | None:
        """Return the fields of stat after the command name: state is 0, flags 6, starttime 19."""
        if pid <= 0:
            return None
        try:
            text = (self._root / str(pid) / "stat").read_text("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            return None
        return text.rpartition(")")[2].split()


def stat_text(pid: int, comm: str, *, start_ticks: int, parent: int = 1, flags: int = 0) -> str:
    """Return a /proc/<pid>/stat of a sleeping process (proc_pid_stat(5))."""
    behind = ["S", str(parent), *[str(pid)] * 2, "0", "-1", str(flags), *["0"] * 12]
    return f"{pid} ({comm}) {' '.join([*behind, str(start_ticks)])} {' '.join(['0'] * 30)}\n"
