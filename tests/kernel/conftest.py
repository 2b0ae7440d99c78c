"""A node for the driver `lanes`: the emulator, processes, memory, and a state directory."""

from pathlib import Path

import pytest
from emulated_node import EmulatedNode
from state_disk import StateDisk

from damon_agent.facts import Process
from damon_agent.kernel.lanes.driver import LanesDriver
from damon_agent.kernel.ownership.record import StateDirectory


class Node(EmulatedNode):
    """One emulated machine with one agent's driver."""

    def __init__(self, profile: str, state_dir: Path, **changes) -> None:
        super().__init__(profile, state_dir, **changes)
        self.stops_damon_stat = False
        self.restart()

    def make_driver(self, state: StateDirectory) -> LanesDriver:
        return LanesDriver(
            self.damon,
            self.module,
            commands=self.commands,
            state=state,
            alive=self.is_alive,
            spent_us=self.spent_us,
            stops_damon_stat=self.stops_damon_stat,
        )

    def targeted(self) -> set[Process]:
        return {p for held in self.kernel_targets().values() for p in held if p is not None}

    def lane_of(self, process: Process) -> int:
        (found,) = [k for k, held in self.kernel_targets().items() if process in held]
        return found


@pytest.fixture
def node_of(tmp_path):
    """Return a node of a profile; each call another machine."""
    made = iter(range(1000))

    def of(profile: str, **changes) -> Node:
        return Node(profile, tmp_path / f"state-{next(made)}", **changes)

    return of


@pytest.fixture(params=["6.12", "7.2"])
def node(request, node_of) -> Node:
    return node_of(request.param)


@pytest.fixture
def disk(monkeypatch) -> StateDisk:
    return StateDisk(monkeypatch)
