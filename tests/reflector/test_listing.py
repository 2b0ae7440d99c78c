import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_operator.listing import LeftOut, ListReader

texts = st.text(alphabet='aä\\"}{[],:\n\x01', max_size=8)
values = st.recursive(
    st.none() | st.integers() | texts,
    lambda v: st.lists(v) | st.dictionaries(texts, v),
    max_leaves=5,
)
items = st.lists(st.dictionaries(texts, values, max_size=3), max_size=5)


def read(data: bytes, step: int = 1 << 16, most: int = 1 << 20):
    taken: list = []
    reader = ListReader(taken.append, most)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    return taken, reader.end()


@given(items, st.dictionaries(texts, values, max_size=3), st.integers(1, 40), st.booleans())
def test_objects_come_one_by_one_however_the_answer_is_cut_and_ordered(found, rest, step, first):
    envelope = {"items": found, **rest} if first else {**rest, "items": found}
    for ascii_only in (True, False):
        data = json.dumps(envelope, ensure_ascii=ascii_only).encode()
        taken, said = read(data, step)
        assert taken == found
        assert said == {**envelope, "items": None}


HUGE = b'{"metadata":{"namespace":"a","name":"huge","uid":"u"},"x":"' + b'\\"}' * 500_000 + b'"}'
DEEP = b'{"metadata":{"name":"deep"},"spec":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
LONG = b'{"metadata":{"name":"long"},"n":' + b"1" * 5_000 + b"}"
ODD = b'{"metadata":{"name":"odd"},"n":nonsense}'


@pytest.mark.parametrize("step", [1000, 1 << 16, 1 << 24])
def test_an_object_that_cannot_be_read_is_left_out_by_itself(step):
    ok, end = b'{"metadata":{"name":"ok"}}', b'{"metadata":{"name":"end"}}'
    found = b",".join((ok, HUGE, DEEP, LONG, ODD, end))
    taken, said = read(b'{"items":[' + found + b'],"metadata":{"continue":"t"}}', step)
    names = [(i.metadata if isinstance(i, LeftOut) else i["metadata"])["name"] for i in taken]
    assert names == ["ok", "huge", "deep", "long", "odd", "end"]
    assert [isinstance(item, LeftOut) for item in taken] == [False, True, True, True, True, False]
    assert taken[1].metadata == {"namespace": "a", "name": "huge", "uid": "u"}
    assert said["metadata"] == {"continue": "t"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"  ",
        b"[]",
        b"<html>",
        b"{}",
        b'{"items":5}',
        b'{"items":[1',
        b'{"items":[}]}',
        b'{"a"}',
    ],
)
def test_what_is_no_list_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        read(data)
