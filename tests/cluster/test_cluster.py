import asyncio
from contextlib import aclosing

import pytest

from damon_mock.kube.server import ApiServer
from damon_mock.kube.tls import Authority
from damon_operator import errors
from damon_operator.cluster import connect
from damon_operator.resources import DAMON_TUNINGS, NODES, PODS


async def first(events, count: int) -> list:
    taken = []
    async with aclosing(events) as stream:
        async for event in stream:
            taken.append(event)
            if len(taken) == count:
                break
    return taken


async def listed(cluster, resource, limit: int = 50, after: str = ""):
    items: list = []
    page = await cluster.page(resource, limit=limit, after=after, take=items.append)
    return page, items


async def test_pages_follow_one_another(idle):
    idle.create(*(idle.node(f"n{i}") for i in range(5)))
    names, after, pages = [], "", 0
    while True:
        page, items = await listed(idle.cluster, NODES, limit=2, after=after)
        names += [item["metadata"]["name"] for item in items]
        pages += 1
        if not page.next:
            break
        after = page.next
    assert (names, pages) == ([f"n{i}" for i in range(5)], 3)


async def test_only_pods_that_run_or_may_run_somewhere_are_listed(idle):
    idle.create(idle.pod("a"), idle.pod("done", phase="Succeeded"), idle.pod("b", phase="Pending"))
    idle.create(idle.pod("nowhere", "", phase="Pending"))
    _, items = await listed(idle.cluster, PODS)
    assert [item["metadata"]["name"] for item in items] == ["a", "b"]


async def test_a_pod_that_ends_leaves_the_watch_as_deleted(idle):
    idle.create(idle.pod("a"))
    page, _ = await listed(idle.cluster, PODS)
    idle.api.cluster.patch("pods", "a", {"status": {"phase": "Succeeded"}}, subresource="status")
    (event,) = await first(idle.cluster.watch(PODS, version=page.resource_version, idle_s=5), 1)
    assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "a")


async def test_a_silent_watch_is_broken_after_the_idle_time(idle):
    page, _ = await listed(idle.cluster, NODES)
    with pytest.raises(errors.Unavailable):
        await first(idle.cluster.watch(NODES, version=page.resource_version, idle_s=0.05), 1)


async def test_an_event_of_a_megabyte_arrives_whole(idle):
    page, _ = await listed(idle.cluster, PODS)
    watch = asyncio.create_task(
        first(idle.cluster.watch(PODS, version=page.resource_version, idle_s=20), 1)
    )
    idle.create(
        idle.pod("big", annotations={"a": "x" * 200_000}, volumes=[{"name": "v" * 60}] * 9000)
    )
    (event,) = await watch
    assert len(event["object"]["spec"]["volumes"]) == 9000


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.Refused),
        (401, errors.Refused),
        (403, errors.Refused),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Gone),
        (422, errors.Refused),
        (429, errors.Unavailable),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
    ],
)
async def test_a_status_becomes_the_error_that_says_what_to_do(idle, status, error):
    idle.api.faults.fail_next(1, status, retry_after_s=7)
    with pytest.raises(errors.ApiError) as caught:
        await listed(idle.cluster, NODES)
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.request) == (status, "GET /api/v1/nodes")
    if isinstance(caught.value, errors.Unavailable):
        assert caught.value.retry_after_s == 7


async def test_a_status_goes_only_to_the_tuning_it_was_made_from(idle):
    idle.create(idle.tuning())
    made = idle.api.cluster.get("damontunings", "all")["metadata"]["resourceVersion"]
    idle.api.cluster.delete("damontunings", "all")
    idle.create(idle.tuning())
    with pytest.raises(errors.Conflict):
        await idle.cluster.write_tuning_status("all", made, {"observedGeneration": 7})
    assert "status" not in idle.api.cluster.get("damontunings", "all")
    now = idle.api.cluster.get("damontunings", "all")["metadata"]["resourceVersion"]
    stored = await idle.cluster.write_tuning_status("all", now, {"observedGeneration": 7})
    assert stored["status"] == {"observedGeneration": 7}


async def test_no_answer_is_unavailable(idle):
    await idle.api.down()
    with pytest.raises(errors.Unavailable) as caught:
        await listed(idle.cluster, NODES)
    assert caught.value.status == 0


async def test_no_session_stays_open_whoever_was_given_it(api, tmp_path):
    async with connect(str(api.write_kubeconfig(tmp_path / "kubeconfig"))) as cluster:
        first, second = cluster.patient_session(), cluster.patient_session()
        await first.close()
        await listed(cluster, NODES)
        assert not second.closed
    assert second.closed


async def test_a_body_that_is_no_json_is_unavailable(tmp_path):
    async def gibberish(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(gibberish, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    api = ApiServer(port=port)
    async with connect(str(api.write_kubeconfig(tmp_path / "kubeconfig"))) as cluster:
        with pytest.raises(errors.Unavailable):
            await listed(cluster, NODES)
    server.close()
    await server.wait_closed()


async def test_a_crd_that_is_not_installed_is_not_found(tmp_path):
    async with (
        ApiServer() as api,
        connect(str(api.write_kubeconfig(tmp_path / "kubeconfig"))) as cluster,
    ):
        with pytest.raises(errors.NotFound):
            await listed(cluster, DAMON_TUNINGS)


async def test_tls_and_token_of_a_kubeconfig_are_used(tmp_path):
    async with ApiServer(authority=Authority.make(tmp_path)) as api:
        api.faults.rotate_token("one")
        async with connect(str(api.write_kubeconfig(tmp_path / "kubeconfig"))) as cluster:
            await listed(cluster, NODES)
            api.faults.rotate_token("two")
            with pytest.raises(errors.Refused):
                await listed(cluster, NODES)


async def test_without_a_kubeconfig_and_outside_a_cluster_it_says_so(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(errors.StartError, match="--kubeconfig"):
        async with connect(None):
            pass
