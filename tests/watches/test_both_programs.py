"""What the server does, and what both programs do about it: one table, two programs."""

import json
from itertools import pairwise

import pytest

from damon_contract.watches import LINE_BYTES

OBJECT = {"metadata": {"name": "worker-1", "uid": "u1", "resourceVersion": "15"}, "spec": {}}
CONTENT = {"type": "MODIFIED", "object": OBJECT}
BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "15"}}}


def refused(status: int, **headers: str):
    def answer(handler) -> None:
        handler.begin(status, **headers)
        handler.part(b"no")
        handler.end()

    return answer


def said(*events: object):
    """Say the events and end the watch as a server does."""

    def answer(handler) -> None:
        handler.begin()
        handler.say(*events)
        handler.end()

    return answer


def raw(data: bytes):
    def answer(handler) -> None:
        handler.begin()
        handler.part(data)
        handler.end()

    return answer


def silent(*events: object):
    """Say the events and nothing more, with the connection open."""

    def answer(handler) -> None:
        handler.begin()
        handler.say(*events)
        handler.server.over.wait(20)
        handler.cut()

    return answer


def cut_off(data: bytes):
    """Break off within an event."""

    def answer(handler) -> None:
        handler.begin()
        handler.say(CONTENT)
        handler.part(data)
        handler.cut()

    return answer


def no_answer(handler) -> None:
    handler.server.down = True
    handler.cut()


def error(code: int, **details: int):
    status = {"kind": "Status", "code": code, "reason": "x", "message": "y", "details": details}
    return said({"type": "ERROR", "object": status})


START = ["list", "watch 10"]
LISTS = [*START, "pause", "list", "watch 20"]
"""The version is given up."""
GOES_ON = [*START, "pause", "watch 10"]
"""The same version is asked again."""
MOVED_ON = [*START, "pause", "watch 15"]
"""What was brought counts."""

AFTER_A_WATCH = {
    "410": (refused(410), LISTS),
    "410 as an event": (error(410), LISTS),
    "500 as an event": (error(500), LISTS),
    "too large a version": (error(504, retryAfterSeconds=7), [*START, "pause 7", "list"]),
    "an error without details": (said({"type": "ERROR", "object": {}}), LISTS),
    "an error that is no object": (said({"type": "ERROR", "object": 5}), LISTS),
    "200 and empty": (said(), LISTS),
    "200 and silent": (silent(), LISTS),
    "a bookmark, then silent": (silent(BOOKMARK), MOVED_ON),
    "content, then silent": (silent(CONTENT), MOVED_ON),
    "content, then a short end": (said(CONTENT), MOVED_ON),
    "content, then cut off": (cut_off(b'{"type": "MOD'), MOVED_ON),
    "content, then an error": (said(CONTENT, {"type": "ERROR", "object": {"code": 410}}), LISTS),
    "content, then nonsense": (raw(json.dumps(CONTENT).encode() + b"\n<html>\n"), LISTS),
    "no answer": (no_answer, GOES_ON),
    "429": (refused(429), GOES_ON),
    "429 with Retry-After": (refused(429, Retry_After="7"), [*START, "pause 7", "watch 10"]),
    "503 with Retry-After": (refused(503, Retry_After="9"), [*START, "pause 9", "watch 10"]),
    "503 with an endless Retry-After": (
        refused(503, Retry_After="86400"),
        [*START, "pause 60", "watch 10"],
    ),
    "503 with a date": (refused(503, Retry_After="Fri, 31 Dec 2027 23:59:59 GMT"), GOES_ON),
    "400": (refused(400), LISTS),
    "401": (refused(401), LISTS),
    "403": (refused(403), LISTS),
    "500": (refused(500), LISTS),
    "504": (refused(504), LISTS),
    "a redirect": (refused(302, Location="http://127.0.0.1:9/"), LISTS),
    "no JSON": (raw(b"<html>\n"), LISTS),
    "a list": (raw(b"[1]\n"), LISTS),
    "a number": (raw(b"5\n"), LISTS),
    "no object in it": (raw(b'{"type":"ADDED"}\n'), LISTS),
    "an object that is a list": (raw(b'{"type":"ADDED","object":[1]}\n'), LISTS),
    "nested too deeply": (raw(b"[" * 100_000 + b"\n"), LISTS),
    "a number of 10,000 digits": (raw(b'{"x":' + b"1" * 10_000 + b"}\n"), LISTS),
    "bytes that are no text": (raw(b"\xff\xfe\x00\n"), LISTS),
    "too long a line": (raw(b"x" * (LINE_BYTES + 1) + b"\n"), LISTS),
    "a line without an end": (raw(b"x" * (LINE_BYTES + 1)), LISTS),
    "an unknown type": (said({"type": "NEWS", "object": OBJECT}), MOVED_ON),
    "a type that is a list": (said({"type": ["ADDED"], "object": OBJECT}), MOVED_ON),
}


@pytest.mark.parametrize("case", AFTER_A_WATCH)
def test_what_follows_a_watch(script, program, case):
    answer, expected = AFTER_A_WATCH[case]
    script.watches.append(answer)
    assert program(script, len(expected)) == expected


AFTER_A_LIST = {
    "500": refused(500),
    "403": refused(403),
    "404": refused(404),
    "410": refused(410),
    "no answer": no_answer,
    "no JSON": raw(b"<html>"),
    "nothing": raw(b" "),
    "a list": raw(b"[]"),
    "no items": raw(b'{"metadata": {"resourceVersion": "5"}}'),
    "items that are a number": raw(b'{"metadata": {"resourceVersion": "5"}, "items": 5}'),
    "metadata that is a list": raw(b'{"metadata": [], "items": []}'),
    "no version": raw(b'{"metadata": {}, "items": []}'),
    "nested too deeply": raw(b"[" * 100_000),
    "cut off": raw(b'{"metadata": {"resourceVersion": "5"}, "items": [{"metadata"'),
}


@pytest.mark.parametrize("case", AFTER_A_LIST)
def test_what_follows_a_list_is_a_list_after_a_pause(script, program, case):
    script.lists += [AFTER_A_LIST[case]] * 2
    expected = ["list", "pause", "list", "pause", "list", "watch 10"]
    assert program(script, len(expected)) == expected


def test_a_list_refused_for_load_is_asked_again_when_the_server_said(script, program):
    script.lists.append(refused(429, Retry_After="11"))
    expected = ["list", "pause 11", "list", "watch 10"]
    assert program(script, len(expected)) == expected


@pytest.mark.parametrize("answer", [refused(410), said(), error(500), raw(b"<html>\n")])
def test_no_server_is_listed_without_a_pause_nor_asked_the_same_for_ever(script, program, answer):
    script.watches += [answer] * 6
    journal = program(script, 18)
    assert journal.count("list") == 6
    for before, entry in pairwise(journal):
        assert entry != "list" or before.startswith("pause")
    assert len({entry for entry in journal if entry.startswith("watch")}) == 6
