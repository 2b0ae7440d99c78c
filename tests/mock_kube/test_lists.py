import pytest

PODS = "/api/v1/namespaces/default/pods"


async def names(http, **query):
    return [p["metadata"]["name"] for p in (await http.get(PODS, **query))["items"]]


async def test_pages_show_one_moment_whatever_is_written_in_between(http, pod):
    for index in range(5):
        await http.create(pod(f"p{index}"))
    first = await http.get(PODS, limit=2)
    await http.delete(f"{PODS}/p3")
    await http.create(pod("p35"))
    second = await http.get(PODS, limit=2, **{"continue": first["metadata"]["continue"]})
    third = await http.get(PODS, limit=2, **{"continue": second["metadata"]["continue"]})
    pages = [first, second, third]
    assert [p["metadata"]["name"] for page in pages for p in page["items"]] == [
        "p0",
        "p1",
        "p2",
        "p3",
        "p4",
    ]
    assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1
    assert "continue" not in third["metadata"]


@pytest.mark.embedded
async def test_the_next_page_of_a_compacted_list_is_expired(api, http, pod):
    api.cluster.load(pod(f"p{i}") for i in range(3))
    first = await http.get(PODS, limit=2)
    api.compact()
    status, body = await http.call("GET", PODS, **{"continue": first["metadata"]["continue"]})
    assert (status, body["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=a", ["one"]),
        ("app==a", ["one"]),
        ("app!=a", ["three", "two"]),
        ("app in (a, b)", ["one", "two"]),
        ("app notin (a)", ["three", "two"]),
        ("app", ["one", "two"]),
        ("!app", ["three"]),
        ("app in (a,b),app!=b", ["one"]),
    ],
)
async def test_label_selectors_select(http, pod, selector, expected):
    await http.create(pod("one", labels={"app": "a"}))
    await http.create(pod("two", labels={"app": "b"}))
    await http.create(pod("three"))
    assert await names(http, labelSelector=selector) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=one", ["one"]),
        ("metadata.namespace=default", ["one", "three", "two"]),
        ("spec.nodeName=n1", ["one"]),
        ("spec.nodeName=", ["three"]),
        ("spec.nodeName!=", ["one", "two"]),
        ("status.phase!=Succeeded,status.phase!=Failed", ["one", "three"]),
    ],
)
async def test_field_selectors_select(http, pod, selector, expected):
    await http.create(pod("one", "n1"))
    await http.create({**pod("two", "n2"), "status": {"phase": "Failed"}})
    await http.create(pod("three"))
    assert await names(http, fieldSelector=selector) == expected


async def test_a_field_no_selector_can_name_is_a_bad_request(http):
    status, body = await http.call("GET", PODS, fieldSelector="spec.priority=1")
    assert status == 400
    assert "field label not supported: spec.priority" in body["message"]


@pytest.mark.embedded
@pytest.mark.parametrize("option", ["resourceVersionMatch", "sendInitialEvents"])
async def test_options_that_nobody_here_uses_are_refused_and_not_ignored(http, option):
    status, body = await http.call("GET", PODS, resourceVersion="1", **{option: "Exact"})
    assert (status, body["details"]["causes"][0]["field"]) == (422, option)


@pytest.mark.embedded
async def test_ten_thousand_pods_come_in_pages_without_loss(api, http, pod):
    api.cluster.load(pod(f"p{i:05}") for i in range(10_000))
    seen, token = 0, ""
    while True:
        page = await http.get(PODS, limit=2500, **{"continue": token})
        seen += len(page["items"])
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert seen == 10_000


async def test_a_version_from_the_future_is_answered_with_a_timeout(http):
    status, body = await http.call("GET", PODS, resourceVersion="999999")
    assert (status, body["details"]["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")
