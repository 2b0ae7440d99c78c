"""What the models accept, and that a refusal names the field."""

import pytest
from pydantic import ValidationError

from damon_contract.v1alpha1.model import Condition, Verdict, settle
from damon_contract.v1alpha1.node import DamonNodeSpec, PlannedContainer
from damon_contract.v1alpha1.tuning import DamonTuningSpec, Settings


def test_an_empty_tuning_is_complete_and_only_observes():
    spec = DamonTuningSpec.model_validate({})
    assert spec.mode == "Observe"
    assert (spec.protect_from, spec.eager_up_to) == (80, 20)
    assert spec.priorities.exempt_namespaces == ("kube-system",)
    assert spec.reclaim.quota is None
    assert spec.tuning == "Auto"


def test_an_agent_can_tell_a_min_age_that_is_set_from_one_that_is_not():
    plan = {"tuning": "t", "mode": "Enforce", "hash": "h"}
    for settings in ({}, {"reclaim": {"minAge": "24s"}}):
        spec = DamonNodeSpec.model_validate({**plan, "settings": settings})
        wire = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        stated = settings.get("reclaim", {}).get("minAge")
        assert wire["settings"]["reclaim"].get("minAge") == stated


ANNOTATION = {"annotation": {"min": 60, "max": 40}}
QUOTA_TIME = {"quota": {"bytes": "1Mi", "time": "10ms"}}
QUOTA_WINDOW = {"quota": {"bytes": "1Mi", "window": "1s"}}
BOTH = {"rules": [{"priority": 5, "exempt": True}]}


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"protectFrom": "eighty"}, "protectFrom", "valid integer"),
        ({"protectFrom": 101}, "protectFrom", "less than or equal to 100"),
        ({"tuning": "auto"}, "tuning", "'Fixed' or 'Auto'"),
        ({"mode": "enforce"}, "mode", "'Observe', 'Enforce' or 'Off'"),
        ({"colour": "red"}, "colour", "not permitted"),
        ({"reclaim": QUOTA_TIME}, "reclaim.quota.time", "not permitted"),
        ({"reclaim": QUOTA_WINDOW}, "", "reclaim.quota.window must not be below"),
        ({"reclaim": {"minAge": "soon"}}, "reclaim.minAge", "pattern"),
        ({"priorities": ANNOTATION}, "priorities.annotation", "min must not be above max"),
        ({"priorities": BOTH}, "priorities.rules.0", "not both"),
        ({"priorities": {"rules": [{}]}}, "priorities.rules.0", "not neither"),
        ({"watermarks": {"floorPermille": 700}}, "watermarks", "floorPermille must not be above"),
        ({"monitoring": {"sampleInterval": "3s"}}, "monitoring", "must not be above aggregation"),
        ({"monitoring": {"sampleInterval": "100ms"}}, "monitoring", "fewer than 10 samples"),
        ({"eagerUpTo": 80}, "", "eagerUpTo must be below protectFrom"),
    ],
)
def test_a_bad_tuning_is_refused_with_the_fields_name(body, field, words):
    with pytest.raises(ValidationError) as refused:
        DamonTuningSpec.model_validate(body)
    (error,) = refused.value.errors()
    assert ".".join(map(str, error["loc"])) == field
    assert words in error["msg"]


def test_a_container_id_is_64_hex_digits():
    with pytest.raises(ValidationError):
        PlannedContainer(name="app", id="ab" * 31)


def test_a_plan_survives_the_wire():
    spec = DamonNodeSpec(tuning="default", mode="Enforce", settings=Settings(), hash="x")
    assert DamonNodeSpec.model_validate_json(spec.model_dump_json(by_alias=True)) == spec


def test_a_condition_keeps_its_transition_time_while_its_status_stays():
    before = Condition(
        type="Ready", status="True", reason="Applied", message="", last_transition_time="T0"
    )
    same = Verdict(type="Ready", status="True", reason="AsExpected", message="fine")
    flipped = Verdict(type="Ready", status="False", reason="NoSwap", message="no swap")
    (kept,) = settle([same], [before], now="T1", generation=3)
    (changed,) = settle([flipped], [before], now="T1", generation=3)
    assert (kept.last_transition_time, kept.reason, kept.observed_generation) == (
        "T0",
        "AsExpected",
        3,
    )
    assert (changed.last_transition_time, changed.status) == ("T1", "False")


def test_a_condition_that_is_no_longer_said_goes():
    before = Condition(type="Old", status="True", reason="R", message="", last_transition_time="T0")
    assert settle([], [before], now="T1", generation=1) == ()
