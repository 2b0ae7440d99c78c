import pytest

from damon_mock.kube.validation import refusals

TUNINGS = "/apis/judged.damon-operator.io/v1alpha1/damontunings"


async def test_defaults_are_filled_in(http, tuning):
    _, body = await http.call("POST", TUNINGS, tuning())
    assert body["spec"]["mode"] == "Observe"
    assert body["spec"]["watermarks"]["ceilingPermille"] == 600
    assert body["spec"]["priorities"]["exemptNamespaces"] == ["kube-system"]


async def test_null_counts_as_absent(http, tuning):
    _, body = await http.call("POST", TUNINGS, tuning(mode=None))
    assert body["spec"]["mode"] == "Observe"


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"protectFrom": "80"},
            "spec.protectFrom",
            'Invalid value: "string": spec.protectFrom in body must be of type integer: "string"',
        ),
        (
            {"protectFrom": 101},
            "spec.protectFrom",
            "Invalid value: 101: spec.protectFrom in body should be less than or equal to 100",
        ),
        (
            {"eagerUpTo": -1},
            "spec.eagerUpTo",
            "Invalid value: -1: spec.eagerUpTo in body should be greater than or equal to 0",
        ),
        (
            {"mode": "On"},
            "spec.mode",
            'Unsupported value: "On": supported values: "Observe", "Enforce", "Off"',
        ),
        (
            {"mode": False},
            "spec.mode",
            'Invalid value: "boolean": spec.mode in body must be of type string: "boolean"',
        ),
        (
            {"reclaim": {"minAge": "soon"}},
            "spec.reclaim.minAge",
            'Invalid value: "soon": spec.reclaim.minAge in body should match',
        ),
        (
            {"reclaim": {"minAge": "24s\n"}},
            "spec.reclaim.minAge",
            'Invalid value: "24s\\n": spec.reclaim.minAge in body should match',
        ),
        ({"reclaim": {"quota": {}}}, "spec.reclaim.quota.bytes", "Required value"),
        (
            {"priorities": {"exemptNamespaces": ["n"] * 65}},
            "spec.priorities.exemptNamespaces",
            "Too many: 65: must have at most 64 items",
        ),
        (
            {"priorities": {"rules": [{"name": "n" * 64, "exempt": True}]}},
            "spec.priorities.rules[0].name",
            "Too long: may not be more than 63 bytes",
        ),
        (
            {"eagerUpTo": 80},
            "spec",
            "Invalid value: eagerUpTo must be below protectFrom",
        ),
        (
            {"priorities": {"rules": [{"name": "n"}]}},
            "spec.priorities.rules[0]",
            "Invalid value: a rule says either priority or exempt",
        ),
        (
            {"monitoring": {"sampleInterval": "10s", "aggregationInterval": "9s"}},
            "spec.monitoring",
            "Invalid value: sampleInterval must not be above aggregationInterval",
        ),
    ],
)
async def test_a_wrong_value_is_refused_with_the_name_of_its_field(
    http, tuning, spec, field, message
):
    status, body = await http.call("POST", TUNINGS, tuning(**spec))
    assert (status, body["reason"]) == (422, "Invalid")
    cause = body["details"]["causes"][0]
    assert cause["field"] == field
    assert cause["message"].startswith(message)
    assert 'DamonTuning.judged.damon-operator.io "one" is invalid: ' in body["message"]
    assert f"{field}: {message}" in body["message"]


async def test_rules_are_said_to_be_unchecked_while_types_are_wrong(http, tuning):
    _, body = await http.call("POST", TUNINGS, tuning(protectFrom="x", eagerUpTo=99))
    assert "some validation rules were not checked" in body["message"]


async def test_a_missing_spec_is_named(http, tuning):
    body = tuning()
    del body["spec"]
    status, answer = await http.call("POST", TUNINGS, body)
    assert (status, answer["details"]["causes"][0]["field"]) == (422, "spec")


async def test_unknown_fields_are_refused_warned_of_or_dropped_in_silence(http, tuning):
    body = tuning(bogus=1, reclaim={"speed": 9})
    status, answer = await http.call("POST", TUNINGS, body, fieldValidation="Strict")
    assert status == 400
    assert 'unknown field "spec.bogus", unknown field "spec.reclaim.speed"' in answer["message"]
    status, answer = await http.call("POST", TUNINGS, body)
    assert (status, "bogus" in answer["spec"]) == (201, False)
    assert http.warnings == [
        '299 - "unknown field \\"spec.bogus\\""',
        '299 - "unknown field \\"spec.reclaim.speed\\""',
    ]
    other = {**body, "metadata": {"name": "two"}}
    status, _ = await http.call("POST", TUNINGS, other, fieldValidation="Ignore")
    assert (status, http.warnings) == (201, [])
    change = {"spec": {"bogus": 1}}
    status, answer = await http.patch(f"{TUNINGS}/one", change, fieldValidation="Strict")
    assert status == 422


async def test_labels_of_a_selector_are_free_but_typed(http, tuning):
    status, body = await http.call("POST", TUNINGS, tuning(nodeSelector={"a/b": "c"}))
    assert (status, body["spec"]["nodeSelector"]) == (201, {"a/b": "c"})
    status, body = await http.call("POST", TUNINGS, tuning("two", nodeSelector={"a/b": 1}))
    assert (status, body["details"]["causes"][0]["field"]) == (422, "spec.nodeSelector.a/b")


async def test_an_update_is_validated_as_well(http, tuning):
    await http.call("POST", TUNINGS, tuning())
    status, _ = await http.patch(f"{TUNINGS}/one", {"spec": {"eagerUpTo": 90}})
    assert status == 422


@pytest.mark.parametrize(
    ("value", "taken"),
    [(1, True), ("5%", True), (0, False), ("5", False), (True, False), ([], False)],
)
@pytest.mark.embedded
def test_an_int_or_string_is_one_of_both_and_bounded_as_what_it_is(value, taken):
    field = {"x-kubernetes-int-or-string": True, "minimum": 1, "pattern": "^[0-9]+%$"}
    schema = {"type": "object", "properties": {"n": field}}
    assert (refusals({"n": value}, schema, None) == []) == taken


@pytest.mark.embedded
async def test_a_removed_definition_takes_its_objects_along(api, http, tuning):
    api.cluster.create(tuning())
    api.cluster.delete("crd", "damontunings.judged.damon-operator.io")
    assert (await http.call("GET", TUNINGS))[0] == 404
    assert api.registry.store.ordered("damontunings.judged.damon-operator.io") == []


@pytest.mark.embedded
async def test_without_an_evaluator_rules_are_not_checked(api, http, tuning):
    api.registry.rules = None
    status, _ = await http.call("POST", TUNINGS, tuning(eagerUpTo=80))
    assert status == 201
