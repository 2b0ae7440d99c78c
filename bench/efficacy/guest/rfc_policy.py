"""The policy of the RFC "target_priority" (damon list, December 2025), set up from user space.

usage: rfc_policy.py OUTPUT KDAMONDS PRIORITY:PID...

One scheme for each process: it pages out what was not accessed for 120 aggregations of 100 ms, at
most 10 ms and 128 MiB in a second, while less memory is free than the mark of its priority. Marks
are computed once, as the RFC does: from free memory at that moment, which the least important
process gets, down to 100 per mille for the most important one. Its arithmetic is unsigned: with
less than 100 per mille free every mark but the lowest is beyond everything, and never switches off.

Its numbers are the other way round than a pod's priority: the largest is paged out first.
KDAMONDS is the directory that has them in DAMON's sysfs. OUTPUT is one line of JSON: free memory
and the marks in per mille. It ends by SIGTERM, and its kdamond with it. It writes the kernel's
DAMON, so it runs in a machine made for that and nowhere else.
"""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

MADE_TO_BE_WRITTEN: Final = "damon_mock.guest"
"""On the command line of a kernel in a virtual machine of the kernel tier (e2e/vm)."""
CONTEXT: Final = "0/contexts/0"
LOWEST_PERMILLE: Final = 100
AGGREGATION_US: Final = 100_000
COLD_AGGREGATIONS: Final = 120
MIB: Final = 1 << 20
ULONG: Final = 1 << 64
SCHEME: Final = {
    "action": "pageout",
    "access_pattern/sz/min": 4096,
    "access_pattern/sz/max": ULONG - 1,
    "access_pattern/age/min": COLD_AGGREGATIONS,
    "access_pattern/age/max": (1 << 32) - 1,
    "quotas/ms": 10,
    "quotas/bytes": 128 * MIB,
    "quotas/reset_interval_ms": 1000,
    "quotas/weights/age_permil": 1,
    "watermarks/metric": "free_mem_rate",
    "watermarks/interval_us": 5_000_000,
    "watermarks/low": 0,
}


def number(priority: int) -> int:
    """Return the RFC's number of a pod's priority."""
    return 101 - priority


def mark(priority: int, priorities: Sequence[int], free_permille: int) -> int:
    """Return below how many per mille of free memory a process is reclaimed from."""
    numbers = [number(each) for each in priorities]
    share = (number(priority) - min(numbers)) * (free_permille - LOWEST_PERMILLE) % ULONG
    return share // (max(numbers) - min(numbers)) + LOWEST_PERMILLE


def files(pids: Sequence[int], marks: Sequence[int]) -> Iterator[tuple[str, object]]:
    """Yield what is written, in that order: a path below the kdamonds and its value."""
    yield "nr_kdamonds", 1
    yield "0/contexts/nr_contexts", 1
    yield f"{CONTEXT}/operations", "vaddr"
    yield f"{CONTEXT}/monitoring_attrs/intervals/aggr_us", AGGREGATION_US
    yield f"{CONTEXT}/targets/nr_targets", len(pids)
    yield f"{CONTEXT}/schemes/nr_schemes", len(pids)
    for index, (pid, permille) in enumerate(zip(pids, marks, strict=True)):
        yield f"{CONTEXT}/targets/{index}/pid_target", pid
        scheme = f"{CONTEXT}/schemes/{index}"
        for name, value in SCHEME.items():
            yield f"{scheme}/{name}", value
        yield f"{scheme}/watermarks/high", permille
        yield f"{scheme}/watermarks/mid", permille
        yield f"{scheme}/filters/nr_filters", 1
        # All that is not of this target is left out.
        yield f"{scheme}/filters/0/type", "target"
        yield f"{scheme}/filters/0/matching", "N"
        yield f"{scheme}/filters/0/damon_target_idx", index
    yield "0/state", "on"


def free_permille(meminfo: str) -> int:
    """Return how much is free, as DAMON's watermarks count it."""
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in meminfo.splitlines()}
    return sizes["MemFree"] * 1000 // sizes["MemTotal"]


def may_be_written(cmdline: str) -> bool:
    """Tell whether a kernel was made for this, by its command line."""
    return MADE_TO_BE_WRITTEN in cmdline.split()


def main() -> None:
    """Have the schemes work until told to end."""
    if not may_be_written(Path("/proc/cmdline").read_text()):
        sys.exit("this kernel is not made to be written")
    output, root = Path(sys.argv[1]), Path(sys.argv[2])
    pairs = [tuple(map(int, word.split(":"))) for word in sys.argv[3:]]
    priorities, pids = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    free = free_permille(Path("/proc/meminfo").read_text())
    marks = [mark(priority, priorities, free) for priority in priorities]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    for path, value in files(pids, marks):
        (root / path).write_text(str(value))
    output.write_text(json.dumps({"free_permille": free, "marks_permille": marks}))
    signal.sigwait({signal.SIGTERM})
    (root / "0/state").write_text("off")
    (root / "nr_kdamonds").write_text("0")


if __name__ == "__main__":
    main()
