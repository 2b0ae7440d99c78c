"""A record is one line that programs and people can read, whatever is in it."""

import json
import logging
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kopf._cogs.clients.errors import APIError

from damon_contract.logs import Formatter
from damon_operator.logs import Formatter as OperatorFormatter

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PAIR = re.compile(r'([a-z_0-9]+)=("(?:[^"\\]|\\.)*"|[^\s"]+)(?: |$)')
ANY = st.text(st.characters(exclude_categories=[])) | st.text('\n\r\t\x1b\x9b\u2028 ="\\%{}')

HEAD = {"time": "2025-11-30T10:53:20.123Z", "level": "warning", "logger": "a.room"}


def record(message, *values, exc_info=None, **extra):
    made = logging.LogRecord("a.room", logging.WARNING, __file__, 1, message, values, exc_info)
    made.created = 1764500000.1239
    made.__dict__.update(extra)
    return made


def logfmt(line: str) -> dict[str, str]:
    """Read a line as a log store would; fail if it is not all logfmt."""
    assert "".join(found[0] for found in PAIR.finditer(line)) == line
    return {
        key: json.loads(value) if value.startswith('"') else value
        for key, value in PAIR.findall(line)
    }


def test_a_line_has_time_level_logger_words_and_pairs():
    line = Formatter("logfmt").format(record("plan taken mode=%s pods=%d", "Enforce", 3))
    assert line == (
        "time=2025-11-30T10:53:20.123Z level=warning logger=a.room "
        'msg="plan taken" mode=Enforce pods=3'
    )
    line = Formatter("json").format(record("plan taken mode=%s pods=%d", "Enforce", 3))
    assert json.loads(line) == {
        **HEAD,
        "msg": "plan taken",
        "mode": "Enforce",
        "pods": 3,
    }


@pytest.mark.parametrize(
    ("message", "values", "words", "pairs"),
    [
        ("listed resource=%s", ("pods",), "listed", {"resource": "pods"}),
        ("leading lease=%s/%s", ("n", "l"), "leading", {"lease": "n/l"}),
        ("%d of %d went node=%s", (1, 2, "n"), "1 of 2 went", {"node": "n"}),
        ("100%% sure of=%r", ("x",), "100% sure", {"of": "'x'"}),
        ("waits retry_s=%.1f", (2.25,), "waits", {"retry_s": "2.2"}),
        ("a=%s b=%s", ("1", "2"), "", {"a": "1", "b": "2"}),
        ("a=%s in the middle", ("1",), "a=1 in the middle", {}),
        ("no pair at all: %s", ("a=b",), "no pair at all: a=b", {}),
        ("a mapping a=%(a)s", ({"a": 1},), "a mapping a=1", {}),
        ("nothing to fill in a=%s", (), "nothing to fill in a=%s", {}),
    ],
)
def test_the_pairs_at_the_end_of_a_message_are_fields(message, values, words, pairs):
    made = record(message, *values)
    said = json.loads(Formatter("json").format(made))
    assert said.pop("msg") == words
    assert {key: said[key] for key in said if key not in ("time", "level", "logger")} == pairs


@given(ANY, ANY)
def test_whatever_is_told_is_one_line_and_reads_back(value, words):
    made = record("%s a=%s", words, value)
    line = Formatter("logfmt").format(made)
    assert line.isprintable()
    assert logfmt(line) == {**HEAD, "msg": words, "a": value}
    line = Formatter("json").format(made)
    assert line.isprintable()
    assert json.loads(line)["a"] == value


@given(ANY, st.lists(ANY, max_size=3))
def test_a_message_of_anybody_s_is_told_as_it_is(message, values):
    """Libraries log what they like; what cannot be filled in fails in the standard library too."""
    made = record(message, *values)
    try:
        plain = made.getMessage()
    except (TypeError, ValueError, KeyError, IndexError):
        return
    said = json.loads(Formatter("json").format(made))
    pairs = [f"{k}={v}" for k, v in said.items() if k not in ("time", "level", "logger", "msg")]
    assert "".join(f"{said['msg']}{''.join(pairs)}".split()) == "".join(plain.split())


def test_no_pair_takes_the_place_of_what_every_line_has():
    said = json.loads(Formatter("json").format(record("x time=%s msg=%s", "t", "m")))
    assert (said["time_"], said["msg_"], said["msg"]) == ("t", "m", "x")
    assert RFC3339.fullmatch(said["time"])


def test_a_trace_is_part_of_its_line():
    error = ValueError("two\nlines")
    made = record("it failed", exc_info=(type(error), error, None))
    line = Formatter("logfmt").format(made)
    assert "\n" not in line
    assert logfmt(line)["trace"].endswith("ValueError: two\nlines")


def test_records_of_kopf_name_their_object():
    about = {"kind": "DamonTuning", "namespace": None, "name": "all", "apiVersion": "v", "uid": "u"}
    line = OperatorFormatter("logfmt").format(record("Handler failed.", k8s_ref=about))
    assert logfmt(line)["object"] == "DamonTuning/all"


def test_an_answer_of_the_api_server_that_ends_a_watch_of_kopf_has_no_trace():
    answer = APIError({"code": 410, "message": "too old"}, status=410, headers={})
    made = record("Watcher has failed: too old", exc_info=(type(answer), answer, None))
    said = logfmt(OperatorFormatter("logfmt").format(made))
    assert said["msg"] == "Watcher has failed: too old"
    assert "trace" not in said


UNCAUGHT = """
import logging, threading, warnings
from damon_contract import logs
logs.to_stderr("info", logs.Formatter("json"))
logging.getLogger("a").debug("too little to be told")
logging.getLogger("kopf.anything").info("of a library")
warnings.warn("of Python")
thread = threading.Thread(target=lambda: 1 / 0, name="worker")
thread.start(); thread.join()
raise RuntimeError("of ours")
"""


def test_warnings_and_what_nobody_caught_have_the_form_too():
    ran = subprocess.run(
        [sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    said = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [(each["level"], each["logger"]) for each in said] == [
        ("info", "kopf.anything"),
        ("warning", "py.warnings"),
        ("critical", "damon_contract.logs"),
        ("critical", "damon_contract.logs"),
    ]
    assert said[2]["thread"] == "worker"
    assert "ZeroDivisionError" in said[2]["trace"]
    assert "RuntimeError: of ours" in said[3]["trace"]
