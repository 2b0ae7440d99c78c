"""`kubectl damon sysdump`, as a process against the embedded API."""

import json
import os
import zipfile

import cluster_objects as made
import pytest

from damon_cli.sysdump.contents import OurPod, file_name
from damon_cli.sysdump.redaction import redacted, scrubbed

MARK = "hunter2"
SPACE = "damon-system"
LABELS = {"app.kubernetes.io/part-of": "damon-operator"}
SECRETIVE = {
    "env": [
        {"name": "A", "value": MARK},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": MARK, "key": MARK}}},
    ],
    "envFrom": [{"secretRef": {"name": MARK}}, {"configMapRef": {"name": MARK}}],
    "livenessProbe": {"httpGet": {"path": "/livez", "httpHeaders": [{"name": "X", "value": MARK}]}},
}
NOTES = {
    "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": MARK}),
    "example.com/note": MARK,
    "damon-operator.io/kept": "of our own",
}


def our_pod(name, *, part="agent", node="n1", restarts=0, **metadata):
    options = "--damon-root=/host/damon" if part == "agent" else "--lease-name=damon-operator"
    raw = made.pod(name, node, namespace=SPACE, labels=LABELS, annotations=NOTES)
    raw["metadata"] |= metadata
    (container,) = raw["spec"]["containers"]
    container |= {
        "name": part,
        "image": "example.com/agent:1",
        "args": [options],
        "ports": [{"name": "metrics", "containerPort": 9464}],
        **SECRETIVE,
    }
    (status,) = raw["status"]["containerStatuses"]
    status |= {"name": part, "restartCount": restarts}
    return raw


def workload(kind, name):
    template = {
        "metadata": {"annotations": NOTES},
        "spec": {"containers": [{"name": "main", **SECRETIVE}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": SPACE, "labels": LABELS, "annotations": NOTES},
        "spec": {"template": template},
    }


def event(name, kind, about, namespace=SPACE):
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace, "annotations": NOTES},
        "involvedObject": {"kind": kind, "name": about, "namespace": namespace},
        "reason": "Because",
        "message": f"told with token={MARK}",
    }


def lease(name, **labels):
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": SPACE, "labels": labels},
        "spec": {"holderIdentity": name},
    }


@pytest.fixture(name="installed")
def installed_fixture(shop):
    """An installation in a namespace that others use as well, with secrets wherever they may be."""
    shop.create(
        made.namespace(SPACE),
        made.crd("apps", "deployments", "Deployment"),
        made.crd("apps", "daemonsets", "DaemonSet"),
    )
    shop.create(
        workload("Deployment", "damon-operator"),
        workload("DaemonSet", "damon-operator-agent"),
        our_pod("damon-operator-7f-x", part="operator", generateName="damon-operator-7f-"),
        our_pod("damon-operator-agent-a", restarts=1, generateName="damon-operator-agent-"),
        made.pod("stranger", namespace=SPACE, annotations={"example.com/x": MARK}),
        lease("damon-operator"),
        lease("damon-agent-n1", **LABELS, **{"app.kubernetes.io/component": "agent"}),
        lease("stranger"),
        event("e1", "Pod", "damon-operator-agent-a"),
        event("e2", "DaemonSet", "damon-operator-agent"),
        event("e3", "Pod", "stranger"),
        event("e4", "DamonTuning", "default", "default"),
        event("e5", "Pod", "damon-operator-agent-gone"),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": SPACE},
            "data": {"password": MARK},
        },
    )
    for kind in ("dt", "dn"):
        name = "default" if kind == "dt" else "n1"
        shop.api.call(shop.cluster.annotate, kind, name, NOTES, "")
    shop.api.call(
        shop.cluster.acting_as(MARK).annotate, "dt", "default", {"example.com/y": "1"}, ""
    )
    kubelets = shop.api.server.kubelets
    kubelets.logs[SPACE, "damon-operator-agent-a", "agent"] = (
        f"plan\nAuthorization: Bearer {MARK}\n"
    )
    kubelets.previous[SPACE, "damon-operator-agent-a", "agent"] = "Killed\n"
    kubelets.logs[SPACE, "damon-operator-7f-x", "operator"] = "begun\n"
    kubelets.pages[SPACE, "damon-operator-agent-a:9464", "metrics"] = "damon_agent_up 1\n"
    return shop


def dump(lab, tmp_path, *arguments):
    file = tmp_path / "dump.zip"
    asked = lab.ask("sysdump", "-f", str(file), *arguments)
    assert asked.code == 0, asked.err
    with zipfile.ZipFile(file) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name).decode() for name in packed.namelist()}, asked


def test_it_has_objects_logs_and_metrics_of_what_is_ours(installed, tmp_path):
    files, asked = dump(installed, tmp_path)
    assert sorted(files) == [
        "README.txt",
        "apiserver.json",
        "damon-system/daemonsets/damon-operator-agent.json",
        "damon-system/deployments/damon-operator.json",
        "damon-system/events.json",
        "damon-system/leases/damon-agent-n1.json",
        "damon-system/leases/damon-operator.json",
        "damon-system/logs/damon-operator-7f-x.operator.log",
        "damon-system/logs/damon-operator-agent-a.agent.log",
        "damon-system/logs/damon-operator-agent-a.agent.previous.log",
        "damon-system/metrics/damon-operator-agent-a.txt",
        "damon-system/pods/damon-operator-7f-x.json",
        "damon-system/pods/damon-operator-agent-a.json",
        "damonnodes/n1.json",
        "damontunings/default.json",
        "events.json",
        "missing.txt",
        "versions.json",
    ]
    told = json.loads(files["damon-system/events.json"])["items"]
    assert [each["metadata"]["name"] for each in told] == ["e1", "e2", "e5"]
    assert [e["metadata"]["name"] for e in json.loads(files["events.json"])["items"]] == ["e4"]
    assert files["damon-system/logs/damon-operator-agent-a.agent.previous.log"] == "Killed\n"
    assert json.loads(files["damonnodes/n1.json"])["kind"] == "DamonNode"
    assert json.loads(files["damon-system/pods/damon-operator-7f-x.json"])["kind"] == "Pod"
    assert json.loads(files["versions.json"])["images"] == ["example.com/agent:1"]
    assert asked.out.endswith("dump.zip: 18 files\n")


def test_no_secret_and_no_environment_gets_into_it(installed, tmp_path):
    files, _ = dump(installed, tmp_path)
    for name, text in files.items():
        assert MARK not in text, name
        assert "managedFields" not in text or name == "README.txt"
        assert '"env"' not in text
    assert "of our own" in files["damontunings/default.json"]
    assert '"example.com/note": "(removed)"' in files["damontunings/default.json"]
    assert "Authorization: (removed)" in files["damon-system/logs/damon-operator-agent-a.agent.log"]
    assert installed.api.server.journal.reads("secrets") == []
    assert installed.api.server.journal.reads("configmaps") == []


def test_what_cannot_be_had_is_named_and_costs_itself(installed, tmp_path):
    fail = installed.api.server.faults.fail_next
    installed.api.call(fail, 1, 403, path="/daemonsets", message="you may not")
    installed.api.call(fail, 1, 500, path="/log", message="no kubelet")
    files, asked = dump(installed, tmp_path)
    lines = files["missing.txt"].splitlines()
    assert "daemonsets of damon-system: you may not" in lines
    assert any(line.startswith("damon-system/logs/") and "no kubelet" in line for line in lines)
    assert any(line.startswith("damon-system/metrics/damon-operator-7f-x.txt: ") for line in lines)
    assert len(lines) == 3
    assert "missing: daemonsets of damon-system: you may not" in asked.err
    assert "damon-system/deployments/damon-operator.json" in files


def test_the_readme_says_how_the_trees_in_sysfs_are_had(installed, tmp_path):
    files, _ = dump(installed, tmp_path)
    assert (
        "kubectl exec -n damon-system damon-operator-agent-a -c agent -- "
        "grep -rs . /host/damon/admin/kdamonds" in files["README.txt"]
    )


def test_nobody_else_may_read_it(installed, tmp_path):
    dump(installed, tmp_path)
    (file,) = tmp_path.glob("*.zip")
    assert file.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob(".sysdump-*"))


def test_without_an_installation_it_has_what_there_is(empty, tmp_path):
    files, _ = dump(empty, tmp_path)
    assert "the installation: no pod is labelled" in files["missing.txt"]
    assert "damontunings: this cluster has no damon-operator" in files["missing.txt"]
    assert json.loads(files["apiserver.json"])["major"]


def test_a_namespace_that_is_named_is_the_only_one_asked(installed, tmp_path):
    files, _ = dump(installed, tmp_path, "-n", "elsewhere")
    assert not [name for name in files if name.startswith(SPACE)]
    paths = [r.path for r in installed.api.server.journal.reads("pods")]
    assert paths == ["/api/v1/namespaces/elsewhere/pods"]


def test_of_a_node_it_has_its_agent_and_its_damon_node(installed, tmp_path):
    installed.create(our_pod("damon-operator-agent-b", node="n2"), made.damon_node("n2"))
    files, _ = dump(installed, tmp_path, "--node", "n2")
    assert "damonnodes/n2.json" in files
    assert "damonnodes/n1.json" not in files
    assert "damon-system/pods/damon-operator-agent-b.json" in files
    assert not [name for name in files if "agent-a" in name]
    assert "damon-system/pods/damon-operator-7f-x.json" in files


def test_if_nothing_can_be_had_there_is_no_file(lab, tmp_path):
    lab.api.run(lab.api.server.down())
    asked = lab.ask("sysdump", "-f", str(tmp_path / "dump.zip"))
    assert asked.code == 3
    assert "nothing could be had: no answer from" in asked.err
    assert not list(tmp_path.glob("*.zip"))
    assert not list(tmp_path.glob(".sysdump-*"))


def test_what_is_no_file_is_not_replaced(lab, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link", tmp_path):
        asked = lab.ask("sysdump", "-f", str(path))
        assert (asked.code, asked.out) == (2, "")
    assert pipe.is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_a_file_that_cannot_be_written_is_a_wrong_command_line(lab, tmp_path):
    asked = lab.ask("sysdump", "-f", str(tmp_path / "nowhere" / "dump.zip"))
    assert asked.code == 2
    assert "No such file or directory" in asked.err


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {MARK}",
        f'"token": "x", password={MARK}',
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2",
        f"-----BEGIN RSA PRIVATE KEY-----\n{MARK}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{MARK}",
    ],
)
def test_what_looks_like_a_secret_is_taken_out_of_texts(text):
    assert MARK not in scrubbed(text)
    assert "(removed)" in scrubbed(text)


def test_what_only_sounds_like_one_stays():
    said = "--token-file=/var/run/token the secret of the plan; tokens are read anew"
    assert scrubbed(said) == said


def test_an_object_of_any_shape_is_redacted():
    assert redacted({"annotations": ["x"], "env": 1, "a": [{"envFrom": 2}, None, 3]}) == {
        "annotations": ["x"],
        "a": [{}, None, 3],
    }
    assert OurPod.of({}).containers == ()


@pytest.mark.parametrize(
    ("name", "file"), [("web-0", "web-0"), ("../../etc/x", "_.._etc_x"), ("..", "_"), ("", "_")]
)
def test_no_name_leads_out_of_the_dump(name, file):
    assert file_name(name) == file
