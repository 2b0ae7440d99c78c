"""Prints as JSON what the kernel of a node shows: memory, containers, and what stands in DAMON.

Runs in the virtual machine, and reads only. Standard library only. usage: look.py DAMON_ADMIN
"""

import errno
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

CGROUPS = Path("/sys/fs/cgroup/kubepods")
_CONTAINER = re.compile(r"[0-9a-f]{64}$")
_KINDS = {"dc": "cold", "dd": "hot"}
"""What victim.py advises for its mappings, as VmFlags show it."""


def main() -> None:
    """Look once."""
    admin = Path(sys.argv[1])
    seen = {
        "boot": _read(Path("/proc/sys/kernel/random/boot_id")),
        "memory": _kib_lines(Path("/proc/meminfo").read_text()),
        "containers": {p.name: _container(p) for p in CGROUPS.rglob("*") if _is_container(p)},
        "nr_kdamonds": int(_read(admin / "kdamonds/nr_kdamonds")),
        "kdamonds": [_kdamond(p) for p in _numbered(admin / "kdamonds")],
        "threads": _threads(),
    }
    print(json.dumps(seen))  # noqa: T201 - that is what it is for


def _is_container(path: Path) -> bool:
    return path.is_dir() and _CONTAINER.match(path.name) is not None


def _container(path: Path) -> dict[str, Any]:
    swap_max = _read(path / "memory.swap.max")
    pids = [int(pid) for pid in _read(path / "cgroup.procs").split()]
    return {
        "pids": pids,
        "swap_max_bytes": None if swap_max == "max" else int(swap_max),
        "swap_bytes": int(_read(path / "memory.swap.current")),
        "major_faults": (stat := _stat(path / "memory.stat"))["pgmajfault"],
        "file_bytes": stat["file"],
        "areas": _areas(pids),
    }


def _stat(path: Path) -> dict[str, int]:
    """Return the counters of a cgroup's memory.stat."""
    return {name: int(count) for name, count in map(str.split, _read(path).splitlines())}


def _areas(pids: list[int]) -> dict[str, dict[str, int]]:
    """Return how much of each kind of a victim's memory is resident, and how much in swap."""
    found: dict[str, dict[str, int]] = {}
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Every mapping ends with its flags.
        for mapping, flags in re.findall(r"((?:.*\n)*?)VmFlags: (.*)\n", text):
            words = set(flags.split())
            for flag in words & set(_KINDS) if "wr" in words else ():
                sizes = _kib_lines(mapping)
                area = found.setdefault(_KINDS[flag], {"resident_bytes": 0, "swap_bytes": 0})
                area["resident_bytes"] += sizes["Rss"]
                area["swap_bytes"] += sizes["Swap"]
    return found


def _kdamond(path: Path) -> dict[str, Any]:
    context = path / "contexts/0"
    return {
        "state": _patient(path / "state"),
        "pid": int(_patient(path / "pid")),
        "targets": [int(_read(p / "pid_target")) for p in _numbered(context / "targets")],
        "actions": [_read(p / "action") for p in _numbered(context / "schemes")],
    }


def _threads() -> list[int]:
    """Return the pids of the kernel's threads named kdamond.N."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().startswith("kdamond."):
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _numbered(directory: Path) -> list[Path]:
    """Return the children of a directory of DAMON; none of one that was not made yet."""
    if not directory.is_dir():
        return []
    return sorted((p for p in directory.iterdir() if p.name.isdecimal()), key=lambda p: int(p.name))


def _patient(path: Path) -> str:
    """Read a file that is busy as long as another of DAMON is being written."""
    for _ in range(100):
        try:
            return _read(path)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            time.sleep(0.1)
    return _read(path)


def _kib_lines(text: str) -> dict[str, int]:
    """Return the bytes of lines such as `MemTotal:  1234 kB`."""
    return {
        name: int(kib) << 10 for name, kib in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)
    }


def _read(path: Path) -> str:
    return path.read_text().strip()


if __name__ == "__main__":
    main()
