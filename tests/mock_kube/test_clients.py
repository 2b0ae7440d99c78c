"""The clients the product uses, and kubectl, against the embedded server."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from kubernetes import client, config, watch
from kubernetes.aio import client as aio_client
from kubernetes.aio import config as aio_config

from damon_mock.kube.discovery import VERSION
from damon_mock.kube.server import ApiServer
from damon_mock.kube.threads import ApiThread
from damon_mock.kube.tls import Authority


def test_the_sync_client_reads_writes_and_watches(kubeconfig, pod):
    with config.new_client_from_config(str(kubeconfig)) as connection:
        core = client.CoreV1Api(connection)
        core.create_namespaced_pod("default", pod("p"))
        assert [p.metadata.name for p in core.list_namespaced_pod("default").items] == ["p"]
        stream = watch.Watch().stream(core.list_namespaced_pod, "default", timeout_seconds=5)
        try:
            assert next(stream)["type"] == "ADDED"
        finally:
            core.delete_namespaced_pod("p", "default")
        assert [next(stream)["type"] for _ in range(2)] == ["MODIFIED", "DELETED"]
        stream.close()


@pytest.mark.embedded
@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl command makes certificates")
def test_tls_with_an_own_authority_and_a_token(tmp_path):
    with ApiThread(ApiServer(authority=Authority.make(tmp_path, sound=True))) as api:
        api.server.faults.rotate_token("secret")
        kubeconfig = api.server.write_kubeconfig(tmp_path / "kubeconfig")
        assert kubeconfig.stat().st_mode & 0o077 == 0
        with config.new_client_from_config(str(kubeconfig)) as connection:
            assert client.CoreV1Api(connection).list_namespace().items


async def test_the_async_client_lists(kubeconfig):
    configuration = aio_client.Configuration()
    await aio_config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    async with aio_client.ApiClient(configuration) as connection:
        spaces = await aio_client.CoreV1Api(connection).list_namespace()
        assert "default" in [space.metadata.name for space in spaces.items]


kubectl_command = pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl here")


@pytest.mark.embedded
def test_the_version_is_the_one_that_kind_judges():
    said = (Path(__file__).parents[2] / "e2e/kind/versions.env").read_text()
    assert f"KUBERNETES_VERSION={VERSION['major']}.{VERSION['minor']}." in said


@pytest.fixture
def kubectl(kubeconfig, tmp_path):
    def run(*arguments, text=None, fails=False):
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(kubeconfig), *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env={"HOME": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin"},
            timeout=60,
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout

    return run


TUNINGS = "damontunings.judged.damon-operator.io"
TUNING = """
apiVersion: judged.damon-operator.io/v1alpha1
kind: DamonTuning
metadata:
  name: one
spec:
  mode: Enforce
"""


@kubectl_command
def test_kubectl_applies_shows_and_deletes(kubectl):
    assert "created" in kubectl("apply", "-f", "-", text=TUNING)
    assert "unchanged" in kubectl("apply", "-f", "-", text=TUNING)
    changed = TUNING.replace("Enforce", "Observe")
    assert "configured" in kubectl("apply", "-f", "-", text=changed)
    head, row = kubectl("get", TUNINGS).splitlines()
    columns = "NAME MODE READY NODES APPLIED PODS SPARED COLD GIVEN UP AGE"
    assert head.split() == columns.split()
    assert row.split()[:2] == ["one", "Observe"]
    assert "REASON" in kubectl("get", TUNINGS, "-o", "wide")
    assert "Protect From:" in kubectl("describe", TUNINGS, "one")
    assert "serverside-applied" in kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", text=TUNING
    )
    assert "deleted" in kubectl("delete", TUNINGS, "one")


@kubectl_command
def test_kubectl_shows_what_is_wrong(kubectl):
    unknown = kubectl("apply", "-f", "-", text=TUNING + "  bogus: 1\n", fails=True)
    assert 'unknown field "spec.bogus"' in unknown
    wrong = kubectl("apply", "-f", "-", text=TUNING + "  protectFrom: high\n", fails=True)
    assert "spec.protectFrom: Invalid value" in wrong


@pytest.fixture
def waiting(kubectl, pod):
    """A pod that is on a node which does not exist."""
    kubectl("create", "-f", "-", text=json.dumps(pod("p", "n1")))
    yield "p"
    kubectl("delete", "pod", "p", "--force", "--grace-period=0")


@kubectl_command
def test_kubectl_annotates_and_follows_pods(kubectl, waiting):
    kubectl("annotate", "pod", waiting, "damon-operator.io/priority=30")
    found = json.loads(kubectl("get", "pod", waiting, "-o", "json"))
    assert found["metadata"]["annotations"] == {"damon-operator.io/priority": "30"}
    _, row = kubectl("get", "pods", "-o", "wide").splitlines()
    age = row.split()[4]
    assert row.split() == ["p", "0/1", "Pending", "0", age, "<none>", "n1", "<none>", "<none>"]
    assert "damon-operator.io/priority: 30" in kubectl("describe", "pod", waiting)
    followed = kubectl("get", "pods", "--watch", "--request-timeout=1s")
    assert followed.splitlines()[1].split()[0] == waiting


@kubectl_command
def test_kubectl_explains_our_fields(kubectl):
    assert "DESCRIPTION" in kubectl("explain", "damonnodes.spec.pods")


@pytest.mark.embedded
async def test_drop_and_reconnect_loses_nothing_without_compaction(api, http, pod, read):
    version = api.registry.store.version
    async with http.watch("/api/v1/pods", resourceVersion=version):
        api.drop_watches()
        await asyncio.sleep(0)
    api.cluster.create(pod("p"))
    async with http.watch("/api/v1/pods", resourceVersion=version) as stream:
        assert (await read(stream))[1]["metadata"]["name"] == "p"
