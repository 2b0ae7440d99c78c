"""`kubectl damon status`, as a process against the embedded API."""

import cluster_objects as made
import pytest
from cluster_objects import condition, tuning
from cluster_objects import damon_node as node_with


def damon_node(name, reason="Applied"):
    status = "True" if reason == "Applied" else "False"
    return node_with(name, ("a", 40), ("b", 50), ready=(status, reason), reported=bool(reason))


def status_with(*conditions):
    return {"observedGeneration": 1, "conditions": [*conditions]}


def test_all_is_well(lab):
    lab.tuned()
    lab.create(damon_node("n1"), damon_node("n2"))
    asked = lab.ask("status")
    assert asked.code == 0, asked.err
    assert "ready: 2 nodes, 4 processes in lanes" in asked.out
    assert "\x1b" not in asked.out


def test_a_document_has_a_head_and_the_documented_fields(lab):
    lab.tuned()
    lab.create(damon_node("n1"))
    told = lab.ask("status", "-o", "json").data
    assert told["apiVersion"] == "cli.damon-operator.io/v1alpha1"
    assert told["kind"] == "Status"
    assert told["ready"] is True
    assert told["nodes"] == [{"reason": "Applied", "ready": "True", "nodes": 1, "examples": ["n1"]}]


def test_what_is_unmet_is_told_with_what_to_do(lab):
    lab.tuned(reason="Applying")
    lab.create(damon_node("n1"), damon_node("n2", "NoSwap"), damon_node("n3", "NoSwap"))
    asked = lab.ask("status")
    assert asked.code == 1
    assert "2 nodes (n2, n3): NoSwap" in asked.out
    assert "-> add swap or zram" in asked.out


def test_a_node_that_is_served_without_damon_is_ready_and_has_its_reason(lab):
    lab.tuned()
    served = made.without_damon(("a", 40), ("b", 50))
    lab.create(damon_node("n2"), {**served, "metadata": {"name": "n1"}})
    asked = lab.ask("status")
    assert asked.code == 0, asked.err
    assert "ready: 2 nodes, 2 processes in lanes" in asked.out
    told = lab.ask("status", "-o", "json").data
    assert told["unmet"] == []
    assert {"reason": "NoDamon", "ready": "True", "nodes": 1, "examples": ["n1"]} in told["nodes"]


def test_how_far_a_changed_tuning_has_come_is_told(lab):
    lab.create(tuning(mode="Enforce"), damon_node("n1"))
    so_far = "3 of 12 nodes have revision ab; halted because node n2: DamonBusy"
    halted = [condition(k, "False", "RolloutHalted", so_far) for k in ("Ready", "RolledOut")]
    lab.set_status("dt", "default", status_with(*halted))
    told = lab.ask("status")
    assert told.out.count(so_far) == 1
    assert "mend that node, or restore the spec before" in told.out
    done = "all 12 nodes have revision ab"
    well = condition("Ready", "True", "Applied"), condition("RolledOut", "True", "RolledOut", done)
    lab.set_status("dt", "default", status_with(*well))
    assert f"rollout of dt/default: {done}" in lab.ask("status").out
    assert lab.ask("status", "-o", "json").data["tunings"][0]["rollout"] == done


def test_a_node_whose_agent_says_nothing_is_silent(lab):
    lab.tuned()
    lab.create(damon_node("n1"), damon_node("n2", ""))
    told = lab.ask("status", "-o", "json").data
    assert told["silent"] == ["n2"]
    assert not told["ready"]


def test_without_a_tuning_it_says_that_nothing_happens(lab):
    asked = lab.ask("status")
    assert asked.code == 1
    assert "there is no DamonTuning" in asked.out


def test_without_the_crds_it_says_so(empty):
    asked = empty.ask("status")
    assert asked.code == 3
    assert "its CRDs are not installed" in asked.err


def test_waiting_prints_each_reason_and_ends_when_all_is_ready(lab):
    lab.tuned(reason="Applying")
    lab.create(damon_node("n1"))
    with lab.start("status", "--wait=60s") as waiting:
        assert waiting.stderr.readline() == "waiting: dt/default: Applying: so it is\n"
        lab.tuned(reason="NoNodes")
        assert waiting.stderr.readline() == "waiting: dt/default: NoNodes: so it is\n"
        lab.tuned()
        out, _ = waiting.communicate(timeout=60)
        assert waiting.returncode == 0
        assert "ready: 1 nodes" in out


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_outlasts_an_api_server_that_does_not_answer_for_a_while(lab, status):
    lab.tuned(reason="Applying")
    lab.create(damon_node("n1"))
    # The first look, and later one of a table and one of a watch.
    lab.api.call(lab.api.server.faults.fail_next, 1, status, path="/damontunings")
    with lab.start("status", "--wait=60s") as waiting:
        unanswered = f"waiting: the API server cannot answer now: {status} ordered by the mock\n"
        assert waiting.stderr.readline() == unanswered
        assert waiting.stderr.readline() == "waiting: dt/default: Applying: so it is\n"
        lab.api.call(lab.api.server.faults.fail_next, 2, status, path="/damonnodes")
        lab.api.call(lab.api.server.faults.fail_next, 1, status, path="/damontunings")
        lab.tuned(reason="NoNodes")
        assert waiting.stderr.readline() == unanswered
        assert waiting.stderr.readline() == "waiting: dt/default: NoNodes: so it is\n"
        lab.tuned()
        _, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, err) == (0, "")


def test_a_wait_outlasts_a_restart_of_the_api_server(lab):
    lab.tuned(reason="Applying")
    lab.create(damon_node("n1"))
    with lab.start("status", "--wait=60s") as waiting:
        assert waiting.stderr.readline() == "waiting: dt/default: Applying: so it is\n"
        lab.api.run(lab.api.server.down())
        assert "waiting: no answer from" in waiting.stderr.readline()
        lab.api.run(lab.api.server.up())
        lab.tuned()
        waiting.communicate(timeout=60)
    assert waiting.returncode == 0


def test_a_wait_without_an_answer_ends_with_3_when_its_time_is_over(lab):
    lab.api.run(lab.api.server.down())
    asked = lab.ask("status", "--wait=1s")
    assert asked.code == 3
    assert [line.partition(" ")[0] for line in asked.err.splitlines()] == ["waiting:", "error:", ""]


def test_what_waiting_does_not_mend_ends_a_wait_at_once(lab):
    lab.tuned(reason="Applying")
    with lab.start("status", "--wait=60s") as waiting:
        assert waiting.stderr.readline() == "waiting: dt/default: Applying: so it is\n"
        lab.api.call(lab.api.server.faults.fail_next, 9, 403)
        lab.tuned(reason="NoNodes")
        assert waiting.wait(timeout=30) == 3


def test_waiting_in_vain_ends_with_1(lab):
    asked = lab.ask("status", "--wait=1s")
    assert asked.code == 1
    assert "waiting: tunings: NoTuning" in asked.err


def test_thousands_of_nodes_are_asked_for_as_a_table(lab):
    lab.tuned()
    lab.create(*(damon_node(f"n{number}") for number in range(3)))
    lab.ask("status")
    paths = [r.path for r in lab.api.server.journal.requests]
    assert paths == [
        "/apis/damon-operator.io/v1alpha1/damontunings",
        "/apis/damon-operator.io/v1alpha1/damonnodes",
    ]


@pytest.mark.parametrize("arguments", [("bogus",), ("status", "-o", "xml"), ("status", "--wait=x")])
def test_a_command_line_that_cannot_be_used_ends_with_2(lab, arguments):
    asked = lab.ask(*arguments)
    assert asked.code == 2
    assert "Error:" in asked.err
