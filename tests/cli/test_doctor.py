"""`kubectl damon doctor`, as a process against the embedded API; the probe runs on a directory."""

import signal
import subprocess

import cluster_objects as made
import probed_root
import pytest


@pytest.fixture(name="nodes")
def nodes_fixture(empty):
    """A node, and no damon-operator."""
    empty.create(made.node())
    return empty


def checks(told):
    (item,) = told.data["items"]
    return {each["check"]: each["state"] for each in item["findings"]}


def test_without_an_installation_it_says_how_the_node_itself_is_read(nodes):
    asked = nodes.ask("doctor")
    assert asked.code == 1, asked.err
    assert "-> `kubectl damon doctor --probe --node NODE` reads it on the node" in asked.out
    assert "n1: whether it can be tuned is not known" in asked.out
    assert "\x1b" not in asked.out


def test_with_an_agent_what_it_says_is_judged(shop):
    told = shop.ask("doctor", "--node", "n1", "-o", "json")
    found = checks(told)
    assert found["Damon"] == found["Holder"] == found["Agent"] == "ok"
    assert found["TransparentHugePages"] == "unknown"
    assert told.code == 1, "its kernel's release is in no object"


def test_a_node_that_is_served_without_damon_is_warned_of_and_does_not_fail(undamoned):
    found = checks(undamoned.ask("doctor", "--node", "n1", "-o", "json"))
    assert (found["Damon"], found["Agent"], found["MemoryReclaim"]) == ("warning", "warning", "ok")
    assert "problem" not in found.values()
    told = undamoned.ask("doctor", "--node", "n1").out
    assert "so it is; memory.reclaim serves page cache" in told
    assert "Damon, Agent\n  -> use a kernel with CONFIG_DAMON_SYSFS" in told


def test_of_all_nodes_it_says_what_it_says_of_one(shop):
    one = shop.ask("doctor", "--node", "n1", "-o", "json").data["items"]
    assert shop.ask("doctor", "-o", "json").data["items"] == one


def test_a_node_that_is_not_there_is_no_answer(nodes):
    asked = nodes.ask("doctor", "--node", "n2")
    assert asked.code == 3
    assert 'nodes "n2" not found' in asked.err


def test_without_the_right_to_read_pods_it_says_what_it_can(nodes):
    nodes.api.call(nodes.api.server.faults.fail_next, 1, 403, path="/pods")
    assert checks(nodes.ask("doctor", "--node", "n1", "-o", "json"))["Kernel"] == "unknown"


def test_of_many_nodes_it_sums_up_what_is_not_well(nodes):
    nodes.create(*(made.node(f"m{number}") for number in range(4)))
    told = nodes.ask("doctor").out
    assert "5       m0, m1, m2, ..." in told
    assert "5 nodes: whether it can be tuned is not known" in told


def probe(nodes, root, *arguments, then=lambda: None):
    """Start the command, run its pod's container on a directory, and return what it said."""
    changes = nodes.api.call(nodes.cluster.changes, "pods")
    command = ("doctor", "--probe", "--node", "n1", "-n", "default", *arguments)
    with nodes.start(*command) as running:
        pod = nodes.api.run(anext(changes)).after.body
        (container,) = pod["spec"]["containers"]
        *shell, host = container["command"]
        assert host == "/host"
        ran = subprocess.run([*shell, str(root)], capture_output=True, text=True, check=True)
        name = pod["metadata"]["name"]
        then()
        nodes.api.server.kubelets.logs["default", name, "probe"] = ran.stdout
        phase = {"status": {"phase": "Succeeded"}}
        nodes.api.call(nodes.cluster.patch, "pods", name, phase, subresource="status")
        out, err = running.communicate(timeout=60)
    assert "Traceback" not in err
    assert not nodes.api.call(nodes.cluster.list, "pods")
    return pod, running.returncode, out, err


def test_a_pod_reads_a_fine_node_and_goes(nodes, tmp_path):
    pod, code, out, err = probe(nodes, probed_root.make(tmp_path / "root"))
    assert "n1: nothing prevents tuning" in out
    assert code == 0
    assert "reading n1 by a pod in namespace default" in err
    assert pod["spec"]["nodeName"] == "n1"


def test_a_probe_outlasts_an_api_server_that_does_not_answer_for_a_while(nodes, tmp_path):
    def fail():
        for path, method in (("/log", "GET"), ("/pods/damon-probe", "GET"), ("/pods", "DELETE")):
            nodes.api.call(nodes.api.server.faults.fail_next, 1, 503, method=method, path=path)

    _, code, out, err = probe(nodes, probed_root.make(tmp_path / "root"), then=fail)
    assert "n1: nothing prevents tuning" in out
    assert code == 0
    assert "waiting: the API server cannot answer now: 503" in err


def test_the_pod_sees_proc_and_sys_read_only_and_can_nothing_else(nodes, tmp_path):
    pod, *_ = probe(nodes, probed_root.make(tmp_path / "root"), "--image", "example.com/sh:1")
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert container["image"] == "example.com/sh:1"
    assert [v["hostPath"]["path"] for v in spec["volumes"]] == ["/proc", "/sys"]
    assert all(mount["readOnly"] for mount in container["volumeMounts"])
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert not {"hostPID", "hostNetwork", "hostIPC"} & spec.keys()
    assert spec["automountServiceAccountToken"] is False


def test_what_is_in_the_way_is_named_with_the_remedy(nodes, tmp_path):
    root = probed_root.make(tmp_path, **{"sys/module/damon_stat/parameters/enabled": "Y"})
    _, code, out, _ = probe(nodes, root)
    assert code == 1
    assert "n1: it cannot be tuned" in out
    assert "Holder\n  -> boot with damon_stat.enabled=N" in out


def test_a_policy_that_refuses_the_pod_is_told_with_the_way_by_hand(nodes):
    why = 'violates PodSecurity "baseline:latest": hostPath volumes (volumes "proc", "sys")'
    nodes.api.call(
        nodes.api.server.faults.fail_next, 1, 403, method="POST", path="/pods", message=why
    )
    asked = nodes.ask("doctor", "--probe", "--node", "n1")
    assert asked.code == 3
    assert why in asked.err
    assert "`kubectl damon doctor --print-probe | ssh n1 sudo sh -s /" in asked.err
    assert not nodes.api.server.journal.writes("pods")[1:], "there is nothing to delete"


def test_an_image_that_cannot_be_pulled_ends_it_and_the_pod(nodes):
    changes = nodes.api.call(nodes.cluster.changes, "pods")
    with nodes.start("doctor", "--probe", "--node", "n1") as running:
        name = nodes.api.run(anext(changes)).after.body["metadata"]["name"]
        state = {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}
        status = {"phase": "Pending", "containerStatuses": [{"name": "probe", "state": state}]}
        nodes.api.call(nodes.cluster.patch, "pods", name, {"status": status}, subresource="status")
        _, err = running.communicate(timeout=60)
    assert running.returncode == 3
    assert "ErrImagePull no such host" in err
    assert "--image chooses one" in err
    assert not nodes.api.call(nodes.cluster.list, "pods")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_interrupts_it_leaves_no_pod(nodes, number):
    changes = nodes.api.call(nodes.cluster.changes, "pods")
    with nodes.start("doctor", "--probe", "--node", "n1") as running:
        nodes.api.run(anext(changes))
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert not nodes.api.call(nodes.cluster.list, "pods")
    assert "Traceback" not in err


def test_a_pod_that_cannot_be_deleted_is_named(nodes):
    changes = nodes.api.call(nodes.cluster.changes, "pods")
    with nodes.start("doctor", "--probe", "--node", "n1") as running:
        name = nodes.api.run(anext(changes)).after.body["metadata"]["name"]
        nodes.api.call(nodes.api.server.faults.fail_next, 1, 403, method="DELETE")
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert f"-> kubectl delete pod {name} -n default" in err


def test_a_pod_is_started_only_on_nodes_that_are_named(nodes):
    asked = nodes.ask("doctor", "--probe")
    assert asked.code == 2
    assert "--node" in asked.err
    assert not nodes.api.server.journal.writes()


def test_the_probe_is_printed_and_what_it_prints_is_read(nodes, tmp_path):
    script = nodes.ask("doctor", "--print-probe").out
    root = probed_root.make(tmp_path / "root")
    ran = subprocess.run(
        ["sh", "-s", str(root)], input=script, capture_output=True, text=True, check=True
    )
    told = nodes.ask("doctor", "-f", "-", "--node", "w1", "-o", "json", given=ran.stdout)
    assert told.code == 0, told.err
    assert told.data["kind"] == "Doctor"
    assert told.data["items"][0]["node"] == "w1"
    assert not nodes.api.server.journal.requests, "no cluster is asked"


def test_a_file_that_is_no_output_of_the_probe_cannot_be_used(nodes, tmp_path):
    asked = nodes.ask("doctor", "-f", "-", given="Linux n1 6.12\n")
    assert asked.code == 2
    assert "is no output of the probe" in asked.err
    assert nodes.ask("doctor", "-f", str(tmp_path / "none")).code == 2
