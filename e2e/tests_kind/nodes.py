"""The nodes from outside: their processes by their own /proc, and the mock DAMON beside each."""

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.command import run

from damon_mock.damon.control import Control
from damon_mock.demo import observation
from damon_mock.demo.expectation import Meter
from damon_mock.demo.observation import Observation

_CONTAINER: Final = re.compile(r"(?:cri-containerd-|crio-|/)([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_ZONE_HIGH: Final = re.compile(r"^ +high +(\d+)$", re.MULTILINE)


@dataclass
class Node:
    """One node of the cluster: a container of this machine, and the mock that plays its kernel."""

    name: str
    mount: Path
    """The mock's tree, as the node sees it too."""
    proc: Path
    """The /proc of the node: its numbers are the ones the agent writes."""
    control: Control

    def dump(self, **since: int) -> Mapping[str, Any]:
        """Return everything the mock holds."""
        return self.control.do("dump", **since)

    def observe(self) -> Observation:
        """Return what the mock's kernel copy and its files show."""
        nothing = {"since_write": sys.maxsize, "since_event": sys.maxsize}
        return observation.read({"nr_writes": 0, **self.dump(**nothing)})

    def writes(self) -> int:
        """Return how many writes there were so far; `stat` commands read, and are left out."""
        return sum(
            not str(record["value"]).startswith(("update_", "clear_"))
            for record in self.dump()["writes"]
        )

    def processes(self) -> dict[str, frozenset[int]]:
        """Return container id -> pids, of every container that runs on the node now."""
        found: defaultdict[str, set[int]] = defaultdict(set)
        for directory in self.proc.iterdir():
            if not directory.name.isdecimal():
                continue
            try:
                text = (directory / "cgroup").read_text("utf-8")
                state = (directory / "stat").read_text("utf-8").rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            ids = set(_CONTAINER.findall(text.replace("\n", "/")))
            # A node is a container of this machine itself: the innermost id is the pod's.
            if ids and state not in "ZX":
                found[_innermost(text)].add(int(directory.name))
        return {identity: frozenset(pids) for identity, pids in found.items()}

    def meter(self, node: Mapping[str, Any], *, free: bool = True) -> Meter:
        """Return the node's memory; `free`: as metric FreeMemory sees it."""
        facts = {
            line.split(":")[0]: int(line.split()[1]) * 1024
            for line in (self.proc / "meminfo").read_text().splitlines()
        }
        status = node["status"]
        pages = sum(map(int, _ZONE_HIGH.findall((self.proc / "zoneinfo").read_text())))
        return Meter(
            total=facts["MemTotal"],
            free=facts["MemFree"],
            available=facts["MemFree"] if free else facts["MemAvailable"],
            reserved=_bytes(status["capacity"]["memory"]) - _bytes(status["allocatable"]["memory"]),
            zone_high=pages * os.sysconf("SC_PAGE_SIZE"),
        )

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a shell command in the node; return what it prints."""
        return run([_engine(), "exec", self.name, "sh", "-c", command], check=check)

    def write(self, path: str, text: str) -> None:
        """Write a file in the node, all at once."""
        run(
            [
                _engine(),
                "exec",
                "-i",
                self.name,
                "sh",
                "-c",
                'cat > "$0.new" && mv "$0.new" "$0"',
                path,
            ],
            given=text,
        )


def from_environment() -> dict[str, Node]:
    """Return the nodes that `DAMON_MOCKS` tells of."""
    mocks = json.loads(Path(os.environ["DAMON_MOCKS"]).read_text("utf-8"))
    return {
        name: Node(
            name=name,
            mount=Path(paths["mount"]),
            proc=Path(paths["proc"]),
            control=Control(Path(paths["control"])),
        )
        for name, paths in sorted(mocks.items())
    }


def _engine() -> str:
    return os.environ["KIND_ENGINE"]


def _innermost(text: str) -> str:
    # NB: every controller of cgroup v1 has a line of its own, all with the same containers.
    longest = max(text.splitlines(), key=lambda line: len(_CONTAINER.findall(line)))
    return str(_CONTAINER.findall(longest)[-1])


def _bytes(quantity: str) -> int:
    if quantity.endswith("Ki"):
        return int(quantity[:-2]) * 1024
    if quantity.endswith("Mi"):
        return int(quantity[:-2]) * 1024**2
    return int(quantity)
