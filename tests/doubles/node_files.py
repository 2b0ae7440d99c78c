"""A node's /proc and cgroup tree as plain files."""

from pathlib import Path

OWN_PID = 4242
RESIDENT_PAGES = 80 * 256
"""As much as the emulator finds in a process: 64 MiB cold, 16 MiB hot."""


class NodeFiles:
    """Directories that say what a node's /proc and /sys/fs/cgroup would say."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.cgroup = root / "cgroup"
        self.proc.mkdir(parents=True)
        self.cgroup.mkdir()
        (self.cgroup / "cgroup.procs").touch()

    def container(
        self, container: str, *, name: str = "cri-containerd-{}.scope", swap_max: str = "max"
    ) -> Path:
        directory = self.cgroup / "kubepods.slice/kubepods-pod7.slice" / name.format(container)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "cgroup.procs").touch()
        (directory / "memory.swap.max").write_text(f"{swap_max}\n")
        return directory

    def start(self, pid: int, directory: Path, *, start_ticks: int = 100, state: str = "S") -> None:
        self.appear(pid, f"/{directory.relative_to(self.cgroup)}", start_ticks, state)
        with (directory / "cgroup.procs").open("a") as procs:
            procs.write(f"{pid}\n")

    def appear(
        self,
        pid: int,
        cgroup: str,
        start_ticks: int = 100,
        state: str = "S",
        comm: str = "a (b) c",
    ) -> None:
        """Put a process into /proc alone."""
        entry = self.proc / str(pid)
        entry.mkdir(exist_ok=True)
        middle = " ".join("0" for _ in range(18))
        (entry / "stat").write_text(f"{pid} ({comm}) {state} {middle} {start_ticks} 0\n")
        (entry / "cgroup").write_text(f"0::{cgroup}\n")
        (entry / "comm").write_text(f"{comm}\n")
        (entry / "statm").write_text(f"99999 {RESIDENT_PAGES} 0 0 0 0 0\n")

    def exit(self, pid: int) -> None:
        for procs in self.cgroup.rglob("cgroup.procs"):
            procs.write_text("".join(f"{n}\n" for n in procs.read_text().split() if n != str(pid)))
        self.remove(self.proc / str(pid))

    @staticmethod
    def remove(directory: Path) -> None:
        for entry in directory.iterdir():
            entry.unlink()
        directory.rmdir()
