"""The language: what is a step, what it gives, and what is told to whoever writes nonsense."""

import pytest

from damon_mock.conformance import goldens, language, playing
from damon_mock.conformance.emulated import EmulatedMachine
from damon_mock.conformance.machine import MachineError
from damon_mock.conformance.parsing import ScriptError, parse, step


def test_a_bare_value_gets_a_newline_and_a_quoted_one_does_not():
    assert step("write 0/state on") == language.Write("0/state", "on")
    assert step(r'write 0/state "on \n"') == language.Write("0/state", "on \n", exact=True)


def test_a_value_may_be_an_expression():
    assert step("write scheme/watermarks/high {free - 100}").value == "{free - 100}"


@pytest.mark.parametrize(
    ("line", "us"), [("sleep 3 s", 3_000_000), ("sleep 20ms", 20_000), ("sleep 7 us", 7)]
)
def test_times_carry_their_unit(line, us):
    assert step(line) == language.Sleep(us)


def test_a_condition_compares_sums_of_files():
    found = step("check scheme/stats/nr_tried + 1 > max(scheme/tried_regions/*/age)").condition
    assert found.operator == ">"
    assert isinstance(found.left, language.Sum)
    assert found.right == language.Reading("scheme/tried_regions/*/age", "max")


@pytest.mark.parametrize(
    "line",
    ["", "red 0/state", "sleep 3", "check 0/state", "check a +", "touch a 3 MB once", "read"],
)
def test_nonsense_is_no_step(line):
    with pytest.raises(ScriptError):
        step(line)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("read 0/state", "demo:1: a script starts with a case"),
        ("== one\nnonsense", "demo:2: not a step: nonsense"),
        ("== one\nneeds wings", "demo:2: no such feature: wings"),
        ("== one\nnever on real", "demo:2: say why"),
        ("== one\n== one", "demo:2: a second case called 'one'"),
    ],
)
def test_an_error_says_where_and_what(text, said):
    with pytest.raises(ScriptError, match=said):
        parse("demo", text)


def test_a_case_says_what_it_needs_and_what_it_would_break():
    (case,) = parse(
        "demo", "== one\nneeds filters, !allow\nnever on real if probes: it burns"
    ).cases
    assert case.needs == ("filters", "!allow")
    assert case.danger == language.Danger(("probes",), "it burns")


def test_results_name_errnos_and_processes(play):
    assert play(
        """
        kdamonds 1
        start a
        targets $a.pid
        read context/targets/0/pid_target
        state 0 commit
        read 0/nothing
        """
    ) == ["ok", "done", "ok", "$a.pid", "EINVAL", "ENOENT"]


def test_what_differs_from_run_to_run_is_not_in_a_transcript(play):
    assert play(
        """
        kdamonds 1
        start a
        targets $a.pid
        state 0 on
        read 0/pid free
        remember pid = 0/pid
        check 0/pid == $pid
        check 0/pid > $pid + 1
        """
    )[4:] == ["a number", "a number", "true", "false"]


def test_a_write_under_way_is_asked_for_later(play):
    assert play(
        """
        kdamonds 1
        intervals 1s 2s 60s
        start a
        targets $a.pid
        state 0 on
        state 0 commit as slow
        outcome slow within 100 ms
        outcome slow within 60 s
        """
    )[5:] == ["begun", "waits", "ok"]


def test_a_wait_gives_up(play):
    assert play("kdamonds 1\nwait until 0/state is on within 1 s")[-1] == "false"


def test_every_file_is_tried_but_those_that_act(play):
    tried = play('kdamonds 1\ntry every file below 0/contexts/0/monitoring_attrs with "7" "x"')[-1]
    assert "0/contexts/0/monitoring_attrs/intervals/aggr_us: '7' '7', 'x' EINVAL" in tried
    assert all("nr_targets" not in line for line in tried)


def test_a_case_is_skipped_with_what_it_lacks():
    machine = EmulatedMachine("6.1")
    script = parse("demo", "== one\nneeds filters\nread 0/state")
    (case,) = playing.play(script, machine, playing.probe(machine), "played").cases
    assert case.skipped == "needs filters"
    assert case.steps == ()


def test_a_dangerous_case_is_for_the_emulator_only():
    machine = EmulatedMachine("6.12")
    script = parse("demo", "== one\nnever on real if filters: it burns\nread nr_kdamonds")
    features = playing.probe(machine)
    (case,) = playing.play(script, machine, features, "played").cases
    assert case.skipped is None
    machine.real = True
    (case,) = playing.play(script, machine, features, "recorded").cases
    assert case.skipped == "never on real: it burns"


def test_a_case_starts_from_nothing(play):
    machine = EmulatedMachine("7.2")
    machine.emulator.modules.enabled["damon_stat"] = True
    left = "kdamonds 2\nstart a\ntargets $a.pid\nstate 0 on"
    assert play(left, machine=machine)[-1] == "ok"
    assert play("list .", machine=machine) == [["nr_kdamonds"]]
    assert not machine.emulator.modules.any_enabled


def test_an_emulator_that_died_is_booted_for_the_next_case(play):
    machine = EmulatedMachine("6.18")
    text = "write nr_kdamonds 1\nstate 0 clear_schemes_tried_regions\nread 0/state"
    assert play(text, machine=machine) == ["ok", "killed", "EBUSY"]
    assert play("read nr_kdamonds", machine=machine) == ["0"]


def test_an_unknown_variable_ends_the_play(play):
    with pytest.raises(MachineError, match=r"\$b.pid is not known"):
        play("kdamonds 1\ntargets $b.pid")


def test_there_are_enough_steps():
    scripts = [goldens.script(name) for name in goldens.names()]
    assert sum(len(case.lines) for script in scripts for case in script.cases) >= 150
