"""A node's /proc and cgroup tree as plain files."""

from pathlib import Path

import pytest

from damon_agent.node.hierarchy import Hierarchy
from damon_agent.node.procfs import Procfs
from damon_agent.node.resolver import Resolver

OWN_PID = 4242


class Node:
    """Directories that say what a node's /proc and /sys/fs/cgroup would say."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.cgroup = root / "cgroup"
        self.proc.mkdir()
        self.cgroup.mkdir()
        (self.cgroup / "cgroup.procs").touch()

    def container(
        self, container: str, *, name: str = "cri-containerd-{}.scope", swap_max: str = "max"
    ) -> Path:
        directory = self.cgroup / "kubepods.slice/kubepods-pod7.slice" / name.format(container)
        directory.mkdir(parents=True)
        (directory / "cgroup.procs").touch()
        (directory / "memory.swap.max").write_text(f"{swap_max}\n")
        return directory

    def start(self, pid: int, directory: Path, *, start_ticks: int = 100, state: str = "S") -> None:
        self.appear(pid, f"/{directory.relative_to(self.cgroup)}", start_ticks, state)
        with (directory / "cgroup.procs").open("a") as procs:
            procs.write(f"{pid}\n")

    def appear(self, pid: int, cgroup: str, start_ticks: int = 100, state: str = "S") -> None:
        """Put a process into /proc alone."""
        entry = self.proc / str(pid)
        entry.mkdir(exist_ok=True)
        middle = " ".join("0" for _ in range(18))
        (entry / "stat").write_text(f"{pid} (a (b) c) {state} {middle} {start_ticks} 0\n")
        (entry / "cgroup").write_text(f"0::{cgroup}\n")
        (entry / "comm").write_text("a (b) c\n")

    def exit(self, pid: int) -> None:
        for procs in self.cgroup.rglob("cgroup.procs"):
            procs.write_text("".join(f"{n}\n" for n in procs.read_text().split() if n != str(pid)))
        for name in ("stat", "cgroup", "comm"):
            (self.proc / str(pid) / name).unlink()
        (self.proc / str(pid)).rmdir()

    def remove(self, directory: Path) -> None:
        for entry in directory.iterdir():
            entry.unlink()
        directory.rmdir()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture(params=["cgroup tree", "proc only"])
def resolver(request: pytest.FixtureRequest, node: Node) -> Resolver:
    """The resolver in both of its ways; they must give the same answers."""
    hierarchy = Hierarchy(node.cgroup) if request.param == "cgroup tree" else None
    return Resolver(Procfs(node.proc), hierarchy, own_pid=OWN_PID)
