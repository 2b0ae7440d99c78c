"""A real tree of files as a place of play: that of a kernel in a guest, or of a mounted mock."""

import os
import platform
import re
import time
from pathlib import Path

from . import guard
from .children import Inhabitant, Process, with_pid
from .machine import Done, MachineError, Writing
from .opened import Check, OpenedTree
from .squeezing import Gauge, KernelMemory, Squeezing


class TreeMachine:
    """The machine this runs on. RealKernelError where its DAMON is not to be touched.

    root: the directory that holds `admin`. modules: as /sys/module; None if there is none. gauge:
    the file in which a mock looks up how much memory is free. fresh: nobody has used DAMON since
    the boot, so that one case with `fresh boot` may be played. check: tells whose tree it is.
    """

    def __init__(
        self,
        root: Path,
        modules: Path | None = None,
        *,
        gauge: Path | None = None,
        fresh: bool = False,
        check: Check = guard.check,
    ) -> None:
        self._modules: OpenedTree | None = None
        self._tree = OpenedTree(root / "admin" / "kdamonds", check)
        try:
            self._modules = None if modules is None else OpenedTree(modules, check)
        except BaseException:
            self.close()
            raise
        self.real = self._tree.real
        self.kernel = platform.release() if self.real else "a mock"
        self._fresh = fresh
        self._memory: Squeezing = KernelMemory() if gauge is None else Gauge(gauge)
        self.capabilities = self._capabilities()
        self._processes: dict[str, Process] = {}
        self._inhabitants: dict[str, Inhabitant] = {}
        self._namespaces: dict[str, Process] = {}

    def _capabilities(self) -> frozenset[str]:
        found = set() if self._modules is None else {"modules"}
        if isinstance(self._memory, Gauge):
            found.add("squeeze")
        if self.real:
            found |= {"memory", "pid_reuse", "sessions", "squeeze"}
            if hasattr(os, "unshare"):
                found.add("namespaces")
            if self._memory.has_swap():
                found.add("swap")
        return frozenset(found)

    def read(self, path: str) -> bytes:
        """See `Machine`."""
        tree, below = self._placed(path)
        return tree.read(below)

    def entries(self, path: str) -> list[str]:
        """See `Machine`."""
        tree, below = self._placed(path)
        return tree.entries(below)

    def mode(self, path: str) -> int | None:
        """See `Machine`."""
        tree, below = self._placed(path)
        return tree.mode(below)

    def begin(self, path: str, data: bytes, namespace: str | None = None) -> Writing:
        """See `Machine`."""
        tree, below = self._placed(path)
        if namespace is None:
            return tree.begin(below, data)
        question = f"write {tree.descriptor} {below} {data.hex()}"
        return Done(self._namespaces[namespace].ask(question))

    def sleep(self, us: int) -> None:
        """See `Machine`."""
        time.sleep(us / 1_000_000)

    def now_us(self) -> int:
        """See `Machine`."""
        return time.monotonic_ns() // 1000

    def free_permille(self) -> int:
        """See `Machine`."""
        return self._memory.free_permille()

    def squeeze(self, permille: int) -> None:
        """See `Machine`."""
        self._memory.squeeze(permille)

    def release(self) -> None:
        """See `Machine`."""
        self._memory.release()

    def start(self, name: str, namespace: str | None, pid: int | None) -> dict[str, int]:
        """See `Machine`."""
        if namespace is not None:
            inhabitant = Inhabitant(self._namespaces[namespace])
            self._inhabitants[name] = inhabitant
            return {"pid": inhabitant.pid, "inner": inhabitant.inner}
        process = Process() if pid is None else with_pid(pid)
        self._processes[name] = process
        process.ask("touch 0 once")  # it runs, and its memory is as it will be
        return {"pid": process.pid}

    def end(self, name: str, how: str) -> None:
        """See `Machine`."""
        if name in self._inhabitants:
            self._inhabitants.pop(name).kill()
            return
        process = self._processes[name]
        if how in {"exit", "kill"}:
            process.exit()
        if how in {"reap", "kill"}:
            process.reap()
        if how == "abandon":
            process.abandon()

    def touch(self, name: str, size_bytes: int, *, steadily: bool) -> None:
        """See `Machine`."""
        self._processes[name].ask(f"touch {size_bytes} {'steadily' if steadily else 'once'}")

    def swapped_mib(self, name: str) -> int:
        """See `Machine`."""
        status = Path(f"/proc/{self._processes[name].pid}/status").read_text("utf-8")
        found = re.search(r"^VmSwap:\s+(\d+) kB$", status, re.MULTILINE)
        return 0 if found is None else int(found[1]) // 1024

    def make_namespace(self, name: str) -> None:
        """See `Machine`."""
        if not self.real:
            raise MachineError("a mock does not see namespaces")
        self._namespaces[name] = Process("alone", keep=(self._tree.descriptor,))

    def boot(self) -> bool:
        """See `Machine`. Only a boot that nobody has used yet."""
        fresh, self._fresh = self._fresh, False
        return fresh

    def panic_on_oops(self, *, on: bool) -> None:
        """See `Machine`. A real kernel is never crashed, and a mount cannot be told."""
        raise MachineError(f"panic_on_oops {int(on)}: only for the emulator itself")

    def clear(self) -> None:
        """See `Machine`."""
        for process in (*self._processes.values(), *self._namespaces.values()):
            process.close()
        self._processes.clear()
        self._inhabitants.clear()
        self._namespaces.clear()
        self.release()

    def close(self) -> None:
        """Let go of the directories."""
        for tree in (self._tree, self._modules):
            if tree is not None:
                tree.close()

    def _placed(self, path: str) -> tuple[OpenedTree, str]:
        head, _, rest = path.partition("/")
        if head != "module":
            return self._tree, path
        if self._modules is None:
            raise FileNotFoundError(path)
        return self._modules, rest
