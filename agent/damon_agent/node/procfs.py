"""The one reader of /proc. The root is a value; a process that vanished is a normal answer.

Formats: proc_pid_stat(5), proc_pid_cgroup(5), proc_meminfo(5), proc_zoneinfo(5).
"""

import errno
import os
import re
from pathlib import Path
from typing import Final

from damon_agent.errors import AgentError, MalformedError, UnreadableError
from damon_agent.facts import MemoryReading, Process

_GONE: Final = frozenset({errno.ENOENT, errno.ESRCH})
_KIB: Final = 1024
_MEMINFO: Final = ("MemTotal", "MemFree", "MemAvailable", "SwapTotal")
_MEMINFO_IF_THERE: Final = ("SwapFree", "Hugetlb")
_COUNT: Final = re.compile(rb"[0-9]{1,15}")
"""What the kernel counts in pages or KiB never has more digits."""
_READ_BYTES: Final = 65536
_STATE_FIELD: Final = 0
_START_FIELD: Final = 19
"""Fields 3 (state) and 22 (start time) of stat, counted behind the closing parenthesis."""
_USER_FIELD: Final = 11
_SYSTEM_FIELD: Final = 12
"""Fields 14 and 15: clock ticks of CPU time, in user mode and in the kernel."""
_DEAD_STATES: Final = (b"Z", b"X", b"x")
"""A thread in such a state has let go of its memory; the others of its process may go on."""


class Procfs:
    """A /proc mount of the node, or a directory laid out like one."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self.page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")

    def boot_id(self) -> str:
        """Return the random id of this boot."""
        return self._must_read("sys/kernel/random/boot_id").decode().strip()

    def is_host_pid_namespace(self) -> bool:
        """Say whether pid 2 is the kernel's thread daemon, which only the first namespace shows."""
        return self.comm(2) == "kthreadd"

    def pids(self) -> list[int]:
        """Return the thread group ids of all processes."""
        try:
            with os.scandir(self._root) as entries:
                return [int(entry.name) for entry in entries if entry.name.isdecimal()]
        except OSError as error:
            raise UnreadableError(self._root, error) from error

    def cgroup_text(self, pid: int) -> bytes | None:
        """Return the text of /proc/<pid>/cgroup; None when the process has vanished.

        Raise UnreadableError.
        """
        return self._read(f"{pid}/cgroup")

    def process(self, pid: int) -> Process | None:
        """Return a process with its identity; None when it has vanished or no thread of it lives.

        Where the first thread has exited (state Z) another one stands for the process: DAMON finds
        an address space by any thread that has it (find_get_pid() in mm/damon/sysfs.c and
        get_task_mm() in mm/damon/vaddr.c), and none by one that has exited. Raise UnreadableError,
        MalformedError.
        """
        found = self._thread(f"{pid}")
        if found is None:
            return None
        state, start_ticks = found
        return self._later_thread(pid) if state in _DEAD_STATES else Process(pid, start_ticks)

    def _later_thread(self, pid: int) -> Process | None:
        """Return the oldest thread of a process that lives; the kernel lists them by age."""
        path = f"{self._root}/{pid}/task"
        try:
            with os.scandir(path) as entries:
                threads = [int(entry.name) for entry in entries if entry.name.isdecimal()]
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise UnreadableError(path, error) from error
        for thread in threads:
            if thread != pid and (found := self._thread(f"{pid}/task/{thread}")) is not None:
                state, start_ticks = found
                if state not in _DEAD_STATES:
                    return Process(thread, start_ticks)
        return None

    def _thread(self, path: str) -> tuple[bytes, int] | None:
        """Return state and start time of a thread; None when it has vanished."""
        text = self._read(f"{path}/stat")
        if text is None:
            return None
        # comm stands in parentheses and may itself hold spaces and parentheses.
        fields = text[text.rfind(b")") + 1 :].split(None, _START_FIELD + 1)
        try:
            return fields[_STATE_FIELD], int(fields[_START_FIELD])
        except (IndexError, ValueError) as error:
            raise self._malformed(f"{path}/stat", text) from error

    def spent_us(self, pid: int) -> int | None:
        """Return the CPU time that a process or kernel thread has used; None: nothing says so."""
        try:
            text = self._read(f"{pid}/stat") or b""
            fields = text[text.rfind(b")") + 1 :].split(None, _START_FIELD + 1)
            ticks = int(fields[_USER_FIELD]) + int(fields[_SYSTEM_FIELD])
        except (UnreadableError, IndexError, ValueError):
            return None
        return ticks * 1_000_000 // self._ticks_per_s

    def resident_bytes(self, pid: int) -> int | None:
        """Return the resident memory of a process, shared pages included; None: it has vanished.

        Field 2 of statm (proc_pid_statm(5)). From Linux 6.2 until the stable releases of July 2025
        what a CPU has not yet added to the sum is left out: of each kind of memory up to max(32,
        2 * CPUs) pages per CPU, 8 MiB on 32 CPUs and 512 MiB on 256 (docs/kernels.md). Raise
        UnreadableError, MalformedError.
        """
        sizes = self._statm(pid)
        return None if sizes is None else sizes[0]

    def anonymous_bytes(self, pid: int) -> int | None:
        """Return the resident anonymous memory of a process; None: it has vanished.

        Fields 2 and 3 of statm: what is resident, less files and shared memory; as exact as
        `resident_bytes`. What a process shares with its forks is in each of them. Raise
        UnreadableError, MalformedError.
        """
        sizes = self._statm(pid)
        return None if sizes is None else max(0, sizes[0] - sizes[1])

    def _statm(self, pid: int) -> tuple[int, int] | None:
        """Return what is resident, and the files and shared memory of that."""
        text = self._read(f"{pid}/statm")
        if text is None:
            return None
        pages = text.split()[1:3]
        if len(pages) < 2 or not all(map(_COUNT.fullmatch, pages)):
            raise self._malformed(f"{pid}/statm", text)
        return int(pages[0]) * self.page_bytes, int(pages[1]) * self.page_bytes

    def is_alive(self, process: Process) -> bool:
        """Say whether this very process, not a later one with its pid, is there for certain."""
        try:
            return self.process(process.pid) == process
        except AgentError:
            # Whom nobody can identify is no target, until the next look.
            return False

    def comm(self, pid: int) -> str | None:
        """Return the command name of a process; None when it has vanished."""
        text = self._read(f"{pid}/comm")
        return None if text is None else text.decode(errors="replace").rstrip("\n")

    def memory(self, zone_high_bytes: int) -> MemoryReading:
        """Return the node's memory as /proc/meminfo says now, with the zones' watermarks given."""
        kib = self._meminfo()
        return MemoryReading(
            capacity_bytes=(kib["MemTotal"] - kib["Hugetlb"]) * _KIB,
            free_bytes=kib["MemFree"] * _KIB,
            available_bytes=kib["MemAvailable"] * _KIB,
            swap_total_bytes=kib["SwapTotal"] * _KIB,
            zone_high_bytes=zone_high_bytes,
            page_bytes=self.page_bytes,
            swap_free_bytes=kib["SwapFree"] * _KIB if "SwapFree" in kib else None,
            huge_bytes=kib["Hugetlb"] * _KIB,
        )

    def zone_high_bytes(self) -> int:
        """Return the sum of the `high` watermarks of all zones, as /proc/zoneinfo says now.

        A line `high N` right below `pages free` is the watermark; `high: N` below `pagesets` is
        the length of a per-CPU list.
        """
        pages = sum(
            int(fields[1])
            for fields in map(bytes.split, self._must_read("zoneinfo").splitlines())
            if len(fields) == 2 and fields[0] == b"high" and _COUNT.fullmatch(fields[1])
        )
        return pages * self.page_bytes

    def _meminfo(self) -> dict[str, int]:
        text = self._must_read("meminfo")
        # Without CONFIG_HUGETLB_PAGE there is no such line, and no huge page.
        kib = {"Hugetlb": 0}
        for line in text.decode(errors="replace").splitlines():
            name, _, rest = line.partition(":")
            if name in _MEMINFO or name in _MEMINFO_IF_THERE:
                value = "".join(rest.split()[:1]).encode()
                if not _COUNT.fullmatch(value):
                    raise self._malformed("meminfo", line.encode())
                kib[name] = int(value)
        missing = [name for name in _MEMINFO if name not in kib]
        if missing:
            raise self._malformed("meminfo", f"without {', '.join(missing)}".encode())
        if kib["MemTotal"] <= kib["Hugetlb"]:
            raise self._malformed("meminfo", b"MemTotal is all huge pages, or nothing")
        return kib

    def _malformed(self, path: str, text: bytes) -> MalformedError:
        return MalformedError(f"{self._root}/{path}", text.decode(errors="replace"))

    def _must_read(self, path: str) -> bytes:
        """Read a file of many records; read(2) of such a file may end before the file does."""
        parts: list[bytes] = []
        try:
            descriptor = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                while part := os.read(descriptor, _READ_BYTES):
                    parts.append(part)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise UnreadableError(f"{self._root}/{path}", error) from error
        return b"".join(parts)

    def _read(self, path: str) -> bytes | None:
        """Read a file of one record, which a single read(2) returns whole; None: no such process.

        os.open and os.read take two thirds of the time a file object takes, and this runs for
        every process of the node.
        """
        path = f"{self._root}/{path}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.read(descriptor, _READ_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise UnreadableError(path, error) from error
