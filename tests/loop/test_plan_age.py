"""What the agent does with the plan it has when the API says nothing, nonsense, or goodbye."""

import pytest

A = "a1" * 32


@pytest.fixture
def tuned(machine, pod):
    """A machine whose plan is in the kernel."""
    machine.home = machine.container(A)
    machine.start(10, machine.home)
    machine.plan(pod(1, A), settings={"safety": {"maxPlanAge": "5m"}})
    machine.run(10)
    assert machine.targets() == [10]
    return machine


def test_an_outage_of_a_minute_changes_nothing_and_new_processes_are_still_found(tuned, pod):
    tuned.run(30)
    tuned.start(11, tuned.home)
    tuned.run(30)
    assert tuned.targets() == [10, 11]
    assert tuned.condition("Ready").status == "True"
    # It catches up with what was planned meanwhile.
    tuned.plan(pod(1, A, priority=90), generation=2)
    tuned.run(20)
    assert [lane.priorities for lane in tuned.status.lanes] == [(90,)]


def test_a_plan_older_than_its_greatest_age_is_switched_off_and_comes_back(tuned):
    tuned.run(310)
    assert tuned.running() == 0
    assert tuned.condition("Ready").reason == "PlanExpired"
    assert tuned.condition("Applied").status == "False"
    assert "5m" in tuned.condition("Ready").message
    tuned.hear()
    tuned.run(20)
    assert tuned.targets() == [10]
    assert tuned.condition("Ready").status == "True"


def test_an_unreadable_plan_is_told_and_the_last_one_stays_in_force(tuned):
    tuned.hear_nonsense()
    tuned.start(11, tuned.home)
    tuned.run(20)
    assert tuned.targets() == [10, 11]
    ready = tuned.condition("Ready")
    assert (ready.status, ready.reason) == ("False", "PlanInvalid")
    assert "spec.mode" in ready.message
    assert ready.observed_generation == 9
    assert tuned.status.observed_generation == 1


def test_an_unreadable_plan_from_the_start_tunes_nothing(machine):
    machine.hear_nonsense()
    machine.run(10)
    assert machine.running() == 0
    assert machine.condition("Applied").reason == "PlanInvalid"


def test_a_deleted_plan_gives_everything_back(tuned):
    told = len(tuned.plans.reported)
    tuned.hear(plan=None)
    tuned.run(20)
    assert tuned.running() == 0
    assert tuned.emulator.read("damon/admin/kdamonds/nr_kdamonds") == b"0\n"
    assert len(tuned.plans.reported) == told, "there is no object to report to"


def test_mode_off_gives_everything_back_and_is_as_planned(tuned, pod):
    tuned.plan(pod(1, A), mode="Off", generation=2)
    tuned.run(20)
    assert tuned.running() == 0
    assert tuned.condition("Ready").status == "True"
    assert tuned.condition("Ready").reason == "Off"


def test_before_the_first_answer_nothing_is_touched(machine):
    machine.run(60)
    assert machine.emulator.log == []
    assert machine.plans.reported == []


def test_a_restarted_agent_that_knows_no_plan_yet_lets_the_kdamonds_run(tuned):
    held, tuned.plans.held = tuned.plans.held, type(tuned.plans.held)()
    tuned.restart()
    tuned.run(30)
    assert tuned.targets() == [10]
    tuned.plans.held = held
    tuned.run(30)
    assert tuned.targets() == [10]


def test_a_restarted_agent_goes_on_without_switching_anything_off(tuned):
    pids = [kdamond.pid for kdamond in tuned.emulator.kdamonds if kdamond.running]
    tuned.restart()
    tuned.run(30)
    assert [kdamond.pid for kdamond in tuned.emulator.kdamonds if kdamond.running] == pids
    assert tuned.targets() == [10]
    assert tuned.condition("Ready").status == "True"
