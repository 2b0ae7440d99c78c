"""What the client writes, and reads besides objects."""

import pytest
from cluster_objects import damon_node

from damon_cli import options
from damon_cli.client import DAMON_NODES, Client, object_path
from damon_cli.errors import NotInstalledError, RefusedError


@pytest.fixture(name="client")
def client_fixture(lab):
    with options.client(str(lab.kubeconfig), "") as made:
        yield made


def test_what_is_created_is_returned_as_it_is_kept_and_goes_when_it_is_deleted(client):
    made = client.create(DAMON_NODES, damon_node("n1"))
    assert made["metadata"]["uid"]
    path = object_path(DAMON_NODES, "n1")
    assert client.find(path)
    client.delete(path, grace_s=0)
    assert client.find(path) is None
    client.delete(path)


def test_what_exists_is_refused_in_the_api_servers_words(client):
    client.create(DAMON_NODES, damon_node("n1"))
    with pytest.raises(RefusedError, match=r'"n1" already exists'):
        client.create(DAMON_NODES, damon_node("n1"))


def test_to_delete_from_an_unknown_resource_is_an_error(client: Client):
    with pytest.raises(NotInstalledError):
        client.delete("/apis/damon-operator.io/v1alpha1/nothings/n1")


def test_text_ends_where_it_is_told_to_and_the_next_request_is_answered(client: Client):
    assert client.text("/healthz") == "ok"
    assert client.text("/healthz", most_bytes=1) == "o"
    assert client.get("/version")["major"]
