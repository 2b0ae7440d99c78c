"""An agent that is killed, told by the operator, and an agent that comes back: real processes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from damon_contract import names
from damon_mock.damon.emulator import Emulator
from damon_mock.damon.files import RealtimeFiles, SharedEmulator, Ticker
from damon_mock.damon.processes import HostProcesses
from damon_mock.damon.remote import answer
from damon_mock.damon.wire import Server
from damon_mock.kube.threads import ApiThread

CRDS = Path(__file__).parents[2] / "crds"
A = "a1" * 32
NODE = "worker-1"
AGENT = """
import sys
from damon_agent.plans import heartbeat
heartbeat.RENEW_US = 500_000
from damon_mock.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""The agent, forty times as fast to renew its Lease as on a node."""
OPERATOR = """
import sys
from dataclasses import replace
from damon_operator import __main__ as program
parse = program.parse
def quick(arguments):
    settings = parse(arguments)
    return replace(settings, tempo=replace(settings.tempo, look_s=0.5, silent_looks=4))
program.parse = quick
sys.exit(program.main(sys.argv[1:]))
"""
"""The operator, looking at it twenty times as often."""


@pytest.fixture
def api():
    with ApiThread() as thread:
        cluster = thread.server.cluster
        thread.call(cluster.install, CRDS)
        thread.call(
            cluster.create, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        )
        kind = {"apiVersion": names.API_VERSION, "kind": names.TUNING_KIND}
        thread.call(cluster.create, {**kind, "metadata": {"name": "all"}, "spec": {}})
        yield thread


@contextmanager
def process(*command, log):
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            stderr=output,
            env={k: v for k, v in os.environ.items() if k not in {"KUBECONFIG", "POD_NAMESPACE"}},
        ) as running,
    ):
        try:
            yield running
        finally:
            running.kill()


def wait_for(holds, *logs):
    """Wait as long as it takes on a busy machine; then show what the processes said."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, [p.read_text()[-2000:] for p in logs if p.exists()]
        time.sleep(0.05)


def ready(api, plural, name):
    found = api.call(api.server.cluster.find, plural, name) or {}
    listed = found.get("status", {}).get("conditions", ())
    return next(((c["status"], c["reason"]) for c in listed if c["type"] == "Ready"), None)


def test_a_killed_agent_reads_unknown_and_one_that_is_back_reads_true(api, machine, tmp_path):
    machine.close()
    machine.start(10, machine.container(A))
    emulator = Emulator("7.2", HostProcesses(machine.proc))
    socket = tmp_path / "damon"
    kubeconfig = api.call(api.server.write_kubeconfig, tmp_path / "kubeconfig")
    agent = ["-c", AGENT, "agent", "--socket", socket, "--", "--node-name", NODE]
    agent += ["--state-dir", tmp_path / "state", "--kubeconfig", kubeconfig]
    agent += ["--proc-root", machine.proc, "--cgroup-root", machine.cgroup]
    operator = ["-c", OPERATOR, "--kubeconfig", kubeconfig, "--liveness-port", "0"]
    both = [("damonnodes", NODE), ("damontunings", "all")]
    logs = [tmp_path / "operator", tmp_path / "agent", tmp_path / "again"]

    def read(wanted):
        wait_for(lambda: [ready(api, *each) for each in both] == [wanted] * 2, *logs)

    with Ticker(SharedEmulator(emulator)) as ticker:
        files = RealtimeFiles(ticker)
        with (
            Server(socket, lambda question: answer(files, question)),
            process(*operator, log=logs[0]),
        ):
            with process(*agent, log=logs[1]) as killed:
                read(("True", "Applied"))
                killed.send_signal(signal.SIGKILL)
                read(("Unknown", "AgentSilent"))
            with process(*agent, log=logs[2]) as hung:
                read(("True", "Applied"))
                hung.send_signal(signal.SIGSTOP)
                read(("Unknown", "AgentSilent"))
                hung.send_signal(signal.SIGCONT)
                read(("True", "Applied"))
        ticker.shared.close()
