"""The strongest simple rival: asks the kernel for a share of each cgroup, again and again.

usage: reclaim_loop.py OUTPUT INTERVAL_S SHARE PRESSURE_PERCENT CGROUP...

A cgroup whose tasks waited for memory for PRESSURE_PERCENT of the last ten seconds or more (some
avg10) is left alone. Ends by SIGTERM; after each round OUTPUT is one line of JSON: what was asked
for in bytes, how often a cgroup was spared, CPU seconds of this process, its reclaim included.
"""

import json
import sys
import time
from pathlib import Path


def pressure_percent(text: str) -> float:
    """Return some avg10 of a memory.pressure file."""
    some = text.split("\n", 1)[0].split()
    return float(some[1].removeprefix("avg10="))


def main() -> None:
    """Go round until told to end."""
    output = Path(sys.argv[1])
    interval_s, share, limit_percent = map(float, sys.argv[2:5])
    cgroups = [Path(word) for word in sys.argv[5:]]
    asked_bytes = spared = 0
    due_s = time.monotonic()
    while True:
        told = {"asked_bytes": asked_bytes, "spared": spared, "cpu_s": time.process_time()}
        new = output.with_suffix(".new")
        new.write_text(json.dumps(told))
        new.rename(output)
        due_s += interval_s
        time.sleep(max(0.0, due_s - time.monotonic()))
        for cgroup in cgroups:
            if pressure_percent((cgroup / "memory.pressure").read_text()) >= limit_percent:
                spared += 1
                continue
            wanted_bytes = int(int((cgroup / "memory.current").read_text()) * share)
            asked_bytes += wanted_bytes
            try:
                (cgroup / "memory.reclaim").write_text(str(wanted_bytes))
            except BlockingIOError:
                continue  # the kernel has found less than was asked for


if __name__ == "__main__":
    main()
