"""The emulated memory.reclaim of a node, and what the cgroups of its pods hold."""

import errno
import shutil
from pathlib import Path

from damon_mock.nodes.cgroup_memory import CgroupMemory
from damon_mock.nodes.reclaim import Held

MIB = 1 << 20
CACHE = Held(anon_bytes=64 * MIB, file_bytes=80 * MIB, hot_file_bytes=20 * MIB)


class Kernel:
    """The emulated file, with what was written to it, and the error that the next writes meet."""

    def __init__(self, root, **options):
        self.memory = CgroupMemory(root / "cgroup", **options)
        self.written = []
        self.error = None
        self.lacks = None
        """A word: such memory is not found."""
        self._ending = {}

    def ends(self, home, number):
        """Let a cgroup be removed while it is written next, which then fails in this way."""
        self._ending[home] = number

    def write(self, directory, text):
        self.written.append((Path(directory).name, text))
        if (number := self._ending.pop(Path(directory), None)) is not None:
            shutil.rmtree(directory)
            raise OSError(number, "it has ended")
        if self.error is not None:
            raise OSError(self.error, "as the test wants it")
        if self.lacks and text.endswith(self.lacks) and not text.startswith("0 "):
            raise OSError(errno.EAGAIN, "there is less")
        self.memory.write(directory, text)

    @property
    def asked(self):
        """Return what was written for more than nothing."""
        return [text for _, text in self.written if not text.startswith("0 ")]


def populated(machine, kernel, *containers, held=CACHE):
    homes = []
    for pid, container in enumerate(containers, 10):
        home = machine.container(container)
        kernel.memory.hold(home, held)
        machine.start(pid, home)
        homes.append(home)
    return homes


def figure(home, name):
    lines = (home / "memory.stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == name)


def swapped_in(home, refaults):
    """Let anonymous pages of a pod have come back from swap."""
    text = (home / "memory.stat").read_text()
    before = f"workingset_refault_anon {figure(home, 'workingset_refault_anon')}\n"
    (home / "memory.stat").write_text(text.replace(before, f"workingset_refault_anon {refaults}\n"))
