"""The one reader of /proc. The root is a value; a process that vanished is a normal answer.

Formats: proc_pid_stat(5), proc_pid_cgroup(5), proc_meminfo(5), proc_zoneinfo(5).
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from damon_agent.errors import MalformedError, UnreadableError
from damon_agent.facts import MemoryReading, Process

_GONE: Final = frozenset({errno.ENOENT, errno.ESRCH})
_KIB: Final = 1024
_READ_BYTES: Final = 65536
_STATE_FIELD: Final = 0
_START_FIELD: Final = 19
"""Fields 3 (state) and 22 (start time) of stat, counted behind the closing parenthesis."""
_USER_FIELD: Final = 11
_SYSTEM_FIELD: Final = 12
"""Fields 14 and 15: clock ticks of CPU time, in user mode and in the kernel."""
_DEAD_STATES: Final = (b"Z", b"X", b"x")
"""A zombie has no memory left: DAMON has nothing to watch in it."""


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

    def cgroup_texts(self) -> Iterator[tuple[int, bytes]]:
        """Yield pid and text of /proc/<pid>/cgroup of every process that is still there."""
        for pid in self.pids():
            text = self.cgroup_text(pid)
            if text is not None:
                yield pid, text

    def cgroup_text(self, pid: int) -> bytes | None:
        """Return the text of /proc/<pid>/cgroup; None when the process has vanished."""
        return self._read(f"{pid}/cgroup")

    def process(self, pid: int) -> Process | None:
        """Return a process with its identity; None when it has vanished or is a zombie."""
        text = self._read(f"{pid}/stat")
        if text is None:
            return None
        # comm stands in parentheses and may itself hold spaces and parentheses.
        fields = text[text.rfind(b")") + 1 :].split(None, _START_FIELD + 1)
        try:
            if fields[_STATE_FIELD] in _DEAD_STATES:
                return None
            return Process(pid, int(fields[_START_FIELD]))
        except (IndexError, ValueError) as error:
            raise MalformedError(
                f"{self._root}/{pid}/stat", text.decode(errors="replace")
            ) from error

    def spent_us(self, pid: int) -> int | None:
        """Return the CPU time that a process or kernel thread has used; None: it has vanished."""
        text = self._read(f"{pid}/stat")
        if text is None:
            return None
        fields = text[text.rfind(b")") + 1 :].split(None, _START_FIELD + 1)
        try:
            ticks = int(fields[_USER_FIELD]) + int(fields[_SYSTEM_FIELD])
        except (IndexError, ValueError) as error:
            raise MalformedError(
                f"{self._root}/{pid}/stat", text.decode(errors="replace")
            ) from error
        return ticks * 1_000_000 // self._ticks_per_s

    def resident_bytes(self, pid: int) -> int | None:
        """Return the resident memory of a process, shared pages included; None: it has vanished.

        Field 2 of statm (proc_pid_statm(5)), which is off by a few pages per CPU.
        """
        text = self._read(f"{pid}/statm")
        if text is None:
            return None
        try:
            return int(text.split()[1]) * self.page_bytes
        except (IndexError, ValueError) as error:
            raise MalformedError(
                f"{self._root}/{pid}/statm", text.decode(errors="replace")
            ) from error

    def is_alive(self, process: Process) -> bool:
        """Say whether this very process, not a later one with its pid, is there."""
        return self.process(process.pid) == process

    def comm(self, pid: int) -> str | None:
        """Return the command name of a process; None when it has vanished."""
        text = self._read(f"{pid}/comm")
        return None if text is None else text.decode(errors="replace").rstrip("\n")

    def memory(self, zone_high_bytes: int) -> MemoryReading:
        """Return the node's memory as /proc/meminfo says now, with the zones' watermarks given."""
        kib = self._meminfo()
        return MemoryReading(
            capacity_bytes=kib["MemTotal"] * _KIB,
            free_bytes=kib["MemFree"] * _KIB,
            available_bytes=kib["MemAvailable"] * _KIB,
            swap_total_bytes=kib["SwapTotal"] * _KIB,
            zone_high_bytes=zone_high_bytes,
            page_bytes=self.page_bytes,
        )

    def zone_high_bytes(self) -> int:
        """Return the sum of the `high` watermarks of all zones, as /proc/zoneinfo says now.

        A line `high N` right below `pages free` is the watermark; `high: N` below `pagesets` is
        the length of a per-CPU list.
        """
        pages = sum(
            int(fields[1])
            for fields in map(bytes.split, self._must_read("zoneinfo").splitlines())
            if len(fields) == 2 and fields[0] == b"high" and fields[1].isdigit()
        )
        return pages * self.page_bytes

    def _meminfo(self) -> dict[str, int]:
        kib: dict[str, int] = {}
        wanted = {b"MemTotal", b"MemFree", b"MemAvailable", b"SwapTotal"}
        for line in self._must_read("meminfo").splitlines():
            name, _, rest = line.partition(b":")
            if name in wanted:
                try:
                    kib[name.decode()] = int(rest.split()[0])
                except (IndexError, ValueError) as error:
                    raise MalformedError(f"{self._root}/meminfo", line.decode()) from error
        missing = {name.decode() for name in wanted} - kib.keys()
        if missing or not kib["MemTotal"]:
            raise MalformedError(f"{self._root}/meminfo", f"without {', '.join(sorted(missing))}")
        return kib

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
