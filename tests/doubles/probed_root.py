"""A directory that looks like a node's root to the probe: /proc and /sys as files."""

from pathlib import Path

ID = "0123456789abcdef" * 4
KDAMONDS = "sys/kernel/mm/damon/admin/kdamonds"
FINE = {
    "proc/sys/kernel/osrelease": "6.12.117+deb12-amd64\n",
    "proc/meminfo": (
        "MemTotal:       16384000 kB\nSwapTotal:       2097152 kB\nSwapFree:        1048576 kB\n"
        "Hugetlb:               0 kB\n"
    ),
    "proc/swaps": "Filename\tType\tSize\tUsed\n/dev/zram0 partition 2097152 1048576\n",
    "proc/self/smaps": "0-1 r-xp 0\nKernelPageSize:        4 kB\nKernelPageSize: 8 kB\n",
    "proc/kallsyms": "0000 T _stext\n0000 t damon_va_initcall\n0000 t damon_va_x [m]\n0 t y\n",
    "proc/1/comm": "systemd\n",
    "proc/99/comm": "sh\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
    "sys/fs/cgroup/memory.reclaim": "",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/kernel/mm/lru_gen/enabled": "0x0007\n",
    "sys/module/zswap/parameters/enabled": "N\n",
    "sys/module/damon_reclaim/parameters/enabled": "N\n",
    "sys/block/zram0/mm_stat": " 4096 74 12288 0 12288 0 0 0 0\n",
    f"{KDAMONDS}/nr_kdamonds": "0\n",
}
"""A node on which nothing prevents tuning."""


def container(uid: str, knob: str, name: str = "cri-containerd") -> str:
    """Return the path of a container's knob in the cgroup tree."""
    pod = f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice"
    return f"sys/fs/cgroup/{pod}/{name}-{ID}.scope/{knob}"


def make(root: Path, **more: str | None) -> Path:
    """Write the files of a fine node with changes; None leaves a file out."""
    cgroups = {
        container("a", "memory.swap.max"): "max\n",
        container("a", "memory.high"): "max\n",
    }
    for path, text in {**FINE, **cgroups, **more}.items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return root
