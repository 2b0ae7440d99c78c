import errno
import json
import logging
import os
from pathlib import Path

import pytest

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


@pytest.fixture
def full_disk(state_dir):
    """Make every write of a plan fail while it lasts, as a full disk does; times can be set."""
    obstacle = state_dir / "plan.new"
    obstacle.mkdir()
    return obstacle


@pytest.fixture
def stuck_file(monkeypatch):
    """Keep files from being removed while it lasts."""

    def refuse(path, **_):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    return monkeypatch


def saved(state_dir, plan):
    """Return a store that holds a plan, as of 1000."""
    store = PlanStore(state_dir)
    store.save(plan, 1000.0)
    return store


def another(damon_node):
    return read(damon_node(hash="h2"))


def test_a_plan_that_can_not_be_stored_leaves_no_outdated_one(
    state_dir, damon_node, request, caplog
):
    store = saved(state_dir, read(damon_node()))
    request.getfixturevalue("full_disk")
    store.save(another(damon_node), 1010.0)
    for wall_s in range(1040, 1300, 30):
        store.confirm(wall_s)
    assert PlanStore(state_dir).load() is None
    assert ["none is left from before" in said for said in caplog.messages] == [True]


def test_an_outdated_plan_that_can_not_be_removed_is_not_marked_as_confirmed(
    state_dir, damon_node, request, caplog
):
    old = read(damon_node())
    store = saved(state_dir, old)
    request.getfixturevalue("full_disk")
    request.getfixturevalue("stuck_file")
    store.save(another(damon_node), 1010.0)
    store.confirm(2000.0)
    assert PlanStore(state_dir).load() == (old, 1000.0)
    assert ["can't be removed" in said for said in caplog.messages] == [True]


def test_a_plan_that_could_not_be_stored_is_stored_later(state_dir, damon_node, full_disk, caplog):
    caplog.set_level(logging.INFO)
    store, plan = PlanStore(state_dir), read(damon_node())
    store.save(plan, 1000.0)
    full_disk.rmdir()
    store.confirm(1010.0)
    assert store.load() is None, "it is not tried at each contact"
    store.confirm(1030.0)
    assert PlanStore(state_dir).load() == (plan, 1030.0)
    assert caplog.messages[1:] == ["the stored plan is up to date again"]


def test_a_plan_that_is_gone_and_can_not_be_removed_is_removed_later(
    state_dir, damon_node, request, caplog
):
    old = read(damon_node())
    store = saved(state_dir, old)
    stuck = request.getfixturevalue("stuck_file")
    store.remove()
    store.confirm(2000.0)
    assert PlanStore(state_dir).load() == (old, 1000.0)
    assert ["there is no plan any more" in said for said in caplog.messages] == [True]
    stuck.undo()
    store.confirm(2030.0)
    assert PlanStore(state_dir).load() is None


def test_a_plan_that_somebody_removed_is_stored_again(state_dir, damon_node):
    plan = read(damon_node())
    store = saved(state_dir, plan)
    (state_dir / "plan.json").unlink()
    store.confirm(1030.0)
    assert PlanStore(state_dir).load() == (plan, 1030.0)


def test_a_file_that_can_not_be_read_is_not_marked_as_confirmed(state_dir):
    """It may hold any plan: until one is known nothing is said about it."""
    damaged = state_dir / "plan.json"
    damaged.write_text("{")
    os.utime(damaged, (1000.0, 1000.0))
    store = PlanStore(state_dir)
    assert store.load() is None
    store.confirm(2000.0)
    assert damaged.stat().st_mtime == 1000.0
