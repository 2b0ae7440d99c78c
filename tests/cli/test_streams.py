"""Where answers are written to: terminals of any encoding, closed pipes, disks that are full."""

import json
import subprocess
from xml.etree import ElementTree as ET

import pytest
import yaml
from cluster_objects import condition, prioritised

WORDS = "узел"
SAID = condition("Ready", "False", "Applying", WORDS)
NO_UTF8 = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ENCODINGS = [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", **NO_UTF8}]
EXPLAIN = ("explain", "pod", "web", "-n", "shop")
TEXTS = [("plan", "-h"), ("status",), EXPLAIN, ("report", "-o", "md")]


@pytest.fixture(name="foreign")
def foreign_fixture(shop):
    """A cluster whose words are not those of an old terminal."""
    status = {"observedGeneration": 1, "conditions": [SAID]}
    shop.set_status("dt", "default", status)
    return shop


def ask(lab, arguments, **environment):
    return subprocess.run(
        [lab.program, *arguments],
        env=lab.environment(**environment),
        capture_output=True,
        check=False,
        timeout=60,
    )


def shell(lab, line):
    """Run a line of bash in which $damon is the program."""
    return subprocess.run(
        ["bash", "-c", line],
        env=lab.environment(damon=str(lab.program)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("environment", ENCODINGS, ids=lambda each: " ".join(each.values()))
def test_an_encoding_that_lacks_characters_ends_no_command(foreign, environment):
    for arguments in TEXTS:
        usual, asked = foreign.ask(*arguments), ask(foreign, arguments, **environment)
        assert (asked.returncode, asked.stderr) == (usual.code, usual.err.encode()), arguments
    assert rb"\u0443\u0437\u0435\u043b" in ask(foreign, ("status",), **environment).stdout


@pytest.mark.parametrize("environment", ENCODINGS, ids=lambda each: " ".join(each.values()))
@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_documents_are_utf_8_whatever_the_terminal_is(foreign, environment, form, read):
    told = ask(foreign, ("status", "-o", form), **environment).stdout.decode()
    assert any(WORDS in each["message"] for each in read(told)["unmet"])


@pytest.mark.parametrize("environment", ENCODINGS, ids=lambda each: " ".join(each.values()))
def test_pages_are_utf_8_whatever_the_terminal_is(shop, environment):
    shop.create(prioritised("a" * 60, 40))  # a name that a plot shortens
    told = shop.ask("report", "-o", "svg").out
    assert not told.isascii()
    drawn = ask(shop, ("report", "-o", "svg"), **environment).stdout
    assert list(ET.fromstring(drawn.decode()).itertext()) == list(ET.fromstring(told).itertext())


def test_a_reader_that_has_seen_enough_changes_no_exit_status(shop):
    for arguments in (*TEXTS, ("status", "-o", "json"), ("nothing",)):
        whole = shop.ask(*arguments)
        line = f"$damon {' '.join(arguments)} | true; exit ${{PIPESTATUS[0]}}"
        ran = shell(shop, line)
        assert (ran.returncode, ran.stderr) == (whole.code, whole.err), arguments


def test_a_watch_that_nobody_reads_ends(shop):
    ran = shell(shop, "$damon top --watch | true; exit ${PIPESTATUS[0]}")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", ["status", "top -o json", "report -o csv", "plan -h", "doctor --print-probe"]
)
def test_a_full_disk_is_named(shop, arguments):
    ran = shell(shop, f"$damon {arguments} >/dev/full")
    assert ran.stderr == "error: standard output cannot be written: No space left on device\n"
    assert ran.returncode == 2


@pytest.mark.parametrize("arguments", ["status", "status -o json"])
def test_what_is_closed_is_written_to_nobody(shop, arguments):
    usual = shop.ask(*arguments.split())
    for closed, out in ((">&-", ""), ("2>&-", usual.out), (">&- 2>/dev/full", "")):
        ran = shell(shop, f"$damon {arguments} {closed}")
        assert (ran.returncode, ran.stdout, ran.stderr) == (usual.code, out, ""), closed


def test_what_goes_wrong_is_not_told_on_standard_output(shop):
    ran = shell(shop, "$damon status --context=nothing 2>&-")
    assert (ran.returncode, ran.stdout) == (2, "")


def test_a_closed_input_is_empty(shop):
    assert shell(shop, "$damon plan -f - <&-").returncode == 2
    assert shell(shop, "$damon doctor -f - <&-").returncode == 2
