"""Several DamonTunings, bad ones, and bad annotations."""

import asyncio

import pytest

REJECTED = {
    "empty": "",
    "word": "abc",
    "zero": "0",
    "above": "101",
    "negative": "-5",
    "fraction": "50.5",
    "exponent": "1e3",
    "full-width": "\uff15\uff10",
    "long": "9" * 10_000,
}


async def test_a_bad_annotation_is_told_to_its_pod_and_the_others_go_on(lab):
    lab.create(*(lab.prioritised(f"bad-{name}", text) for name, text in REJECTED.items()))
    bad = {f"bad-{name}": 50 for name in REJECTED}
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, **bad})
    await lab.eventually(lambda: len(lab.events()) == len(REJECTED))
    for pod, reason, message in lab.events():
        assert pod in bad
        assert reason == "PriorityRejected"
        assert "damon-operator.io/priority" in message
        assert len(message) <= 1024
    await lab.eventually(
        lambda: (
            lab.api.cluster.get("damontunings", "all")["status"]["pods"]["rejected"]
            == len(REJECTED)
        )
    )
    lab.create(lab.prioritised("later", "45"))
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "later": 45, **bad})
    await lab.quiet()
    assert len(lab.events()) == len(REJECTED)


async def test_another_bad_value_is_told_again_and_a_good_one_ends_it(lab):
    lab.create(lab.prioritised("p", "abc"))
    await lab.eventually(lambda: len(lab.events()) == 1)
    lab.api.cluster.annotate("pods", "p", {"damon-operator.io/priority": "xyz"})
    await lab.eventually(lambda: len(lab.events()) == 2)
    lab.api.cluster.annotate("pods", "p", {"damon-operator.io/priority": "33"})
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "p": 33})
    assert len(lab.events()) == 2


async def test_a_clamped_annotation_is_told_as_well(lab):
    lab.change_tuning("all", priorities={"annotation": {"max": 40}})
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 40})
    await lab.eventually(lambda: len(lab.events()) == 2)
    assert {reason for _, reason, _ in lab.events()} == {"PriorityClamped"}


async def test_an_event_that_nobody_may_write_stops_nothing(lab):
    lab.api.faults.fail_next(1, 403, method="POST", path="/events")
    lab.create(lab.prioritised("a", "abc"))
    await lab.eventually(lambda: any(r.status == 403 for r in lab.api.journal))
    lab.create(lab.prioritised("b", "abc"))
    await lab.eventually(lambda: [name for name, *_ in lab.events()] == ["b"])


BAD_SPECS = [
    ({"mode": 7}, "spec.mode"),
    ({"protectFrom": "80"}, "spec.protectFrom"),
    ({"watermarks": "none"}, "spec.watermarks"),
    ({"priorities": {"annotation": {"min": 90, "max": 10}}}, "spec.priorities.annotation"),
    ({"eagerUpTo": 95}, "eagerUpTo must be below protectFrom"),
    ({"fieldOfAnOlderServer": True}, "spec.fieldOfAnOlderServer"),
    ({"priorities": {"rules": [{"priority": 5, "exempt": True}]}}, "spec.priorities.rules.0"),
]


@pytest.mark.usefixtures("unchecked_crd")
@pytest.mark.parametrize(("spec", "words"), BAD_SPECS)
async def test_a_bad_tuning_is_told_the_field_and_takes_no_part(lab, spec, words):
    lab.create(lab.tuning("bad", **{"precedence": 100, **spec}))
    condition = await lab.conditioned("bad", "Valid", "Invalid")
    assert condition["status"] == "False"
    assert words in condition["message"]
    assert lab.condition("bad", "Ready")["reason"] == "Invalid"
    lab.create(lab.prioritised("later", "45"))
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "later": 45})
    assert lab.plan("n1")["tuning"] == "all"


@pytest.mark.usefixtures("unchecked_crd")
async def test_a_tuning_that_turns_bad_keeps_its_last_valid_spec_in_force(lab):
    lab.change_tuning("all", mode="Enforcing", protectFrom=10)
    condition = await lab.conditioned("all", "Valid", "Invalid")
    assert "spec.mode" in condition["message"]
    assert "last valid spec stays in force" in condition["message"]
    lab.create(lab.prioritised("later", "45"))
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "later": 45})
    assert (lab.plan("n1")["mode"], lab.plan("n1")["settings"]["protectFrom"]) == ("Enforce", 80)
    lab.change_tuning("all", mode="Observe", protectFrom=70)
    await lab.conditioned("all", "Valid", "Valid")
    await lab.eventually(lambda: lab.plan("n1")["settings"]["protectFrom"] == 70)


async def test_of_two_tunings_for_a_node_the_loser_names_the_winner(lab):
    lab.create(lab.tuning("gold", precedence=5, nodeSelector={"pool": "a"}, mode="Observe"))
    partly = await lab.conditioned("all", "Overridden", "PartlyOverridden")
    assert "gold (1)" in partly["message"]
    assert (lab.plan("n1")["tuning"], lab.plan("n2")["tuning"]) == ("gold", "all")
    lab.change_tuning("gold", nodeSelector={"pool": None})
    wholly = await lab.conditioned("all", "Overridden", "Overridden")
    assert "gold (2)" in wholly["message"]
    lab.api.cluster.delete("damontunings", "gold")
    await lab.conditioned("all", "Overridden", "NotOverridden")
    await lab.eventually(lambda: lab.plan("n1")["tuning"] == "all")


async def test_without_tunings_there_are_no_plans(lab):
    lab.api.cluster.delete("damontunings", "all")
    await lab.eventually(lambda: lab.plan("n1") is None and lab.plan("n2") is None)


async def test_a_deleted_tuning_is_noticed_without_anybody_saying_so(lab):
    lab.api.cluster.delete("damontunings", "all")
    await lab.eventually(lambda: lab.plan("n1") is None)


async def test_labels_of_nodes_and_namespaces_are_followed(lab):
    rule = {"namespaceSelector": {"matchLabels": {"team": "a"}}, "priority": 5}
    lab.change_tuning("all", nodeSelector={"pool": "a"}, priorities={"rules": [rule]})
    await lab.eventually(lambda: lab.plan("n2") is None)
    lab.create(lab.pod("plain"))
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "plain": 50})
    lab.api.cluster.patch("namespaces", "default", {"metadata": {"labels": {"team": "a"}}})
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "plain": 5})
    lab.api.cluster.patch("nodes", "n2", {"metadata": {"labels": {"pool": "a"}}})
    await lab.planned_as("n2", {"n2-low": 30, "n2-high": 60})


@pytest.mark.parametrize("status", [409, 503])
async def test_a_status_that_cannot_be_written_is_tried_again(lab, status):
    lab.api.faults.fail_next(2, status, method="PATCH", path="/status")
    lab.create(lab.prioritised("x", "11"))
    pods = lambda: lab.api.cluster.get("damontunings", "all")["status"]["pods"]  # noqa: E731
    await lab.eventually(lambda: pods()["annotation"] == 5)


async def test_a_quiet_cluster_gets_neither_writes_nor_lists(lab):
    await asyncio.sleep(0.3)
    assert lab.api.journal.writes() == []
    assert lab.api.journal.reads("damontunings") == []
