import pytest

PODS = "/api/v1/namespaces/default/pods"
CONFIGS = "/api/v1/namespaces/default/configmaps"
TUNINGS = "/apis/judged.damon-operator.io/v1alpha1/damontunings"


async def test_a_created_object_has_what_only_the_server_gives(http, tuning):
    status, body = await http.call("POST", TUNINGS, tuning())
    assert status == 201
    metadata = body["metadata"]
    assert metadata["generation"] == 1
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"])


async def test_names_can_be_generated(http, pod):
    body = pod("x")
    body["metadata"] = {"generateName": "job-"}
    one, two = [(await http.call("POST", PODS, body))[1]["metadata"]["name"] for _ in range(2)]
    assert one.startswith("job-")
    assert one != two


async def test_refused_creates_say_why(http, pod):
    await http.call("POST", PODS, pod("p"))
    assert (await http.call("POST", PODS, pod("p")))[1]["reason"] == "AlreadyExists"
    missing = pod("p", namespace="nowhere")
    status, body = await http.call("POST", "/api/v1/namespaces/nowhere/pods", missing)
    assert (status, body["message"]) == (404, 'namespaces "nowhere" not found')
    status, body = await http.call("POST", PODS, pod("Not A Name"))
    assert (status, body["details"]["causes"][0]["field"]) == (422, "metadata.name")


@pytest.mark.parametrize("name", ["annotations", "labels"])
async def test_a_value_of_metadata_that_is_no_string_is_a_bad_request(http, pod, tuning, name):
    status, body = await http.call("POST", PODS, pod("q", **{name: {"n": 5}}))
    assert (status, body["reason"]) == (400, "BadRequest")
    wrong = {**tuning(), "metadata": {"name": "one", name: {"n": 5}}}
    status, body = await http.call("POST", TUNINGS, wrong)
    assert (status, body["reason"]) == (400, "BadRequest")
    assert f"ObjectMeta.{name}" in body["message"]


async def test_a_custom_resource_says_its_kind(http, tuning):
    body = tuning()
    del body["kind"]
    assert (await http.call("POST", TUNINGS, body))[0] == 400


async def test_what_is_not_served_is_a_status_in_a_built_in_group_and_else_text(http):
    for path in ("/apis/nobody.example.com/v1/things", TUNINGS.replace("damontunings", "things")):
        assert await http.call("GET", path) == (404, "404 page not found\n")
    status, body = await http.call("GET", "/apis/coordination.k8s.io/v1/things")
    message = "the server could not find the requested resource"
    assert (status, body["message"]) == (404, message)


async def test_only_a_changed_spec_raises_the_generation(http, tuning):
    await http.call("POST", TUNINGS, tuning())
    one = f"{TUNINGS}/one"
    _, body = await http.patch(one, {"metadata": {"labels": {"a": "b"}}})
    assert body["metadata"]["generation"] == 1
    _, body = await http.patch(f"{one}/status", {"status": {"observedGeneration": 1}})
    assert body["metadata"]["generation"] == 1
    _, body = await http.patch(one, {"spec": {"mode": "Enforce"}})
    assert body["metadata"]["generation"] == 2


async def test_status_and_spec_are_written_through_their_own_doors(http, tuning):
    await http.call("POST", TUNINGS, {**tuning(), "status": {"observedGeneration": 9}})
    one = f"{TUNINGS}/one"
    change = {"spec": {"mode": "Off"}, "status": {"observedGeneration": 7}}
    _, body = await http.patch(one, change)
    assert (body["spec"]["mode"], "status" in body) == ("Off", False)
    change["spec"]["mode"] = "Enforce"
    _, body = await http.patch(f"{one}/status", change)
    assert (body["spec"]["mode"], body["status"]["observedGeneration"]) == ("Off", 7)


async def test_a_write_from_an_old_version_is_a_conflict(http, tuning):
    _, body = await http.call("POST", TUNINGS, tuning())
    await http.patch(f"{TUNINGS}/one", {"spec": {"mode": "Off"}})
    status, answer = await http.call("PUT", f"{TUNINGS}/one", body)
    assert (status, answer["reason"]) == (409, "Conflict")
    status, _ = await http.patch(f"{TUNINGS}/one", {"metadata": {"resourceVersion": "1"}})
    assert status == 409


async def test_a_uid_is_a_precondition_but_not_of_a_patched_status(http, tuning, pod):
    created = await http.create(tuning())
    one, other = f"{TUNINGS}/one", {"uid": "of-another-object"}
    replaced = {**created, "metadata": {**created["metadata"], **other}}
    assert (await http.call("PUT", one, replaced))[0] == 409
    assert (await http.patch(one, {"metadata": other}))[0] == 422
    applied = tuning()
    applied["metadata"].update(other)
    assert (await http.apply(one, applied, "me"))[0] == 422
    status = {"metadata": other, "status": {"observedGeneration": 1}}
    assert (await http.patch(f"{one}/status", status))[0] == 200
    await http.create(pod("p"))
    assert (await http.patch(f"{PODS}/p/status", {"metadata": other}))[0] == 422


async def test_a_custom_resource_is_not_replaced_without_a_version(http, tuning):
    await http.call("POST", TUNINGS, tuning())
    status, body = await http.call("PUT", f"{TUNINGS}/one", tuning())
    assert (status, body["details"]["causes"][0]["field"]) == (422, "metadata.resourceVersion")


async def test_a_write_that_changes_nothing_is_no_write(http, tuning):
    created = await http.create(tuning())
    _, body = await http.patch(f"{TUNINGS}/one", {"spec": {"mode": "Observe"}})
    assert body == created


async def test_a_dry_run_answers_and_changes_nothing(http, tuning):
    status, _ = await http.call("POST", TUNINGS, tuning(), dryRun="All")
    assert (status, (await http.get(TUNINGS))["items"]) == (201, [])
    await http.create(tuning())
    _, body = await http.patch(f"{TUNINGS}/one", {"spec": {"mode": "Off"}}, dryRun="All")
    assert body["spec"]["mode"] == "Off"
    await http.call("DELETE", f"{TUNINGS}/one", dryRun="All")
    assert (await http.get(f"{TUNINGS}/one"))["spec"]["mode"] == "Observe"


async def test_patches_of_all_kinds(http, pod):
    await http.create(pod("p", annotations={"a": "1", "b": "2"}))
    path = f"{PODS}/p"
    _, body = await http.patch(path, {"metadata": {"annotations": {"a": None, "c": "3"}}})
    assert body["metadata"]["annotations"] == {"b": "2", "c": "3"}
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Extra", "status": "True"}]
    await http.patch(f"{path}/status", {"status": {"conditions": conditions}})
    _, body = await http.patch(
        f"{path}/status",
        {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
        "strategic-merge-patch+json",
    )
    assert [c["status"] for c in body["status"]["conditions"]] == ["False", "True"]
    status, _ = await http.patch(path, {}, "json")
    assert status == 415


async def test_an_answer_may_be_the_metadata_alone(http, tuning):
    await http.create(tuning())
    path = f"{TUNINGS}/one"
    accept = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    change = {"metadata": {"labels": {"a": "b"}}}
    merge = "application/merge-patch+json"
    _, patched = await http.call("PATCH", path, change, kind=merge, headers=accept)
    _, got = await http.call("GET", path, headers=accept)
    assert patched == got
    assert (got["kind"], "spec" in got) == ("PartialObjectMetadata", False)
    assert got["metadata"]["labels"] == {"a": "b"}
    assert (await http.call("GET", TUNINGS, headers=accept))[0] == 406
    accept = {"Accept": accept["Accept"].replace("Metadata;", "MetadataList;")}
    _, listed = await http.call("GET", TUNINGS, headers=accept)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert [item["kind"] for item in listed["items"]] == ["PartialObjectMetadata"]


async def test_an_object_with_finalizers_waits_for_them(http, tuning, read):
    metadata = {"name": "one", "finalizers": ["damon-operator.io/clean"]}
    await http.create({**tuning(), "metadata": metadata})
    version = await http.version()
    async with http.watch(TUNINGS, resourceVersion=version) as stream:
        status, _ = await http.call("DELETE", f"{TUNINGS}/one")
        assert status == 200
        kind, body = await read(stream)
        assert kind == "MODIFIED"
        assert body["metadata"]["deletionTimestamp"]
        await http.patch(f"{TUNINGS}/one", {"metadata": {"finalizers": None}})
        assert (await read(stream))[0] == "DELETED"
    assert (await http.call("GET", f"{TUNINGS}/one"))[0] == 404


def config(name, owner_uid=""):
    metadata = {"name": name, "namespace": "default"}
    if owner_uid:
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner_uid}
        metadata["ownerReferences"] = [owner]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def test_what_an_owner_owns_goes_with_it(http):
    owner = await http.create(config("owner"))
    await http.create(config("owned", owner["metadata"]["uid"]))
    await http.create(config("free"))
    await http.delete(f"{CONFIGS}/owner")
    await http.gone(f"{CONFIGS}/owned")
    await http.get(f"{CONFIGS}/free")


async def test_an_object_of_an_owner_that_does_not_exist_is_collected(http):
    await http.create(config("owned", "of-a-former-owner"))
    await http.gone(f"{CONFIGS}/owned")


async def test_a_recreated_object_is_another_one(http, pod):
    first = await http.create(pod("p"))
    await http.delete(f"{PODS}/p")
    second = await http.create(pod("p"))
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    options = {"preconditions": {"uid": first["metadata"]["uid"]}}
    assert (await http.call("DELETE", f"{PODS}/p", options))[0] == 409


async def test_a_namespace_takes_its_objects_along(http):
    await http.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "judged"}})
    inside = config("inside")
    inside["metadata"]["namespace"] = "judged"
    await http.create(inside)
    await http.delete("/api/v1/namespaces/judged")
    await http.gone("/api/v1/namespaces/judged/configmaps/inside")
    await http.gone("/api/v1/namespaces/judged")


async def test_both_event_groups_show_the_same_events(http):
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "PriorityRejected",
        "note": "no number",
        "type": "Warning",
        "action": "Plan",
        "reportingController": "damon-operator.io/operator",
        "reportingInstance": "one",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    status, body = await http.call("POST", path, event)
    assert (status, body["note"], body["regarding"]["name"]) == (201, "no number", "p")
    found = await http.get("/api/v1/events", fieldSelector="involvedObject.name=p")
    assert found["items"][0]["message"] == "no number"
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}
    _, body = await http.patch(f"{path}/e", {"series": series})
    assert body["series"] == series
    assert (await http.get("/api/v1/namespaces/default/events/e"))["series"] == series
    status, body = await http.patch(f"{path}/e", {"note": "another"})
    assert (status, body["details"]["causes"][0]["field"]) == (422, "message")


async def test_priority_classes_give_pods_their_number(http, pod):
    await http.create(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "judged"},
            "value": -1000,
        }
    )
    low, system = pod("low"), pod("system")
    low["spec"]["priorityClassName"] = "judged"
    system["spec"]["priorityClassName"] = "system-node-critical"
    assert (await http.create(low))["spec"]["priority"] == -1000
    assert (await http.create(system))["spec"]["priority"] == 2_000_001_000
    other = pod("other")
    other["spec"]["priorityClassName"] = "unheard-of"
    assert (await http.call("POST", PODS, other))[0] == 403


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        (
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"memory": "1Mi"}},
            "Burstable",
        ),
    ],
)
async def test_pods_get_their_qos_class(http, pod, resources, expected):
    body = pod("p")
    body["spec"]["containers"][0]["resources"] = resources
    assert (await http.create(body))["status"]["qosClass"] == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reportingController": ""}, "reportingController"),
        ({"action": ""}, "action"),
        ({"type": "Error"}, "type"),
        ({"note": "n" * 1025}, "message"),
        ({"reportingController": "no name"}, "reportingController"),
    ],
)
async def test_events_are_as_strict_as_the_real_api(http, change, field):
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "regarding": {"kind": "Node", "name": "n1"},
        "reason": "Test",
        "type": "Normal",
        "action": "Test",
        "reportingController": "damon-operator.io/operator",
        "reportingInstance": "one",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    status, body = await http.call("POST", path, {**event, **change})
    assert (status, body["details"]["causes"][0]["field"]) == (422, field)
    assert (await http.call("POST", path, event))[0] == 201


async def test_a_write_cannot_give_a_pod_its_node(http, pod):
    await http.create(pod("p"))
    status, body = await http.patch(f"{PODS}/p", {"spec": {"nodeName": "n1"}})
    assert (status, body["details"]["causes"][0]["field"]) == (422, "spec")


async def test_a_lease_changes_hands_by_version(http):
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}}
    _, first = await http.call("POST", path, lease)
    one, two = [{**first, "spec": {"holderIdentity": holder}} for holder in "bc"]
    assert (await http.call("PUT", f"{path}/l", one))[0] == 200
    assert (await http.call("PUT", f"{path}/l", two))[0] == 409
