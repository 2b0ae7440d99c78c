import pytest

from damon_agent.plans.plan import Invalid, Latest, Plan, Said, apply, identity, read, said


def test_a_damon_node_is_read_with_its_identity(damon_node, pod):
    item = damon_node(pod(1, "a1" * 32, "b2" * 32))
    item["metadata"] |= {"uid": "u1", "generation": 3}
    plan = read(item)
    assert isinstance(plan, Plan)
    assert (plan.uid, plan.generation, plan.spec.pods[0].priority) == ("u1", 3, 50)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"mode": "Sideways"}, "spec.mode"),
        ({"pods": [{"uid": "x"}]}, "spec.pods.0.namespace"),
        ({"settings": {"protectFrom": "many"}}, "spec.settings.protectFrom"),
        ({"settings": {"monitoring": {"sampleInterval": "1"}}}, "sampleInterval"),
        ({"surprise": 1}, "spec.surprise"),
        ({"settings": {"protectFrom": 10, "eagerUpTo": 20}}, "eagerUpTo must be below"),
    ],
)
def test_a_malformed_plan_is_told_with_the_name_of_the_field(damon_node, spec, field):
    invalid = read(damon_node(**spec))
    assert isinstance(invalid, Invalid)
    assert field in invalid.message


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        ["x"],
        {},
        {"spec": None},
        {"metadata": [], "spec": 3},
        {"metadata": {"generation": "x"}},
    ],
)
def test_an_object_of_any_shape_is_told_apart_without_an_exception(item):
    assert isinstance(read(item), Invalid)


def test_many_errors_are_counted_not_listed(damon_node, pod):
    broken = [pod(n, priority=0) for n in range(50)]
    invalid = read(damon_node(*broken))
    assert "and 47 more" in invalid.message
    assert len(invalid.message) < 600


def test_a_malformed_plan_leaves_the_last_valid_one_in_force(damon_node):
    good = read(damon_node())
    latest = apply(Latest(), good)
    latest = apply(latest, Invalid("u", 2, "spec.mode: wrong"))
    assert latest.plan is good
    assert latest.invalid is not None
    assert apply(latest, good).invalid is None


def test_a_deleted_object_is_known_to_be_no_plan(damon_node):
    latest = apply(apply(Latest(), read(damon_node())), None)
    assert latest.known
    assert latest.plan is None


def test_an_object_is_the_same_while_uid_generation_and_spec_are(damon_node):
    item = damon_node()
    item["metadata"] |= {"uid": "u1", "generation": 3}
    before = identity(item)
    item["status"] = {"targets": 3}
    item["metadata"]["resourceVersion"] = "9"
    assert identity(item) == before
    seen = {before}
    for metadata, spec in (({"generation": 4}, {}), ({"uid": "u2"}, {}), ({}, {"hash": "other"})):
        item["metadata"] |= metadata
        item["spec"] |= spec
        assert identity(item) not in seen
        seen.add(identity(item))


def test_what_a_status_says_is_of_one_plan(damon_node):
    item = damon_node(hash="h1")
    item["metadata"] |= {"uid": "u", "generation": 3}
    plan = read(item)
    applied = {
        "type": "Applied",
        "status": "True",
        "reason": "Applied",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 3,
    }
    item["status"] = {"observedHash": "h1", "conditions": [applied]}
    assert said(item).applied(plan)
    other = [
        {"observedHash": "h2", "conditions": [applied]},
        {"observedHash": 7, "conditions": [applied]},
        {"observedHash": "h1", "conditions": [applied | {"observedGeneration": 4}]},
        {"observedHash": "h1", "conditions": [applied | {"status": "False"}]},
        {"observedHash": "h1"},
        None,
    ]
    assert not any(said(item | {"status": status}).applied(plan) for status in other)
    item["metadata"]["uid"] = "another"
    assert not said(item).applied(plan)
    assert said(None) == Said()
