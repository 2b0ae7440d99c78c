"""What one version of the operator understands of a status that another one has written."""

import pytest

from damon_contract.v1alpha1.tuning import DamonTuningSpec, DamonTuningStatus
from damon_operator.stored_status import read_status, replacement, unreadable_standing

STOOD = DamonTuningSpec.model_validate(
    {"mode": "Enforce", "protectFrom": 70, "priorities": {"rules": [{"name": "a", "priority": 5}]}}
).policy()
CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Applied",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


def stored():
    status = DamonTuningStatus(observed_generation=3, standing=STOOD)
    return {**status.model_dump(mode="json", by_alias=True), "conditions": [dict(CONDITION)]}


def places(value, path=()):
    """Yield the path of every object in a value."""
    if isinstance(value, dict):
        yield path
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


@pytest.mark.parametrize("path", [*places(stored())], ids=str)
def test_a_field_of_a_newer_version_is_ignored_wherever_it_is(path):
    raw = stored()
    inner = raw
    for step in path:
        inner = inner[step]
    inner["fromTheFuture"] = {"any": ["thing"]}
    assert read_status(raw) == read_status(stored())
    assert read_status(raw).standing == STOOD


@pytest.mark.parametrize("part", ["conditions", "nodes", "totals", "reasons", "rollout"])
def test_a_part_that_cannot_be_read_costs_itself(part):
    read = read_status({**stored(), part: "?"})
    assert getattr(read, part) == getattr(DamonTuningStatus(), part)
    assert (read.observed_generation, read.standing) == (3, STOOD)


def test_what_stood_and_cannot_be_read_is_kept_as_it_is_and_says_where():
    unread = {**stored()["standing"], "mode": "Predict"}
    status = read_status({**stored(), "standing": unread})
    assert status.standing == unread
    assert status.model_dump(mode="json", by_alias=True)["standing"] == unread
    assert unreadable_standing(status).startswith("status.standing.mode: ")


def test_nothing_that_stood_is_not_unreadable():
    assert unreadable_standing(None) == ""
    assert unreadable_standing(DamonTuningStatus()) == ""
    assert unreadable_standing(DamonTuningStatus(standing=STOOD)) == ""


def test_a_replacement_takes_out_what_is_not_wanted():
    before = {"a": {"b": 1, "new": 2}, "list": [{"new": 1}], "new": {"x": 1}}
    assert replacement(before, {"a": {"b": 3}, "list": [], "c": {"d": 4}}) == {
        "a": {"b": 3, "new": None},
        "list": [],
        "c": {"d": 4},
        "new": None,
    }
    assert replacement("?", {"a": 1}) == {"a": 1}
