import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damon_mock.kube.cluster import Cluster
from damon_mock.kube.registry import Registry

PODS = "/api/v1/namespaces/default/pods"
NODE = "/apis/judged.damon-operator.io/v1alpha1/damonnodes/n1"
ONE = "/apis/judged.damon-operator.io/v1alpha1/damontunings/one"


def node(**spec):
    return {
        "apiVersion": "judged.damon-operator.io/v1alpha1",
        "kind": "DamonNode",
        "metadata": {"name": "n1"},
        "spec": {"tuning": "one", "mode": "Observe", "settings": {}, "hash": "0", **spec},
    }


def planned(name):
    return {
        "namespace": "default",
        "name": name,
        "uid": name,
        "priority": 50,
        "source": "default",
        "containers": [],
    }


async def test_apply_creates_and_then_updates(http):
    status, body = await http.apply(NODE, node(), "damon-operator")
    assert (status, body["metadata"]["generation"]) == (201, 1)
    status, body = await http.apply(NODE, node(hash="1"), "damon-operator")
    assert (status, body["metadata"]["generation"]) == (200, 2)
    status, again = await http.apply(NODE, node(hash="1"), "damon-operator")
    assert again["metadata"]["resourceVersion"] == body["metadata"]["resourceVersion"]


async def test_apply_needs_a_manager(http):
    status, body = await http.patch(NODE, node(), "apply-patch+yaml")
    assert (status, body["details"]["causes"][0]["field"]) == (422, "fieldManager")


async def test_a_field_that_is_no_longer_said_goes(http, tuning):
    await http.apply(ONE, tuning(nodeSelector={"a": "1", "b": "2"}, precedence=5), "me")
    _, body = await http.apply(ONE, tuning(nodeSelector={"a": "1"}), "me")
    assert body["spec"]["nodeSelector"] == {"a": "1"}
    assert body["spec"]["precedence"] == 0, "back to its default"


async def test_a_field_that_another_manager_says_as_well_stays(http, tuning):
    await http.apply(ONE, tuning(precedence=5), "me")
    await http.apply(ONE, tuning(precedence=5), "you")
    _, body = await http.apply(ONE, tuning(), "me")
    assert body["spec"]["precedence"] == 5


async def test_a_field_of_another_manager_is_a_conflict_unless_forced(http, tuning):
    await http.apply(ONE, tuning(precedence=5), "me")
    status, body = await http.apply(ONE, tuning(precedence=6), "you")
    assert (status, body["reason"]) == (409, "Conflict")
    cause = body["details"]["causes"][0]
    assert (cause["field"], cause["reason"]) == (".spec.precedence", "FieldManagerConflict")
    assert 'conflict with "me"' in cause["message"]
    status, body = await http.apply(ONE, tuning(precedence=6), "you", force=True)
    assert (status, body["spec"]["precedence"]) == (200, 6)
    _, body = await http.apply(ONE, tuning(), "me")
    assert body["spec"]["precedence"] == 6, "it was taken from me"


async def test_an_ordinary_write_takes_the_field_over(http, tuning):
    await http.apply(ONE, tuning(precedence=5), "me")
    _, body = await http.patch(ONE, {"spec": {"precedence": 7}}, fieldManager="editor")
    owners = {e["manager"]: e["fieldsV1"] for e in body["metadata"]["managedFields"]}
    assert owners == {"editor": {"f:spec": {"f:precedence": {}}}}
    status, body = await http.apply(ONE, tuning(precedence=5), "me")
    assert status == 409
    assert 'conflict with "editor" using judged.damon-operator.io/v1alpha1' in body["message"]


async def test_defaults_belong_to_who_creates_and_not_to_who_applies(http, tuning):
    await http.create(tuning())
    status, body = await http.apply(ONE, tuning(precedence=5), "me")
    assert (status, body["details"]["causes"][0]["field"]) == (409, ".spec.precedence")
    _, body = await http.apply(ONE.replace("one", "two"), tuning("two", mode="Off"), "me")
    (entry,) = body["metadata"]["managedFields"]
    assert entry["fieldsV1"] == {"f:spec": {"f:mode": {}}}


async def test_what_is_atomic_is_replaced_and_owned_as_a_whole(http):
    await http.apply(NODE, node(pods=[planned("a"), planned("b")]), "damon-operator")
    _, body = await http.apply(NODE, node(pods=[planned("c")]), "damon-operator")
    assert [pod["name"] for pod in body["spec"]["pods"]] == ["c"]
    (entry,) = body["metadata"]["managedFields"]
    assert entry["fieldsV1"]["f:spec"] == {}, "the whole plan is atomic"


async def test_spec_and_status_have_their_own_owners(http):
    status = {"observedGeneration": 1, "observedHash": "0"}
    await http.apply(NODE, {**node(), "status": status}, "damon-operator")
    _, body = await http.apply(
        f"{NODE}/status", {**node(mode="Off"), "status": status}, "damon-agent"
    )
    assert (body["spec"]["mode"], body["status"]) == ("Observe", status)
    owners = {e["manager"]: e for e in body["metadata"]["managedFields"]}
    assert set(owners["damon-operator"]["fieldsV1"]) == {"f:spec"}
    assert set(owners["damon-agent"]["fieldsV1"]) == {"f:status"}
    assert owners["damon-agent"]["subresource"] == "status"


async def test_the_status_of_nothing_is_not_created(http):
    status, _ = await http.apply(f"{NODE}/status", {**node(), "status": {}}, "damon-agent")
    assert status == 404


def condition(kind, state="True"):
    return {
        "type": kind,
        "status": state,
        "reason": "Test",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


async def test_keyed_lists_merge_by_their_key(http):
    await http.apply(NODE, node(), "damon-operator")

    def said(*conditions):
        return {**node(), "status": {"conditions": list(conditions)}}

    path = f"{NODE}/status"
    await http.apply(path, said(condition("Ready"), condition("Applied")), "damon-agent")
    await http.apply(path, said(condition("Extra")), "somebody")
    _, body = await http.apply(path, said(condition("Ready", "False")), "damon-agent")
    states = {c["type"]: c["status"] for c in body["status"]["conditions"]}
    assert states == {"Ready": "False", "Extra": "True"}


async def test_an_unknown_field_cannot_be_applied(http, tuning):
    status, body = await http.apply(ONE, tuning(bogus=1), "me")
    assert status == 500
    assert ".spec.bogus: field not declared in schema" in body["message"]


async def test_a_value_of_the_wrong_type_cannot_be_applied(http, tuning):
    status, body = await http.apply(ONE, tuning(protectFrom="eighty"), "me")
    assert status == 500
    assert ".spec.protectFrom: expected numeric (int or float), got string" in body["message"]


async def test_core_objects_can_be_applied(http, pod):
    body = pod("p", labels={"a": "b"})
    status, created = await http.apply(f"{PODS}/p", body, "me")
    assert (status, created["status"]["phase"]) == (201, "Pending")
    body["metadata"]["labels"] = {}
    _, changed = await http.apply(f"{PODS}/p", body, "me")
    assert not changed["metadata"].get("labels")


labels = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)


@pytest.mark.embedded
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["me", "you"]), labels), max_size=6))
def test_after_any_applies_exactly_what_managers_last_said_is_there(steps):
    """With force the last one to say a key wins; what nobody says any more is gone."""
    registry = Registry()
    cluster = Cluster(registry)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    said: dict[str, dict[str, str]] = {}
    values: dict[str, str] = {}
    for manager, data in steps:
        cluster.apply({**config, "data": data}, manager=manager, force=True)
        said = {
            other: {k: v for k, v in keys.items() if data.get(k, v) == v}
            for other, keys in said.items()
        }
        said[manager] = data
        values |= data
        spoken = set().union(*said.values())
        values = {key: value for key, value in values.items() if key in spoken}
        assert cluster.get("cm", "c").get("data", {}) == values


@pytest.mark.embedded
@pytest.mark.parametrize("manager", ["me", "you"])
def test_loaded_objects_have_no_owners_until_somebody_writes(manager, pod):
    cluster = Cluster(Registry())
    cluster.load([pod("p", labels={"a": "1"})])
    cluster.apply(pod("p", labels={"a": "2"}), manager=manager)
    assert cluster.get("pods", "p")["metadata"]["labels"] == {"a": "2"}
