"""The memory files of cgroups in plain directories, and `memory.reclaim`, which changes them.

A plain file can't answer a write, so whoever wants the kernel's answers calls `write`. Unlike the
kernel it adds nothing up: what is taken from a pod's cgroup is not taken from its containers'.
"""

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from damon_mock.damon.parse import failure
from damon_mock.nodes import reclaim
from damon_mock.nodes.files import replace
from damon_mock.nodes.reclaim import Held


class CgroupMemory:
    """What the cgroups below a directory hold; safe for threads.

    has_swap: whether the node has any left. takes_swappiness: whether the kernel knows that word
    of memory.reclaim, as it does from Linux 6.9 on. takes_max: whether it knows `swappiness=max`,
    as it does from Linux 6.16 on.
    """

    def __init__(
        self,
        root: Path,
        *,
        has_swap: Callable[[], bool] = lambda: True,
        takes_swappiness: bool = True,
        takes_max: bool = True,
    ) -> None:
        self.lock = threading.Lock()
        """Held while files change: whoever removes directories takes it."""
        self._root = root
        self._has_swap = has_swap
        self._takes_swappiness = takes_swappiness
        self._takes_max = takes_max
        self._held: dict[Path, Held] = {}

    def hold(self, cgroup: Path, held: Held) -> None:
        """Let a cgroup hold this and nothing else; nothing has come back to it yet."""
        with self.lock:
            self._held[cgroup] = held
            _write_stat(cgroup, held.stat())
            resident_bytes = held.anon_bytes + held.file_bytes + held.left_bytes
            replace(cgroup / "memory.current", f"{resident_bytes}\n")
            replace(cgroup / "memory.swap.current", f"{held.left_bytes}\n")

    def forget(self, cgroup: Path) -> None:
        """Forget a cgroup that is gone."""
        self._held.pop(cgroup, None)

    def write(self, directory: str, text: str) -> None:
        """Do what a write to memory.reclaim of a cgroup does; memory.stat says what it holds.

        Raise OSError: EAGAIN when less was there to be taken, which is gone then; EINVAL for what
        the kernel can't read; ENOENT without such a cgroup.
        """
        request = reclaim.parse(
            text, takes_swappiness=self._takes_swappiness, takes_max=self._takes_max
        )
        cgroup = Path(directory)
        with self.lock:
            stat = _read_stat(cgroup)
            held = self._held.get(cgroup, Held())
            taken = reclaim.take(stat, held, request, may_swap=self._may_swap(cgroup))
            _write_stat(cgroup, taken.stat)
            swapped_bytes = stat["anon"] - taken.stat["anon"]
            _add(cgroup / "memory.swap.current", swapped_bytes)
            held_before, held_now = (_resident(each) for each in (stat, taken.stat))
            _add(cgroup / "memory.current", held_now - held_before)
        if taken.size_bytes < request.size_bytes:
            raise failure(errno.EAGAIN)

    def _may_swap(self, cgroup: Path) -> bool:
        """Say whether the node has swap and no cgroup at, above or below this one forbids it."""
        above = [each for each in cgroup.parents if each.is_relative_to(self._root)]
        limits = [each / "memory.swap.max" for each in (cgroup, *above)]
        limits += cgroup.glob("*/**/memory.swap.max")
        return self._has_swap() and all(
            limit.read_text() != "0\n" for limit in limits if limit.exists()
        )


def answer(memory: CgroupMemory, question: dict[str, Any]) -> dict[str, Any]:
    """Answer a write of damon_mock.damon.remote.SocketFiles to a path of a memory.reclaim."""
    directory, _, _ = f"/{question['path']}".rpartition("/")
    try:
        memory.write(directory, str(question["data"]))
    except OSError as error:
        return {"errno": error.errno}
    return {}


def _resident(stat: dict[str, int]) -> int:
    return sum(stat.get(name, 0) for name in ("anon", "file", "swapcached"))


def _read_stat(cgroup: Path) -> dict[str, int]:
    lines = (cgroup / "memory.stat").read_text().splitlines()
    return {name: int(value) for name, value in map(str.split, lines)}


def _write_stat(cgroup: Path, stat: dict[str, int]) -> None:
    replace(cgroup / "memory.stat", "".join(f"{name} {value}\n" for name, value in stat.items()))


def _add(file: Path, size_bytes: int) -> None:
    if size_bytes and file.exists():
        replace(file, f"{int(file.read_text()) + size_bytes}\n")
