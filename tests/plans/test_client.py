import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from damon_agent.plans.client import connect
from damon_agent.plans.errors import ExpiredError, RefusedError, UnreachableError
from damon_agent.plans.kube import InClusterConfigLoader
from damon_mock.kube import kubeconfig
from damon_mock.kube.server import ApiServer
from damon_mock.kube.threads import ApiThread
from damon_mock.kube.tls import Authority

CRDS = Path(__file__).parents[2] / "crds"
NODE = "worker-1"


def test_without_credentials_it_says_so(tmp_path):
    with pytest.raises(UnreachableError, match="credentials"):
        connect(tmp_path / "absent", tmp_path, NODE)


def test_outside_a_pod_the_service_account_is_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(UnreachableError, match="credentials"):
        connect(None, tmp_path, NODE)


def test_an_answer_other_than_success_carries_its_status(api, client):
    api.call(api.server.faults.fail_next, 1, 403)
    with pytest.raises(RefusedError, match="403") as raised:
        client.list()
    assert raised.value.status == 403


def test_a_server_that_is_not_there_is_unreachable(api, client):
    api.run(api.server.down())
    with pytest.raises(UnreachableError):
        client.list()


@pytest.mark.parametrize("as_status", [True, False])
def test_a_forgotten_version_is_expired_however_it_is_told(api, client, damon_node, as_status):
    api.server.faults.expired_as_status = as_status
    version = client.list()["metadata"]["resourceVersion"]
    api.call(api.server.cluster.create, damon_node())
    api.call(api.server.compact)

    def follow():
        watch = client.watch(version, 10)
        try:
            list(watch)
        finally:
            watch.close()

    with pytest.raises(ExpiredError):
        follow()


@pytest.fixture
def authority(tmp_path):
    directory = tmp_path / "authority"
    directory.mkdir()
    return Authority.make(directory)


def test_a_server_of_another_authority_is_not_trusted(authority, tmp_path):
    (tmp_path / "stranger").mkdir()
    stranger = Authority.make(tmp_path / "stranger")
    with ApiThread(ApiServer(authority=authority)) as api:
        config = kubeconfig.document(api.server.url, authority_pem=stranger.certificate_pem)
        client = connect(kubeconfig.write(tmp_path / "kubeconfig", config), tmp_path, NODE)
        with pytest.raises(UnreachableError, match=r"(?i)certificate"):
            client.list()
        client.close()


def test_tls_and_a_bearer_token_are_used(authority, tmp_path):
    with ApiThread(ApiServer(authority=authority)) as api:
        api.call(api.server.cluster.install, CRDS)
        api.call(api.server.faults.rotate_token, "t0p")
        path = api.call(api.server.write_kubeconfig, tmp_path / "kubeconfig")
        client = connect(path, tmp_path, NODE)
        assert client.list()["items"] == []
        api.call(api.server.faults.rotate_token, "another")
        with pytest.raises(RefusedError, match="401"):
            client.list()
        client.close()


def test_a_rotated_service_account_token_is_taken_up(authority, tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("old")
    (tmp_path / "ca.crt").write_bytes(authority.certificate_pem)
    with ApiThread(ApiServer(authority=authority)) as api:
        api.call(api.server.cluster.install, CRDS)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.server.port))
        client = connect(None, tmp_path, NODE)
        api.call(api.server.faults.rotate_token, "new")
        with pytest.raises(RefusedError, match="401"):
            client.list()
        token.write_text("new")
        # The client reads the file again once a minute.
        monkeypatch.setattr(sys.modules[InClusterConfigLoader.__module__], "datetime", InAnHour)
        assert client.list()["items"] == []
        client.close()


class InAnHour:
    """The datetime module, as the client's token loader uses it, an hour ahead."""

    timedelta = dt.timedelta

    class datetime:  # noqa: N801 - named like what it stands for
        @staticmethod
        def now():
            return dt.datetime.now() + dt.timedelta(hours=1)  # noqa: DTZ005 - as the loader does


def test_what_the_agent_imports_does_not_keep_others_from_the_whole_client():
    program = (
        "import damon_agent.plans.client, sys\n"
        "assert 'kubernetes' not in sys.modules\n"
        "assert not {'requests', 'oauthlib', 'yaml', 'asyncio', 'aiohttp'} & set(sys.modules)\n"
        "import kubernetes\n"
        "from kubernetes import client, config, watch\n"
        "assert client.ApiClient is damon_agent.plans.kube.ApiClient\n"
        "assert config.load_kube_config and kubernetes.client is client and client.CoreV1Api\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
