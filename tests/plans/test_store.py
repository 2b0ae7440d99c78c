import json

from damon_agent.plans.plan import read
from damon_agent.plans.store import PlanStore


def test_a_stored_plan_is_loaded_with_the_time_of_the_last_contact(state_dir, damon_node, pod):
    plan = read(damon_node(pod(1, "a1" * 32, "b2" * 32)))
    store = PlanStore(state_dir)
    store.save(plan, 1000.0)
    store.confirm(2000.0)
    assert PlanStore(state_dir).load() == (plan, 2000.0)


def test_a_contact_is_noted_at_most_every_half_minute(state_dir, damon_node):
    store = PlanStore(state_dir)
    store.save(read(damon_node()), 1000.0)
    store.confirm(1010.0)
    assert store.load()[1] == 1000.0


def test_a_damaged_file_is_no_plan(state_dir, caplog):
    for text in ("", "{", "[]", json.dumps({"spec": {"mode": "Sideways"}})):
        (state_dir / "plan.json").write_text(text)
        assert PlanStore(state_dir).load() is None
    assert len(caplog.records) == 4


def test_an_unwritable_directory_is_told_once_and_nothing_else_happens(
    tmp_path, damon_node, caplog
):
    store = PlanStore(tmp_path / "absent")
    plan = read(damon_node())
    store.save(plan, 1.0)
    store.save(plan, 2.0)
    store.confirm(100.0)
    assert len(caplog.records) == 1
    assert store.load() is None


def test_no_half_written_file_is_left(state_dir, damon_node):
    PlanStore(state_dir).save(read(damon_node()), 1.0)
    assert [path.name for path in state_dir.iterdir()] == ["plan.json"]
