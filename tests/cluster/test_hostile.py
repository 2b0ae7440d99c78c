"""Objects of any size and shape cost themselves, and nothing else."""

import pytest

from damon_contract.watches import LINE_BYTES
from damon_operator import metrics


def stream_of(lab, name: str):
    (stream,) = [s for s in lab.service.streams if s.resource.name == name]
    return stream


def left_out(lab) -> dict[str, float]:
    (family,) = [
        family
        for family in metrics.families(lab.service)
        if family.name == "damon_operator_stream_left_out_objects"
    ]
    return {sample.labels["resource"]: sample.value for sample in family.samples if sample.value}


def status_of(lab) -> dict:
    return lab.api.cluster.get("damontunings", "all")["status"]


async def test_a_pod_whose_every_character_is_escaped_is_read(lab):
    escaped = lab.prioritised("escaped", "44")
    escaped["spec"]["volumes"] = [{"name": "v", "x": "\x01" * 900_000}]
    lab.create(escaped)
    lab.create(lab.prioritised("after", "45"))
    wanted = {"n1-low": 30, "n1-high": 60, "escaped": 44, "after": 45}
    await lab.planned_as("n1", wanted)
    lab.api.expire_watches()
    await lab.eventually(lambda: stream_of(lab, "pods").relists == 2)
    assert lab.planned("n1") == wanted


async def test_a_pod_too_large_to_read_is_left_out_while_the_others_go_on(lab):
    large = lab.prioritised("large", "44")
    large["status"]["message"] = "x" * LINE_BYTES
    lab.create(large, lab.prioritised("after", "45"))
    others = {"n1-low": 30, "n1-high": 60, "after": 45}
    await lab.planned_as("n1", others)
    assert stream_of(lab, "pods").relists == 1
    await lab.eventually(lambda: [e[:2] for e in lab.events()] == [("large", "PodUnreadable")])
    assert left_out(lab) == {"pods": 1}
    lab.api.expire_watches()
    await lab.eventually(lambda: stream_of(lab, "pods").relists == 2)
    assert (lab.planned("n1"), left_out(lab)) == (others, {"pods": 1})
    lab.api.cluster.patch("pods", "large", {"status": {"message": ""}}, subresource="status")
    await lab.planned_as("n1", {**others, "large": 44})
    assert left_out(lab) == {}


@pytest.mark.parametrize("field", ["metadata.labels", "spec", "status", "status.containerStatuses"])
@pytest.mark.parametrize("value", [5, "x", ["x"], [[]]])
async def test_an_object_of_an_odd_shape_ends_nothing(lab, field, value):
    pods = stream_of(lab, "pods")
    odd = lab.prioritised("odd", "44")
    odd["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    *way, last = field.split(".")
    (odd[way[0]] if way else odd)[last] = value
    pods._put(odd)
    lab.create(lab.prioritised("after", "45"))
    await lab.eventually(lambda: lab.planned("n1").get("after") == 45)
    pods._drop("u")


def failing_once(clock):
    errors = iter([LookupError("nobody thought of this")])

    def read():
        for error in errors:
            raise error
        return clock()

    return read


async def test_a_surprise_in_the_work_costs_it_a_pause(lab, caplog):
    """No input is known that brings one about; clocks are handed in, and so may fail."""
    service = lab.service
    service.clock = failing_once(service.clock)
    service.statuses.now = failing_once(service.now)
    lab.create(lab.prioritised("new", "45"))
    await lab.planned_as("n1", {"n1-low": 30, "n1-high": 60, "new": 45})
    await lab.eventually(lambda: status_of(lab)["totals"]["pods"] == 5)
    assert "failed unexpectedly part=Service._plan" in caplog.text
    assert "status not written tuning=all failures=1" in caplog.text
    assert "error=LookupError" in caplog.text


@pytest.mark.parametrize(
    "odd",
    [{}, {"metadata": 5}, {"metadata": {"name": ["x"], "uid": {}}, "spec": 5, "status": [5]}],
    ids=str,
)
async def test_an_odd_answer_to_a_write_costs_that_write_a_pause(lab, odd, caplog):
    answered = set()

    def in_between(request, _stored):
        answered.add(request.resource)
        return odd

    lab.api.faults.on_write = in_between
    lab.create(lab.prioritised("p", "30"))
    await lab.eventually(lambda: {"damonnodes", "damontunings"} <= answered)
    lab.api.faults.on_write = None
    lab.create(lab.prioritised("q", "30"))
    await lab.eventually(lambda: "q" in lab.planned("n1"))
    await lab.eventually(lambda: status_of(lab)["totals"]["pods"] == 6)
    assert "failed unexpectedly" not in caplog.text
