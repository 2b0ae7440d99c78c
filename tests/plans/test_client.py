import subprocess
import sys

import pytest
from cluster_objects import CRDS

from damon_agent.plans.client import Watch, connect
from damon_agent.plans.errors import RefusedError, UnreachableError, UnusableError
from damon_contract.watches import LINE_BYTES
from damon_mock.kube import kubeconfig
from damon_mock.kube.server import ApiServer
from damon_mock.kube.threads import ApiThread
from damon_mock.kube.tls import Authority

NODE = "worker-1"


def stored(api):
    return api.call(api.server.cluster.get, "damonnodes", NODE).get("status", {})


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


def test_a_status_goes_only_to_the_object_it_is_about(api, client, damon_node):
    made = api.call(api.server.cluster.create, damon_node())
    client.patch_status(made["metadata"]["uid"], {"targets": 2})
    with pytest.raises(RefusedError, match="404"):
        client.patch_status("of another one", {"targets": 3})
    assert stored(api)["targets"] == 2


def test_a_status_of_an_object_made_anew_meanwhile_goes_nowhere(api, client, damon_node):
    made = api.call(api.server.cluster.create, damon_node())["metadata"]["uid"]
    client.patch_status(made, {"targets": 2})
    api.call(api.server.cluster.delete, "damonnodes", NODE)
    api.call(api.server.cluster.create, damon_node())
    for status in ("409", "404"):
        with pytest.raises(RefusedError, match=status):
            client.patch_status(made, {"targets": 3})
    assert "targets" not in stored(api)


def test_a_change_that_nobody_heard_of_costs_a_status_one_attempt(api, client, damon_node):
    uid = api.call(api.server.cluster.create, damon_node())["metadata"]["uid"]
    client.patch_status(uid, {"targets": 2})
    change = {"metadata": {"labels": {"a": "b"}}}
    api.call(api.server.cluster.patch, "damonnodes", NODE, change)
    with pytest.raises(RefusedError, match="409"):
        client.patch_status(uid, {"targets": 3})
    client.patch_status(uid, {"targets": 3})
    assert stored(api)["targets"] == 3


def test_what_a_watch_brings_is_known_to_the_next_status(api, client, damon_node):
    uid = api.call(api.server.cluster.create, damon_node())["metadata"]["uid"]
    watch = client.watch(client.list()["metadata"]["resourceVersion"], 60)
    change = {"metadata": {"labels": {"a": "b"}}}
    api.call(api.server.cluster.patch, "damonnodes", NODE, change)
    next(iter(watch))
    watch.close()
    client.patch_status(uid, {"targets": 3})
    assert stored(api)["targets"] == 3


class EndlessLine:
    """A stream that never ends its first line."""

    def __init__(self):
        self.sent_bytes = 0

    def read1(self, size_bytes):
        self.sent_bytes += size_bytes
        return b"x" * size_bytes


def test_a_line_without_end_is_given_up_at_its_bound():
    """Else it would take memory until the agent is killed for it."""
    stream = EndlessLine()
    with pytest.raises(UnusableError, match=f"more than {LINE_BYTES} bytes"):
        next(iter(Watch(stream, seen=lambda _: None)))
    assert stream.sent_bytes <= LINE_BYTES + (1 << 16)


def test_the_agent_does_not_load_the_kubernetes_client():
    program = (
        "import damon_agent.__main__, sys\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not {'kubernetes', 'requests', 'yaml', 'asyncio', 'aiohttp'} & loaded\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
