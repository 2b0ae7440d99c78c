"""Writes down what the kernel says, in the machine: a line of JSON per sample.

usage: recorder.py OUTPUT INTERVAL_S NAME=CGROUP...

A sample is taken at once, every INTERVAL_S, and at each SIGUSR1, until SIGTERM. Counts are as the
kernel has them, since boot or since the cgroup was made; sizes are bytes, times seconds. Of a
cgroup that is gone there is nothing in a sample.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MEMINFO: Final = {
    "MemTotal": "total_bytes",
    "MemFree": "free_bytes",
    "MemAvailable": "available_bytes",
    "Inactive(file)": "inactive_file_bytes",
    "SwapTotal": "swap_total_bytes",
    "SwapFree": "swap_free_bytes",
}
VMSTAT: Final = {
    "pswpin": "swapped_in_pages",
    "pswpout": "swapped_out_pages",
    "pgmajfault": "major_faults",
    "pgscan_direct": "direct_scanned_pages",
}
MEMORY_STAT: Final = {
    "anon": "anon_bytes",
    "anon_thp": "huge_bytes",
    "swapcached": "swap_cached_bytes",
    "file": "file_bytes",
    "inactive_file": "inactive_file_bytes",
    "active_file": "active_file_bytes",
    "pgmajfault": "major_faults",
    "workingset_refault_anon": "refaults_anon",
    "workingset_refault_file": "refaults_file",
}
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
THREADS: Final = ("kdamond", "kswapd")


def sizes(text: str) -> dict[str, int]:
    """Return what is of interest of /proc/meminfo, in bytes."""
    found = (line.replace(":", "").split() for line in text.splitlines())
    return {MEMINFO[words[0]]: int(words[1]) * 1024 for words in found if words[0] in MEMINFO}


def counts(text: str, names: Mapping[str, str]) -> dict[str, int]:
    """Return what is of interest of a file of NAME NUMBER lines, by the names it has here."""
    found = (line.split() for line in text.splitlines())
    return {names[name]: int(number) for name, number in found if name in names}


def pressure_s(text: str) -> dict[str, float]:
    """Return for how long some and all tasks have waited for memory."""
    found = (line.split() for line in text.splitlines())
    return {
        f"pressure_{words[0]}_s": int(words[-1].removeprefix("total=")) / 1e6 for words in found
    }


def cpu_s(stat: str) -> float:
    """Return the CPU time of a process or kernel thread, from its /proc/PID/stat."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def cgroup(directory: Path) -> dict[str, float] | None:
    """Return what a cgroup says; None if it is gone."""
    try:
        swap = directory / "memory.swap.current"
        events = counts((directory / "memory.events").read_text(), {"oom_kill": "oom_kills"})
        usage = counts((directory / "cpu.stat").read_text(), {"usage_usec": "usec"})
        return {
            "memory_bytes": int((directory / "memory.current").read_text()),
            "swap_bytes": int(swap.read_text()) if swap.exists() else 0,
            **counts((directory / "memory.stat").read_text(), MEMORY_STAT),
            **pressure_s((directory / "memory.pressure").read_text()),
            **events,
            "cpu_s": usage["usec"] / 1e6,
        }
    except OSError:
        return None


def threads(proc: Path) -> dict[str, float]:
    """Return the CPU time of the kernel's threads of interest, by NAME:PID."""
    found = {}
    for entry in proc.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        name = stat.partition("(")[2].rpartition(")")[0]
        if name.startswith(THREADS):
            found[f"{name}:{entry.name}"] = cpu_s(stat)
    return found


def sample(cgroups: Mapping[str, Path], proc: Path = Path("/proc")) -> dict[str, object]:
    """Return a sample of now."""
    at_s = time.monotonic()
    pods = {name: cgroup(directory) for name, directory in cgroups.items()}
    return {
        "at_s": round(at_s, 3),
        "memory": sizes((proc / "meminfo").read_text()),
        "node": {
            **counts((proc / "vmstat").read_text(), VMSTAT),
            **pressure_s((proc / "pressure/memory").read_text()),
        },
        "threads_cpu_s": threads(proc),
        "pods": {name: told for name, told in pods.items() if told is not None},
    }


def main() -> None:
    """Take samples until told to end."""
    output, interval_s = Path(sys.argv[1]), float(sys.argv[2])
    cgroups = {name: Path(path) for name, _, path in (word.partition("=") for word in sys.argv[3:])}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    due_s = time.monotonic()
    with output.open("w", buffering=1) as file:
        while True:
            print(json.dumps(sample(cgroups)), file=file)
            while due_s <= time.monotonic():
                due_s += interval_s
            left_s = max(0.0, due_s - time.monotonic())
            told = signal.sigtimedwait({signal.SIGUSR1, signal.SIGTERM}, left_s)
            if told is not None and told.si_signo == signal.SIGTERM:
                break


if __name__ == "__main__":
    main()
