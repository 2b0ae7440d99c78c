"""An agent that is killed, told by the operator, and an agent that comes back: real processes."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import cluster_objects
import pytest
from waiting import wait_for

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
def planned(api):
    api.call(api.server.cluster.create, cluster_objects.node(NODE))
    api.call(api.server.cluster.create, cluster_objects.tuning("all"))
    return api


@contextmanager
def process(*command):
    """Run a program; what it logs is shown with a test that has failed."""
    with subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={k: v for k, v in os.environ.items() if k not in {"KUBECONFIG", "POD_NAMESPACE"}},
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def ready(api, plural, name):
    found = api.call(api.server.cluster.find, plural, name) or {}
    listed = found.get("status", {}).get("conditions", ())
    return next(((c["status"], c["reason"]) for c in listed if c["type"] == "Ready"), None)


def test_a_killed_agent_reads_unknown_and_one_that_is_back_reads_true(
    planned, kubeconfig, machine, tmp_path
):
    machine.start(10, machine.container(A))
    agent = ["-c", AGENT, *machine.arguments(tmp_path / "damon", kubeconfig)]
    operator = ["-c", OPERATOR, "--kubeconfig", kubeconfig, "--liveness-port", "0"]
    both = [("damonnodes", NODE), ("damontunings", "all")]

    def read(wanted):
        wait_for(lambda: [ready(planned, *each) for each in both] == [wanted] * 2)

    with machine.served(tmp_path / "damon"), process(*operator):
        with process(*agent) as killed:
            read(("True", "Applied"))
            killed.send_signal(signal.SIGKILL)
            read(("Unknown", "AgentSilent"))
        with process(*agent) as hung:
            read(("True", "Applied"))
            hung.send_signal(signal.SIGSTOP)
            read(("Unknown", "AgentSilent"))
            hung.send_signal(signal.SIGCONT)
            read(("True", "Applied"))
