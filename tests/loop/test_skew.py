"""An agent beside an operator of another version; docs/upgrades.md promises what is asked here.

What the API hands out goes the agent's own way: `read`, then `apply`, then the loop.
"""

import copy
import json
from itertools import chain

import pytest

from damon_agent.plans.plan import Invalid, Plan, apply, read
from damon_contract import names, resources, schema
from damon_contract.v1alpha1.node import DamonNodeSpec, NodeReason
from damon_operator.facts import read_written

A = "a1" * 32
B = "b2" * 32

SPEC = schema.structural(DamonNodeSpec)


def complete(*pods, generation=1, **spec):
    """Return a DamonNode as the API stores one: all that has a default is stated."""
    whole = DamonNodeSpec.model_validate(
        {"tuning": "t", "mode": "Enforce", "settings": {}, "hash": f"h{generation}", **spec}
        | {"pods": list(pods)}
    )
    return {
        "metadata": {"name": "node", "uid": "uid-1", "generation": generation},
        "spec": whole.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def objects(path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of every object that is in each plan."""
    found = at(complete()["spec"], path)
    inner = [objects((*path, name)) for name in found if isinstance(found[name], dict)]
    return [path, *chain.from_iterable(inner)]


def optional() -> list[tuple[str, ...]]:
    """Return the path of every field that an older operator may not know."""
    return [
        (*path, name)
        for path in objects()
        for name in at(complete()["spec"], path)
        if name not in at(SPEC, inside(path)).get("required", ())
    ]


def inside(path: tuple[str, ...]) -> list[str]:
    """Return where the schema of the object at a path is."""
    return [step for name in path for step in ("properties", name)]


def at(item, path):
    for name in path:
        item = item[name]
    return item


def dotted(path):
    return ".".join(path) or "spec"


@pytest.fixture
def hear(machine):
    """Return a function that lets the API hand out an object."""

    def hear(item):
        found = apply(machine.plans.held, read(item))
        machine.hear(known=True, plan=found.plan, invalid=found.invalid)

    return hear


@pytest.fixture
def threads(machine):
    """Return a function that says which kdamond is which thread of the kernel."""
    return lambda: {k.index: k.pid for k in machine.emulator.kdamonds if k.running}


@pytest.mark.parametrize("path", objects(), ids=dotted)
def test_a_field_of_a_newer_operator_is_told_by_its_name_wherever_it_stands(path):
    item = complete()
    at(item["spec"], path)["fromTomorrow"] = "yes"
    invalid = read(item)
    assert isinstance(invalid, Invalid)
    assert ".".join(("spec", *path, "fromTomorrow")) in invalid.message


@pytest.mark.parametrize("path", optional(), ids=dotted)
def test_a_plan_without_a_field_that_an_older_operator_does_not_know_means_its_default(path):
    item = complete()
    del at(item["spec"], path[:-1])[path[-1]]
    plan = read(item)
    assert isinstance(plan, Plan)
    assert plan.spec == read(complete()).spec


def test_there_are_such_fields_in_every_part_of_the_settings():
    parts = {path[1] for path in optional() if path[:1] == ("settings",) and len(path) > 2}
    assert parts == {"brake", "monitoring", "reclaim", "safety", "watermarks"}


def test_under_a_newer_operator_the_last_plan_stays_in_the_same_kdamonds(
    machine, pod, hear, threads
):
    machine.start(10, machine.container(A))
    hear(complete(pod(1, A, priority=30)))
    machine.run(10)
    before = threads()
    assert machine.targets() == [10]
    machine.start(20, machine.container(B))
    newer = complete(pod(1, A, priority=30), pod(2, B, priority=60), generation=2)
    newer["spec"]["settings"]["reclaim"]["fromTomorrow"] = "yes"
    hear(newer)
    machine.run(30)
    assert (machine.targets(), threads()) == ([10], before)
    assert machine.condition("Ready").reason == NodeReason.PLAN_INVALID
    assert "fromTomorrow" in machine.condition("Ready").message

    machine.restart()  # it is moved to the new version and understands the plan
    del newer["spec"]["settings"]["reclaim"]["fromTomorrow"]
    hear(newer)
    machine.run(30)
    assert machine.targets() == [10, 20]
    assert before.items() <= threads().items()
    assert machine.condition("Ready").status == "True"


def test_under_an_older_operator_nothing_restarts_and_back_again(machine, pod, hear, threads):
    machine.start(10, machine.container(A))
    newest = complete(pod(1, A, priority=30))
    hear(newest)
    machine.run(10)
    before = threads()
    older = copy.deepcopy(newest) | {"metadata": {**newest["metadata"], "generation": 2}}
    older["spec"]["hash"] = "h2"
    settings = older["spec"]["settings"]
    del settings["brake"], settings["tuning"], settings["reclaim"]["action"]
    for generation, item in ((2, older), (3, newest)):
        item["metadata"]["generation"] = generation
        hear(item)
        machine.run(30)
        assert (machine.targets(), threads()) == ([10], before)
        assert machine.condition("Ready").status == "True"


def test_the_operator_takes_the_word_of_an_agent_of_any_version():
    item = complete() | {"apiVersion": names.API_VERSION, "kind": resources.NODE.kind}
    item["status"] = {
        "observedHash": "h1",
        "fromTomorrow": {"any": "thing"},
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "FromTomorrow", "more": 1},
            {"type": "OfTomorrow", "status": "Unknown"},
        ],
    }
    written = read_written(item)
    assert written.observed_hash == "h1"
    assert written.conditions[0][:3] == ("Ready", "False", "FromTomorrow")


def rewrite(machine, **changes):
    """Let the record be what an agent of another version would have left."""
    path = machine.root / "state/record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_agent_goes_on_with_the_kdamonds_of_a_newer_one(machine, pod, hear, threads):
    machine.start(10, machine.container(A))
    hear(complete(pod(1, A, priority=30)))
    machine.run(10)
    before = threads()
    rewrite(machine, fromTomorrow={"any": "thing"})
    machine.restart()
    machine.run(30)
    assert (machine.targets(), threads()) == ([10], before)


def test_a_record_in_another_format_costs_the_ages_and_nothing_else(machine, pod, hear, threads):
    machine.start(10, machine.container(A))
    hear(complete(pod(1, A, priority=30)))
    machine.run(10)
    before = threads()
    rewrite(machine, format=99)
    machine.restart()
    machine.run(60)
    assert machine.targets() == [10]
    assert machine.condition("Ready").status == "True"
    assert not set(threads().values()) & set(before.values())
