"""The machine as a node: containerd, the agent's image, and its truth as the kernel tells it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests_kernel.waiting import until
from vm.machine import TOKEN, Running

# In the machine only; no test runs where this would be anybody's own kernel.
DAMON: Final = "/sys/kernel/mm/damon"
IMAGE: Final = "/run/agent-image"
ROOTFS: Final = f"{IMAGE}/rootfs"
PROGRAMS: Final = "/opt/tests"
PAGE_BYTES: Final = 4096

_MAPPING: Final = re.compile(r"^([0-9a-f]+)-[0-9a-f]+ ")


@dataclass(frozen=True, slots=True)
class Part:
    """How much of one part of a process's memory is where, in bytes."""

    size: int
    resident: int
    swapped: int


@dataclass(frozen=True, slots=True)
class Kdamond:
    """What the files of one kdamond say."""

    state: str
    pid: int
    targets: tuple[int, ...]
    actions: tuple[str, ...]


class Node:
    """One machine; what it says is read from /proc, /sys and the cgroups."""

    def __init__(self, guest: Running) -> None:
        self.guest = guest
        assert TOKEN in guest.read("/proc/cmdline").split(), "not a kernel made to be written"
        guest.mount("agent", IMAGE)
        self._containerd = guest.spawn("containerd", output="/run/containerd.log")
        until("containerd answers", self._containerd_answers)

    def _containerd_answers(self) -> bool:
        return self.guest.run("ctr", "version", check=False).rc == 0

    # -- memory ------------------------------------------------------------------------------

    def meminfo(self) -> dict[str, int]:
        """Return /proc/meminfo in bytes."""
        lines = (line.split() for line in self.guest.read("/proc/meminfo").splitlines())
        return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines if len(line) == 3}

    def available_permille(self) -> int:
        """Return how much of the memory is available."""
        facts = self.meminfo()
        return facts["MemAvailable"] * 1000 // facts["MemTotal"]

    def status(self, pid: int) -> dict[str, int]:
        """Return the sizes of /proc/PID/status, VmRSS and VmSwap among them, in bytes."""
        lines = (line.split() for line in self.guest.read(f"/proc/{pid}/status").splitlines())
        return {
            line[0].rstrip(":"): int(line[1]) * 1024
            for line in lines
            if len(line) == 3 and line[2] == "kB"
        }

    def major_faults(self, pid: int) -> int:
        """Return how often a process waited for a page of its own."""
        return int(self.guest.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[9])

    def uptime_s(self) -> float:
        """Return the machine's own time: an emulated one may be slower than ours."""
        return float(self.guest.read("/proc/uptime").split()[0])

    def parts(self, pid: int, addresses: Mapping[str, tuple[int, int]]) -> dict[str, Part]:
        """Return where the parts of a process's memory are."""
        mappings: dict[int, dict[str, int]] = {}
        for line in self.guest.read(f"/proc/{pid}/smaps").splitlines():
            if found := _MAPPING.match(line):
                current = mappings.setdefault(int(found[1], 16), {})
            elif line.endswith(" kB"):
                key, value, _ = line.split()
                current[key.rstrip(":")] = int(value) * 1024
        return {
            name: Part(mappings[start]["Size"], mappings[start]["Rss"], mappings[start]["Swap"])
            for name, (start, _) in addresses.items()
        }

    @contextmanager
    def squeeze(self, mib: int) -> Iterator[None]:
        """Take so much memory away from everybody for the time of the block."""
        self.guest.run("rm", "-f", "/run/hog")
        pid = self.guest.spawn("python3", f"{PROGRAMS}/hog.py", "/run/hog", str(mib))
        try:
            until(f"{mib} MiB are taken", lambda: self.exists("/run/hog"))
            yield
        finally:
            self.guest.kill(pid, 9)
            self.guest.wait(pid)

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file."""
        return self.guest.exists(path)

    # -- DAMON -------------------------------------------------------------------------------

    def nr_kdamonds(self) -> int:
        """Return how many kdamonds there are."""
        return int(self.guest.read(f"{DAMON}/admin/kdamonds/nr_kdamonds"))

    def kdamonds(self) -> list[Kdamond]:
        """Return what the files of every kdamond say."""
        base = f"{DAMON}/admin/kdamonds"
        names = f"{base}/*/state {base}/*/pid {base}/*/contexts/0/targets/*/pid_target"
        names += f" {base}/*/contexts/0/schemes/*/action"
        # grep goes on where there is nothing; a file that is locked now is read again.
        said = until(
            "no file of DAMON is locked",
            lambda: self._unlocked(f"grep -H . {names} 2>&1 || true"),
        )
        found: dict[int, dict[str, str]] = {}
        for line in said.splitlines():
            path, _, value = line.partition(":")
            if not path.startswith(base) or "*" in path:
                continue
            number, _, rest = path.removeprefix(f"{base}/").partition("/")
            found.setdefault(int(number), {})[rest] = value
        return [_kdamond(found[number]) for number in sorted(found)]

    def _unlocked(self, script: str) -> str:
        said = self.guest.shell(script)
        return "" if "busy" in said else said + "\n"

    def targets(self) -> list[int]:
        """Return the target processes of all kdamonds that run, tombstones left out."""
        return sorted(
            pid
            for kdamond in self.kdamonds()
            if kdamond.state == "on"
            for pid in kdamond.targets
            if pid != 2
        )

    def until_target(self, pid: int) -> None:
        """Wait until a process is a target."""
        until(f"{pid} is a target", lambda: pid in self.targets())

    def is_alive(self, pid: int) -> bool:
        """Tell whether there is a process."""
        return self.guest.exists(f"/proc/{pid}")


def _kdamond(files: Mapping[str, str]) -> Kdamond:
    def of(prefix: str, suffix: str) -> list[str]:
        found = {
            int(name.removeprefix(prefix).split("/")[0]): value
            for name, value in files.items()
            if name.startswith(prefix) and name.endswith(suffix)
        }
        return [found[index] for index in sorted(found)]

    return Kdamond(
        state=files["state"],
        pid=int(files["pid"]),
        targets=tuple(int(pid) for pid in of("contexts/0/targets/", "/pid_target")),
        actions=tuple(of("contexts/0/schemes/", "/action")),
    )
