"""An agent's metrics as Prometheus gets them: over HTTP, from the whole program."""

import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
from cluster_objects import planned_node
from prometheus_client.parser import text_string_to_metric_families
from waiting import wait_for

from damon_agent import settings

NODE = "worker-1"
CONTAINERS = ("a1" * 32, "b2" * 32)
PROGRAM = """
import sys
from damon_mock.__main__ import main
code = main(sys.argv[1:])
print("prometheus_client" in sys.modules)
sys.exit(code)
"""


@pytest.fixture(name="port")
def port_fixture():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(name="running")
def running_fixture(machine, pod, api, kubeconfig, tmp_path):
    """Return what runs an agent whose plan is in the kernel; it yields it and its status."""

    def status():
        return api.call(api.server.cluster.get, "damonnodes", NODE).get("status", {})

    def is_ready():
        said = {c["type"]: c["status"] for c in status().get("conditions", ())}
        return said.get("Ready") == "True"

    @contextmanager
    def run(*arguments):
        for pid, container in enumerate(CONTAINERS, 10):
            machine.start(pid, machine.container(container))
        pods = (pod(1, CONTAINERS[0], priority=30), pod(2, CONTAINERS[1], priority=90))
        api.call(api.server.cluster.create, planned_node(*pods))
        command = [*machine.arguments(tmp_path / "damon", kubeconfig), *arguments]
        with (
            machine.served(tmp_path / "damon"),
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *map(str, command)],
                stdout=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            try:
                wait_for(is_ready)
                yield process, status
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)

    return run


def scrape(port: int) -> dict[str, float]:
    """Return the samples; labels are part of the name, by the alphabet."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        text = response.read().decode()
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_told_is_what_the_status_says(running, port, listening):
    with running("--metrics-port", port) as (process, status):
        wait_for(lambda: scrape(port)["damon_agent_status_writes_total accepted"])
        told = scrape(port)
        said = status()
        with socket.create_connection(("127.0.0.1", port)) as silent:
            assert listening(process.pid) == {port}
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, "a client that says nothing keeps nobody from ending"
            silent.close()
        assert process.stdout.read().strip() == "True"
    assert told["damon_agent_targets"] == said["targets"] == 2
    assert told["damon_agent_pods 21-30 Ladder"] == told["damon_agent_pods 81-90 Protected"] == 1
    assert told["damon_agent_placed_pods"] == 2
    assert told["damon_agent_condition Ready"] == 1
    assert told["damon_agent_condition_reason Applied Ready"] == 1
    for lane in said["lanes"]:
        targets = told[f"damon_agent_kdamond_targets {lane['kdamond']}"]
        assert targets == lane["targets"] == 1
    (marked,) = [lane for lane in said["lanes"] if "markPermille" in lane]
    assert told["damon_agent_mark_ratio 21-30 Ladder"] * 1000 == marked["markPermille"]
    assert told["damon_agent_commands_total on accepted"] == 2
    assert told["damon_agent_tick_seconds_count"] >= 1
    assert 0 <= told["damon_agent_plan_age_seconds"] < told["damon_agent_plan_max_age_seconds"]


def test_without_a_port_there_is_no_socket_and_no_import(running, listening):
    with running() as (process, _):
        assert listening(process.pid) == set()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stdout.read().strip() == "False"


@pytest.mark.parametrize(
    ("arguments", "environment", "port"),
    [
        ([], {}, 0),
        ([], {"METRICS_PORT": "9000"}, 9000),
        (["--metrics-port", "9001"], {"METRICS_PORT": "9000"}, 9001),
        (["--metrics-port", "0"], {"METRICS_PORT": "9000"}, 0),
    ],
)
def test_the_port_is_a_setting_and_off_by_default(arguments, environment, port):
    needed = ["--node-name", "n", "--damon-root", "d", "--state-dir", "s"]
    assert settings.parse([*needed, *arguments], environment).metrics_port == port


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_what_is_no_port_is_refused(port, capsys):
    needed = ["--node-name", "n", "--damon-root", "d", "--state-dir", "s"]
    with pytest.raises(SystemExit):
        settings.parse([*needed, "--metrics-port", port], {})
    assert "argument --metrics-port" in capsys.readouterr().err
