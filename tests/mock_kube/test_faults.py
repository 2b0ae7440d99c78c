import aiohttp
import pytest

pytestmark = pytest.mark.embedded

PODS = "/api/v1/namespaces/default/pods"


async def test_a_server_that_is_down_refuses_and_comes_back_with_its_objects(api, http, pod):
    api.cluster.create(pod("p"))
    port = api.port
    async with http.watch(PODS) as stream:
        await api.down()
        with pytest.raises(aiohttp.ClientError):
            await stream.content.read()
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(PODS)
    await api.up()
    assert api.port == port
    assert len((await http.get(PODS))["items"]) == 1


async def test_ordered_failures_hit_only_what_they_are_for(api, http):
    api.faults.fail_next(2, 503, method="GET", path="/pods", retry_after_s=3)
    await http.get("/api/v1/nodes")
    assert [(await http.call("GET", PODS))[0] for _ in range(3)] == [503, 503, 200]


async def test_a_rotated_token_shuts_the_old_one_out(api, http):
    api.faults.rotate_token("new")
    assert (await http.call("GET", PODS, headers={"Authorization": "Bearer old"}))[0] == 401
    assert (await http.call("GET", PODS))[0] == 401
    assert (await http.call("GET", PODS, headers={"Authorization": "Bearer new"}))[0] == 200


async def test_the_journal_tells_who_asked_what(api, http, pod):
    headers = {"User-Agent": "tester/1.0"}
    await http.call("POST", PODS, pod("p"), headers=headers)
    await http.patch(f"{PODS}/p/status", {"status": {}})
    await http.call("GET", PODS, limit=1)
    await http.call("PATCH", f"{PODS}/q", {}, kind="application/merge-patch+json")
    async with http.watch(PODS):
        pass
    created, patched, refused = api.journal.writes("pods")
    assert (created.user_agent, created.status, created.body_bytes > 50) == (
        "tester/1.0",
        201,
        True,
    )
    assert (patched.name, patched.subresource, patched.content_type) == (
        "p",
        "status",
        "application/merge-patch+json",
    )
    assert refused.status == 404
    assert [r.query["limit"] for r in api.journal.reads("pods")] == ["1"]
    assert len(api.journal.watches("pods")) == 1
    assert api.journal.writes("nodes") == []


async def test_somebody_in_between_changes_or_loses_the_answer_to_a_write(api, http, pod):
    api.cluster.create(pod("p"))
    api.faults.on_write = lambda request, stored: {"kind": stored["kind"], "at": request.path}
    labelled = await http.patch(f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}})
    assert labelled == (200, {"kind": "Pod", "at": f"{PODS}/p"})
    assert (await http.get(f"{PODS}/p"))["metadata"]["labels"] == {"a": "b"}

    def lost(_request, _stored):
        raise ConnectionError

    api.faults.on_write = lost
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.patch(f"{PODS}/p", {"metadata": {"labels": {"a": "c"}}})
    assert (await http.get(f"{PODS}/p"))["metadata"]["labels"] == {"a": "c"}
