"""Scenarios and contenders as data, and when a machine is as it was."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from efficacy.beginning import Beginning, clean
from efficacy.contenders import CONTENDERS, WITH_MEMORY_RECLAIM
from efficacy.scenarios import SCENARIOS
from efficacy.schedule import CONTENDERS as NAMES
from efficacy.schedule import OURS

BEGIN = Beginning(
    sysctls={"swappiness": "60"},
    protected_bytes=0,
    nr_kdamonds=0,
    swap_used_bytes=0,
    pods=1,
    available_bytes=840 << 20,
)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_scenario_begins_cold_and_names_its_own_pods(scenario):
    assert scenario.steps[0].name == "cold"
    names = {pod.name for pod in scenario.pods}
    assert len(names) == len(scenario.pods)
    woken = [name for step in scenario.steps for name in step.wakes]
    assert set(woken) <= names
    waiting = {pod.name for pod in scenario.pods if pod.workload.waits}
    assert waiting <= set(woken)
    assert {step.satisfies for step in scenario.steps} <= {"", *waiting}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_step_lasts_longer_than_it_takes_to_wake_its_pods(scenario):
    for step in scenario.steps:
        assert step.lasts_s > step.stagger_s * len(step.wakes)


def test_sixty_pods_are_sixty_of_eight_priorities():
    pods = SCENARIOS["sixty_pods"].pods
    assert len(pods) == 60
    assert len({pod.priority for pod in pods if not pod.workload.waits}) == 8


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_of_many_pods_only_a_few_tell_their_latency(scenario):
    assert sum(pod.workload.tells_latency for pod in scenario.pods) <= 5


def test_huge_pages_are_the_main_scenario_but_for_the_pages():
    def changed(pods):
        return {pod.name for pod in pods if "huge" in pod.workload.words}

    def small(pod):
        words = ("small" if word == "huge" else word for word in pod.workload.words)
        return replace(pod, workload=replace(pod.workload, words=tuple(words)))

    pods = SCENARIOS["huge_pages"].pods
    assert changed(pods) == {"idle", "batch"}
    assert not changed(SCENARIOS["main"].pods)
    assert set(map(small, pods)) == set(SCENARIOS["main"].pods)


def test_who_kills_the_agent_starts_it_again():
    for scenario in SCENARIOS.values():
        actions = [step.action for step in scenario.steps]
        assert actions.count("kill_agent") == actions.count("start_agent")


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_scenario_compares_contenders_that_there_are_with_doing_nothing(scenario):
    assert {"none", *scenario.contenders} <= set(CONTENDERS)
    assert "none" in scenario.contenders


def test_without_damon_only_what_needs_none_is_compared():
    assert set(OURS) & set(SCENARIOS["no_damon"].contenders) <= WITH_MEMORY_RECLAIM


def test_steps_can_be_shorter():
    short = SCENARIOS["main"].lasting({"cold": 30})
    assert [step.lasts_s for step in short.steps] == [30, 90, 20]


def test_every_contender_has_its_place():
    assert list(NAMES) == list(CONTENDERS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nr_kdamonds": 1}, "nr_kdamonds: 0 before, 1 now"),
        ({"swap_used_bytes": 4096}, "swap_used_bytes: 0 before, 4096 now"),
        ({"sysctls": {"swappiness": "100"}}, "sysctls"),
        ({"available_bytes": 700 << 20}, "available: 140 MiB less"),
    ],
)
def test_what_a_contender_left_behind_is_found(change, said):
    (found,) = BEGIN.differences(replace(BEGIN, **change))
    assert said in found


def test_a_little_more_or_less_memory_is_the_same_beginning():
    assert not BEGIN.differences(replace(BEGIN, available_bytes=820 << 20))


@pytest.mark.parametrize(
    ("has_swap", "told"),
    [(True, ["swapoff", "swapon"]), (False, ["swapoff", "swapon", "swapoff"])],
)
def test_the_swap_of_the_machine_is_what_is_emptied(has_swap, told):
    asked = []
    guest = SimpleNamespace(
        shell=lambda script, **_: asked.append(script) or "1",
        run=lambda *argv, **_: asked.append(" ".join(argv)),
        read=lambda _path: "0",
    )
    facts = dict.fromkeys(("SwapTotal", "SwapFree", "MemAvailable"), 0)
    node = SimpleNamespace(guest=guest, nr_kdamonds=lambda: 0, meminfo=lambda: facts)
    clean(node, "/dev/vde", has_swap=has_swap)
    swaps = [line for line in asked if "/dev/vde" in line]
    assert [next(word for word in told if f"{word} /dev/vde" in line) for line in swaps] == told
