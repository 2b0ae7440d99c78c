"""What a person reads when there is no answer, and what a script sees."""

import os
import pty
import subprocess

import pytest

from damon_cli import __main__ as entry
from damon_cli import client, options
from damon_cli.errors import UnreachableError


def test_a_pod_that_is_not_there_names_the_namespace_it_was_looked_for_in(shop):
    asked = shop.ask("explain", "pod", "nobody", "-n", "shop")
    assert asked.code == 3
    assert asked.err == (
        'error: pods "nobody" not found in namespace shop\n  -> -n chooses another namespace\n'
    )


def test_an_api_server_out_of_reach_is_named_with_its_context(lab):
    lab.api.run(lab.api.server.down())
    asked = lab.ask("status")
    assert asked.code == 3
    assert f"no answer from {lab.api.server.url} (context " in asked.err
    assert "--context" in asked.err


@pytest.mark.parametrize("answer", [b"", b"<html>", b"null", b"[" * 60_000])
def test_a_refusal_whose_body_is_no_status_is_a_refusal(answer):
    assert isinstance(client._refusal("GET", "/x", 503, answer), UnreachableError)


@pytest.mark.parametrize("status", [401, 403])
def test_without_rights_it_says_what_is_needed(lab, status):
    lab.api.call(lab.api.server.faults.fail_next, 9, status)
    asked = lab.ask("status")
    assert asked.code == 3
    assert "needed is: GET /apis/damon-operator.io/v1alpha1/damontunings" in asked.err


def test_no_answer_in_json_is_an_error_on_stderr_alone(empty):
    asked = empty.ask("status", "-o", "json")
    assert asked.code == 3
    assert not asked.out


def test_a_defect_is_one_line_and_its_traceback_comes_when_it_is_asked_for(monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("a\x1b bug")

    monkeypatch.setattr(options, "client", broken)
    assert entry.main(["status"]) == 4
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "error: a defect of kubectl damon: RuntimeError: a? bug",
        "  -> `kubectl damon --debug ...` says where; please report it",
    ]
    monkeypatch.setenv("DAMON_DEBUG", "1")
    assert entry.main(["status"]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error(shop):
    ran = subprocess.run(
        ["bash", "-c", f"{shop.program} plan -o json | head -1"],
        env=shop.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "{\n"
    assert not ran.stderr


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_a_terminal_has_colours_unless_it_says_otherwise(shop, variable, coloured):
    inner, outer = pty.openpty()
    environment = {**shop.environment(), "TERM": "xterm-256color"}
    if variable:
        environment["NO_COLOR"] = variable
    with subprocess.Popen([shop.program, "status"], env=environment, stdout=outer) as running:
        running.wait(timeout=60)
    os.close(outer)
    said = os.read(inner, 100_000).decode()
    os.close(inner)
    assert ("\x1b[32m" in said or "\x1b[31m" in said) is coloured
