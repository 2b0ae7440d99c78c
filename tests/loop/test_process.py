"""damon-agent as a process: its command line, its start, its end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_objects import planned_node
from waiting import wait_for

from damon_agent import __main__ as program
from damon_agent import settings
from damon_agent.kernel.tree.errors import RealSysfs

A = "a1" * 32
NODE = "worker-1"


def agent(*arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in {"KUBECONFIG", "DAMON_ROOT"}}
    return subprocess.run(
        [sys.executable, "-m", "damon_agent", *map(str, arguments)],
        env={**clean, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ([], "--node-name"),
        (["--node-name", "n"], "--state-dir"),
        (["--node-name", "n", "--state-dir", "s"], "--damon-root"),
    ],
)
def test_what_is_missing_on_the_command_line_is_named(arguments, missing, capsys):
    with pytest.raises(SystemExit) as raised:
        settings.parse(arguments, {})
    assert raised.value.code == 2
    assert missing in capsys.readouterr().err


def test_a_class_without_slots_is_refused(capsys):
    with pytest.raises(SystemExit):
        settings.parse(
            ["--node-name", "n", "--state-dir", "s", "--native-slots-per-class", "0"], {}
        )
    assert "at least 1" in capsys.readouterr().err


def test_the_environment_says_what_the_command_line_does_not():
    environment = {"NODE_NAME": "n", "STATE_DIR": "/s", "DAMON_ROOT": "/d", "CGROUP_ROOT": "/c"}
    read = settings.parse(["--damon-root", "/other"], environment)
    assert (read.node_name, read.damon_root, read.cgroup_root) == ("n", Path("/other"), Path("/c"))
    assert read.module_root == Path("/sys/module")


def test_there_is_no_default_that_could_reach_a_machines_own_damon():
    environment = {"NODE_NAME": "n", "STATE_DIR": "/s"}
    assert settings.parse([], environment, with_files=True).damon_root is None


def test_outside_the_hosts_pid_namespace_it_refuses_to_start(tmp_path):
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "comm").write_text("bash\n")
    arguments = ["--node-name", "n", "--state-dir", tmp_path, "--damon-root", tmp_path]
    ran = agent(*arguments, "--proc-root", tmp_path)
    assert ran.returncode == 1
    assert "hostPID" in ran.stderr
    ran = agent(*arguments, "--proc-root", tmp_path, "--nested-pid-namespace")
    assert "hostPID" not in ran.stderr
    assert "credentials" in ran.stderr


def test_with_a_kubeconfig_it_refuses_a_real_sysfs(machine, kubeconfig, tmp_path):
    ran = agent(
        *("--node-name", NODE, "--state-dir", tmp_path / "state", "--proc-root", machine.proc),
        *("--damon-root", "/sys/kernel", "--kubeconfig", kubeconfig),
    )
    assert ran.returncode == 1
    assert "real sysfs" in ran.stderr


def test_it_tunes_reports_and_leaves_the_kernel_as_it_is_when_told_to_stop(
    machine, pod, api, kubeconfig, tmp_path
):
    machine.start(10, machine.container(A))
    api.call(api.server.cluster.create, planned_node(pod(1, A)))
    command = [sys.executable, "-m", "damon_mock"]
    command += machine.arguments(tmp_path / "damon", kubeconfig)

    def ready(reason):
        found = api.call(api.server.cluster.get, "damonnodes", NODE)
        conditions = found.get("status", {}).get("conditions", ())
        return any(c["type"] == "Ready" and c["reason"] == reason for c in conditions)

    with (
        machine.served(tmp_path / "damon") as emulator,
        subprocess.Popen(
            [*map(str, command), "--log-format", "json"], stderr=subprocess.PIPE, text=True
        ) as running,
    ):
        wait_for(lambda: ready("Applied"))
        machine.set_memory(swap_kib=0)
        wait_for(lambda: ready("NoSwap"))
        machine.set_memory()
        wait_for(lambda: ready("Applied"))
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
        logged = [json.loads(line) for line in running.stderr.read().splitlines()]
    assert [(line["level"], line["msg"]) for line in logged] == [
        ("info", "started"),
        ("info", "plan taken"),
        ("info", "lanes are in the kernel"),
        ("warning", "held back"),
        ("info", "no longer held back"),
        ("info", "stopped; the kdamonds only watch until an agent is back"),
    ]
    told = {key: value for line in logged for key, value in line.items()}
    assert (told["node"], told["driver"], told["mode"], told["pods"]) == (
        *(NODE, "lanes", "Enforce", 1),
    )
    assert told["lanes"] == "50:600"
    assert told["reason"] == "NoSwap"
    assert sum(kdamond.running for kdamond in emulator.kdamonds) == 1
    written = {(w.resource, w.subresource) for w in api.server.journal.writes()}
    assert written == {("damonnodes", "status"), ("leases", "")}


@pytest.mark.parametrize(
    ("arguments", "in_pod"),
    [
        pytest.param([], True, id="mounted by Kubernetes"),
        pytest.param(["--service-account", "made-by-hand"], False, id="named by hand"),
        pytest.param(["--kubeconfig", "config"], False, id="kubeconfig"),
    ],
)
def test_only_credentials_mounted_into_a_pod_open_a_real_sysfs(arguments, in_pod):
    needed = ["--node-name", NODE, "--damon-root", "damon", "--state-dir", "state"]
    assert settings.parse([*needed, *arguments], {}).in_pod is in_pod


@pytest.mark.parametrize("said", ["by argument", "by environment"])
def test_the_modules_of_a_real_machine_are_written_to_by_a_pod_only(tmp_path, said):
    arguments = ["--node-name", NODE, "--state-dir", "state", "--module-root", "/sys/module"]
    arguments += ["--damon-root", str(tmp_path), "--kubeconfig", "config"]
    asked = ["--disable-damon-stat"] if said == "by argument" else []
    environment = {} if asked else {"DISABLE_DAMON_STAT": "true"}
    assert program._directories(settings.parse(arguments, {}))
    told = settings.parse([*arguments, *asked], environment)
    assert told.disable_damon_stat
    with pytest.raises(RealSysfs):
        program._directories(told)
