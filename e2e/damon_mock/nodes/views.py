"""The files a node agent reads: proc/ and cgroup/ of one node, as plain directories."""

import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from damon_mock.damon.memory import Usage
from damon_mock.damon.processes import stat_text
from damon_mock.nodes.cgroup_memory import CgroupMemory
from damon_mock.nodes.files import replace
from damon_mock.nodes.reclaim import Held
from damon_mock.nodes.runtime import Runtime

_KTHREAD_FLAGS: Final = 0x0020_8040
"""PF_KTHREAD | PF_NOFREEZE | PF_FORKNOEXEC, as kthreadd has them."""

_PAGES: Final = (Usage().cold_bytes + Usage().hot_bytes) // 4096
"""What every process has resident: as much as the mock's kernel finds in it."""
_MEMORY_PRESSURE: Final = "".join(
    f"{who} avg10=0.00 avg60=0.00 avg300=0.00 total=0\n" for who in ("some", "full")
)
"""Of a cgroup that is well; a test writes others over them."""


class ProcView:
    """A /proc with the processes of one node."""

    def __init__(self, root: Path, *, boot_id: str) -> None:
        self.root = root
        self._shown: set[int] = set()
        (root / "sys/kernel/random").mkdir(parents=True)
        (root / "sys/kernel/random/boot_id").write_text(f"{boot_id}\n")
        self._kernel_process(1, "systemd", "/init.scope", flags=0)
        self._kernel_process(2, "kthreadd", "/", flags=_KTHREAD_FLAGS)

    def _kernel_process(self, pid: int, comm: str, cgroup: str, *, flags: int) -> None:
        entry = self.root / str(pid)
        entry.mkdir()
        (entry / "cgroup").write_text(f"0::{cgroup}\n")
        (entry / "comm").write_text(f"{comm}\n")
        (entry / "stat").write_text(stat_text(pid, comm, start_ticks=pid, flags=flags))

    @property
    def shown(self) -> frozenset[int]:
        """Return the pids that are shown, but for 1 and 2."""
        return frozenset(self._shown)

    def show(self, pid: int, cgroup: str, runtime: Runtime) -> None:
        """Let a process appear, whole at once; `cgroup` is its path from the root."""
        entry = self.root / f".{pid}.new"
        entry.mkdir()
        (entry / "cgroup").write_text(f"0::{cgroup}\n")
        runtime.describe(pid, entry)
        (entry / "statm").write_text(f"{2 * _PAGES} {_PAGES} 0 0 0 {_PAGES} 0\n")
        entry.rename(self.root / str(pid))
        self._shown.add(pid)

    def hide(self, pid: int) -> None:
        """Let it vanish, whole at once."""
        aside = self.root / f".{pid}.old"
        (self.root / str(pid)).rename(aside)
        shutil.rmtree(aside)
        self._shown.discard(pid)


class CgroupView:
    """A cgroup v2 tree. memory: what its cgroups hold; by default a tree of its own."""

    def __init__(self, root: Path, memory: CgroupMemory | None = None) -> None:
        self.root = root
        self.memory = memory or CgroupMemory(root)
        self._own: dict[Path, list[int]] = {}
        self._populated: dict[Path, int] = {}
        """Pids in a cgroup itself, and how many are in it with all below."""
        root.mkdir(parents=True)
        (root / "cgroup.procs").write_text("")
        (root / "cgroup.controllers").write_text("cpu memory pids\n")

    def add(self, cgroup: str, *, swap_max: str) -> None:
        """Make a cgroup, empty, and those above it."""
        directory = self._directory(cgroup)
        for missing in reversed(self._lineage(directory)):
            if not missing.exists():
                missing.mkdir()
                (missing / "memory.swap.max").write_text("max\n")
                (missing / "cgroup.events").write_text("populated 0\nfrozen 0\n")
                (missing / "cgroup.procs").write_text("")
                (missing / "memory.pressure").write_text(_MEMORY_PRESSURE)
                (missing / "memory.reclaim").touch(mode=0o200)
                self.memory.hold(missing, Held())
        (directory / "memory.swap.max").write_text(f"{swap_max}\n")

    def fill(self, cgroup: str, pids: Collection[int]) -> None:
        """Say who is in a cgroup; those above learn whether anybody is."""
        directory = self._directory(cgroup)
        before_pids = self._own.get(directory, [])
        stayed = [pid for pid in before_pids if pid in pids]
        came = sorted(set(pids) - set(stayed))
        _list(directory / "cgroup.procs", stayed, came, gone=len(stayed) < len(before_pids))
        change = len(pids) - len(before_pids)
        self._own[directory] = [*stayed, *came]
        for touched in self._lineage(directory):
            before = self._populated.get(touched, 0)
            self._populated[touched] = before + change
            if bool(before) != bool(before + change):
                _tell(touched / "cgroup.events", populated=bool(before + change))

    def remove(self, cgroup: str) -> None:
        """Remove a cgroup, and what above it is now empty, up to the root."""
        self.fill(cgroup, ())
        for directory in self._lineage(self._directory(cgroup)):
            if any(child.is_dir() for child in directory.iterdir()):
                return
            with self.memory.lock:
                shutil.rmtree(directory)
                self.memory.forget(directory)
            self._own.pop(directory, None)
            self._populated.pop(directory, None)

    def clear(self) -> None:
        """Remove all."""
        with self.memory.lock:
            for child in [child for child in self.root.iterdir() if child.is_dir()]:
                shutil.rmtree(child)
        self._own.clear()
        self._populated.clear()

    def _directory(self, cgroup: str) -> Path:
        return self.root / cgroup.lstrip("/")

    def _lineage(self, directory: Path) -> list[Path]:
        """Return a cgroup and those above it, nearest first, up to but without the root."""
        depth = len(directory.parts) - len(self.root.parts)
        return [directory, *directory.parents][:depth]


def _list(procs: Path, stayed: list[int], came: list[int], *, gone: bool) -> None:
    """Change a list of pids; no reader ever sees a part of it."""
    text = "".join(f"{pid}\n" for pid in came)
    if gone and (stayed or came):
        replace(procs, "".join(f"{pid}\n" for pid in stayed) + text)
    elif gone:
        os.truncate(procs, 0)
    elif came:
        with procs.open("a", encoding="utf-8") as file:
            file.write(text)


def _tell(events: Path, *, populated: bool) -> None:
    """Change the file in place, as the kernel does: those who watch it keep watching it."""
    descriptor = os.open(events, os.O_WRONLY)
    try:
        os.pwrite(descriptor, f"populated {int(populated)}\nfrozen 0\n".encode(), 0)
    finally:
        os.close(descriptor)
