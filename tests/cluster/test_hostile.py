"""Objects of any size and shape cost themselves, and nothing else."""

import pytest

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


async def test_a_pod_too_large_to_read_is_left_out_while_the_others_go_on(lab, monkeypatch):
    monkeypatch.setattr("damon_operator.cluster.LINE_BYTES", 100_000)
    large = lab.prioritised("large", "44")
    large["status"]["message"] = "x" * 200_000
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


async def test_a_surprise_in_any_part_of_the_work_costs_that_part_a_pause(lab, monkeypatch):
    surprises = []

    def surprised(self, *_args, **_kwargs):
        surprises.append(self)
        monkeypatch.undo()
        raise LookupError("nobody thought of this")

    world, cluster = type(lab.service.world), type(lab.cluster)
    parts = ((world, "replan"), (world, "take_dirty"), (world, "action"), (world, "tally"))
    for number, (owner, method) in enumerate((*parts, (cluster, "write_tuning_status"))):
        monkeypatch.setattr(owner, method, surprised)
        lab.create(lab.prioritised(f"p{number}", "30"))
        await lab.eventually(lambda count=number: len(surprises) > count)
        lab.create(lab.prioritised(f"q{number}", "30"))
        await lab.eventually(lambda name=f"q{number}": name in lab.planned("n1"))
