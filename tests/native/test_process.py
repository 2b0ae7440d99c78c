"""damon-agent --driver native as a process, on a mount of the emulator, through the API.

The emulated kdamond is a thread in the node's /proc, as on a real node.
"""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster_objects import planned_node, planned_pod
from waiting import wait_for

from damon_mock.damon import (
    Emulator,
    HostProcesses,
    MeminfoMemory,
    SharedEmulator,
    Ticker,
    fuse,
)
from damon_mock.nodes.memory import GIB, Memory
from damon_mock.nodes.runtime import PretendedRuntime
from damon_mock.nodes.views import CgroupView, ProcView

NODE = "worker-1"
CONTAINER = "c1" * 32
CGROUP = f"/kubepods.slice/cri-containerd-{CONTAINER}.scope"
PID = 10_000_001
KDAMOND = "damon/admin/kdamonds/0"


class Machine:
    """A node's /proc and cgroups, and its emulated kernel."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proc = ProcView(root / "proc", boot_id="this-boot")
        self.set_free(1 * GIB)
        self.cgroups = CgroupView(root / "cgroup")
        self.cgroups.add(CGROUP, swap_max="max")
        self.proc.show(PID, CGROUP, PretendedRuntime())
        self.cgroups.fill(CGROUP, [PID])
        processes = HostProcesses(self.proc.root, shows_threads=True)
        self.emulator = Emulator("rfc", processes, MeminfoMemory(self.proc.root / "meminfo"))

    def set_free(self, free_bytes: int) -> None:
        Memory(free_bytes=free_bytes).write(self.proc.root)

    def kdamond(self) -> int:
        return self.emulator.kdamonds[0].pid

    def targeted(self) -> set[int]:
        context = self.emulator.kdamonds[0].context if self.emulator.kdamonds else None
        found = () if context is None else context.targets
        return {target.process.pid for target in found} - {2}


@pytest.fixture
def machine(tmp_path):
    if (missing := fuse.missing()) is not None:
        pytest.skip(missing)
    machine = Machine(tmp_path)
    (tmp_path / "sys").mkdir()
    with (
        Ticker(SharedEmulator(machine.emulator)) as ticker,
        fuse.Mount(ticker, tmp_path / "sys"),
    ):
        yield machine


@pytest.fixture(name="planned")
def planned_fixture(api):
    api.call(api.server.cluster.create, planned_node(planned_pod(1, CONTAINER, priority=40)))
    return api


@contextmanager
def agent(machine, kubeconfig):
    command = [sys.executable, "-m", "damon_agent", "--node-name", NODE]
    command += ["--driver", "native", "--native-slots-per-class", "1"]
    command += ["--damon-root", machine.root / "sys/damon"]
    command += ["--module-root", machine.root / "sys/module"]
    command += ["--proc-root", machine.proc.root, "--cgroup-root", machine.cgroups.root]
    command += ["--state-dir", machine.root / "state", "--kubeconfig", kubeconfig]
    environment = {k: v for k, v in os.environ.items() if k not in {"KUBECONFIG", "DAMON_ROOT"}}
    with subprocess.Popen([str(part) for part in command], env=environment) as running:
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0


def reasons(api) -> set[str]:
    found = api.call(api.server.cluster.get, "damonnodes", NODE)
    conditions = found.get("status", {}).get("conditions", ())
    return {f"{c['type']}={c['status']} {c['reason']}" for c in conditions}


def is_ready(api) -> bool:
    return any(reason.startswith("Ready=True") for reason in reasons(api))


@pytest.mark.fuse
def test_it_refuses_arms_adopts_and_stops_at_a_crash(machine, planned, kubeconfig):
    with agent(machine, kubeconfig):
        wait_for(lambda: "Ready=False NativeRefused" in reasons(planned))
        machine.set_free(8 * GIB)
        wait_for(lambda: is_ready(planned) and machine.targeted() == {PID})
    kdamond = machine.kdamond()
    assert (machine.proc.root / str(kdamond) / "comm").read_text() == "kdamond.0\n"
    assert machine.emulator.kdamonds[0].running
    with agent(machine, kubeconfig):
        wait_for(lambda: [w.value for w in machine.emulator.log].count("commit") > 1)
        assert machine.kdamond() == kdamond
        machine.emulator.processes.thread_ended(kdamond)
        machine.proc.hide(PID)
        machine.cgroups.fill(CGROUP, [])
        wait_for(lambda: "Ready=False NeedsReboot" in reasons(planned))
    keywords = [w.value for w in machine.emulator.log if w.path == f"{KDAMOND}/state"]
    assert (keywords.count("on"), keywords.count("off")) == (1, 0)
    assert machine.emulator.panicked is None
