"""The order of runs, and which of them are left to play."""

from collections import Counter

from efficacy.schedule import Attempts, RunName, missing, schedule

CONTENDERS = ("none", "loop", "enforce")


def test_contenders_take_turns_and_each_is_once_the_first():
    order = [run.contender for run in schedule({"main": CONTENDERS}, 3)]
    assert order == [
        *("none", "loop", "enforce"),
        *("loop", "enforce", "none"),
        *("enforce", "none", "loop"),
    ]


def test_every_repetition_has_every_scenario_with_every_contender():
    runs = list(schedule({"main": CONTENDERS, "no_damon": CONTENDERS[:2]}, 4))
    assert len(set(runs)) == len(runs) == 4 * (3 + 2)
    assert set(Counter((run.scenario, run.contender) for run in runs).values()) == {4}
    assert RunName("no_damon", "enforce", 1) not in runs


def test_a_finished_run_is_not_played_again():
    runs = schedule({"main": ["none", "loop"]}, 2)
    finished = {"main-none-1": ..., "main-none-2": ...}
    assert missing(runs, finished) == [RunName("main", "loop", 1), RunName("main", "loop", 2)]


def test_a_run_that_always_fails_is_left_out_and_the_others_are_played():
    good, bad = RunName("main", "none", 1), RunName("main", "loop", 1)
    attempts = Attempts(most=2)
    attempts.failures[bad] += 1
    assert attempts.left([bad, good]) == [bad, good]
    attempts.failures[bad] += 1
    assert attempts.left([bad, good]) == [good]
    assert attempts.given_up == [bad]
