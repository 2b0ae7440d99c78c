import json

import aiohttp
import pytest

from damon_mock.kube.cluster import Cluster
from damon_mock.kube.failures import ApiFailure
from damon_mock.kube.registry import Registry

PODS = "/api/v1/namespaces/default/pods"
TUNINGS = "/apis/judged.damon-operator.io/v1alpha1/damontunings"


async def test_a_watch_from_a_list_misses_nothing_and_repeats_nothing(http, pod, read):
    await http.create(pod("before"))
    version = await http.version()
    await http.create(pod("after"))
    async with http.watch(PODS, resourceVersion=version) as stream:
        kind, body = await read(stream)
        assert (kind, body["metadata"]["name"]) == ("ADDED", "after")
        await http.patch(f"{PODS}/before", {"metadata": {"annotations": {"a": "b"}}})
        kind, body = await read(stream)
        assert (kind, body["metadata"]["annotations"]) == ("MODIFIED", {"a": "b"})
        changed = body["metadata"]["resourceVersion"]
        await http.delete(f"{PODS}/before")
        kind, body = await read(stream)
        assert (kind, bool(body["metadata"]["deletionTimestamp"])) == ("MODIFIED", True)
        kind, body = await read(stream)
        assert (kind, body["metadata"]["name"]) == ("DELETED", "before")
        assert int(body["metadata"]["resourceVersion"]) > int(changed)


async def test_a_watch_without_a_version_begins_with_what_is_there(http, pod, read):
    await http.create(pod("there"))
    async with http.watch(PODS) as stream:
        assert (await read(stream))[0] == "ADDED"


async def test_an_object_that_leaves_the_selector_is_deleted_for_the_watcher(http, pod, read):
    await http.create(pod("p", labels={"app": "a"}))
    version = await http.version()
    async with http.watch(PODS, labelSelector="app=a", resourceVersion=version) as stream:
        _, changed = await http.patch(f"{PODS}/p", {"metadata": {"labels": {"app": "b"}}})
        kind, body = await read(stream)
        assert (kind, body["metadata"]["labels"]) == ("DELETED", {"app": "a"})
        assert body["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]
        await http.patch(f"{PODS}/p", {"metadata": {"labels": {"app": "a"}}})
        assert (await read(stream))[0] == "ADDED"


@pytest.mark.embedded
async def test_bookmarks_carry_the_newest_version_of_the_whole_cluster(api, http, pod, read):
    api._bookmark_interval_s = 0.05
    query = {"allowWatchBookmarks": "true", "resourceVersion": api.registry.store.version}
    async with http.watch("/api/v1/nodes", **query) as stream:
        api.cluster.create(pod("elsewhere"))
        while True:
            kind, body = await read(stream)
            assert kind == "BOOKMARK"
            if int(body["metadata"]["resourceVersion"]) == api.registry.store.version:
                break


POD = {"kind": "Pod", "apiVersion": "v1", "spec": {"containers": None}, "status": {}}
TUNING = {"kind": "DamonTuning", "apiVersion": "judged.damon-operator.io/v1alpha1"}


@pytest.mark.parametrize(("path", "empty"), [(PODS, POD), (TUNINGS, TUNING)])
async def test_a_watch_is_told_the_version_before_it_ends(api, http, pod, tuning, path, empty):
    version = await http.version()
    # A real API server tells it about two seconds before the end.
    query = {"allowWatchBookmarks": "true", "timeoutSeconds": "1" if api else "5"}
    async with http.watch(path, resourceVersion=version, **query) as stream:
        await http.create(pod("p") if path == PODS else tuning())  # with nothing new it may not be
        *_, last = (await stream.content.read()).splitlines()
    event = json.loads(last)
    told = event["object"]["metadata"]["resourceVersion"]
    bookmark = {**empty, "metadata": {"resourceVersion": told}}
    assert event == {"type": "BOOKMARK", "object": bookmark}
    assert int(told) > int(version)


async def test_a_watch_from_the_future_is_silent(http, pod):
    query = {"resourceVersion": "999999", "timeoutSeconds": "1"}
    async with http.watch(PODS, **query) as stream:
        await http.create(pod("p"))
        assert await stream.content.read() == b""


@pytest.mark.embedded
async def test_a_watch_from_the_future_gets_no_bookmark_before_it(api, http, pod):
    """It would be a sign of life of a server that passes over every change there is."""
    api._bookmark_interval_s = 0.05
    query = {"resourceVersion": "999999", "timeoutSeconds": "1", "allowWatchBookmarks": "true"}
    async with http.watch(PODS, **query) as stream:
        await http.create(pod("p"))
        assert await stream.content.read() == b""


async def test_a_watch_ends_after_its_timeout(http):
    async with http.watch(PODS, timeoutSeconds="1") as stream:
        assert await stream.content.read() == b""


@pytest.mark.embedded
async def test_a_compacted_version_is_an_error_event_or_a_410_as_ordered(api, http, pod, read):
    api.cluster.create(pod("p"))
    version = api.registry.store.version
    api.compact()
    async with http.watch(PODS, resourceVersion=version) as stream:
        kind, body = await read(stream)
        assert (kind, body["code"], body["reason"]) == ("ERROR", 410, "Expired")
    api.faults.expired_as_status = True
    status, _ = await http.call("GET", PODS, watch="1", resourceVersion=version)
    assert status == 410


@pytest.mark.embedded
async def test_nobody_is_told_what_was_deleted_in_a_gap(api, http, pod, read):
    api.cluster.load([pod("stays"), pod("goes")])
    version = api.registry.store.version
    async with http.watch(PODS, resourceVersion=version) as stream:
        api.gap(("pods", "goes", "default"))
        with pytest.raises(aiohttp.ClientError):
            await stream.content.read()
    async with http.watch(PODS, resourceVersion=version) as stream:
        assert (await read(stream))[1]["code"] == 410
    assert [p["metadata"]["name"] for p in (await http.get(PODS))["items"]] == ["stays"]


@pytest.mark.embedded
async def test_live_watches_can_be_told_that_they_expired(api, http, read):
    async with http.watch(PODS) as stream:
        api.expire_watches()
        assert (await read(stream))[1]["code"] == 410
        assert await stream.content.read() == b""


async def test_single_objects_can_be_watched(http, pod, read):
    for name in ("one", "two"):
        await http.create(pod(name))
    version = await http.version()
    path, fields = "/api/v1/pods", "metadata.name=two"
    async with http.watch(path, fieldSelector=fields, resourceVersion=version) as stream:
        for name in ("one", "two"):
            await http.patch(f"{PODS}/{name}", {"metadata": {"annotations": {"a": "b"}}})
        assert (await read(stream))[1]["metadata"]["name"] == "two"


async def test_a_resource_nobody_asked_for_yet_can_be_watched_from_an_older_version(http, pod):
    version = await http.version()
    await http.create(pod("p"))
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    async with http.watch(path, resourceVersion=version, timeoutSeconds="1") as stream:
        assert await stream.content.read() == b""


@pytest.mark.embedded
async def test_history_that_ran_full_expires_the_oldest_versions_only(pod):
    registry = Registry(history=3)
    cluster = Cluster(registry)
    versions = []
    for index in range(5):
        cluster.create(pod(f"p{index}"))
        versions.append(registry.store.version)
    names = [c.after.body["metadata"]["name"] for c in registry.store.since("pods", versions[1])]
    assert names == ["p2", "p3", "p4"]
    with pytest.raises(ApiFailure, match="too old resource version"):
        registry.store.since("pods", versions[0])
