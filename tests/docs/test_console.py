"""How commands are read out of a page, and how their output is compared."""

import pytest
from harness.console import commands, filled, missing

PAGE = """\
Before.

```console
$ make demo
two nodes
...
all held
$ kubectl apply -f a.yaml \\
    --server-side
```

```
$ this is no console
```

<!-- console: example -->
```console
$ date
Sun Nov 29
```
"""


@pytest.fixture(name="page")
def page_fixture(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_each_command_has_its_output_and_its_place(page):
    demo, apply, date = commands(page)
    assert (demo.text, demo.output, demo.where) == (
        "make demo",
        ("two nodes", "...", "all held"),
        "page.md:4",
    )
    assert (apply.text, apply.output) == ("kubectl apply -f a.yaml --server-side", ())
    assert (demo.is_example, date.is_example) == (False, True)


def test_output_without_a_command_is_an_error(page):
    page.write_text("```console\nsomething\n```\n")
    with pytest.raises(ValueError, match=r"page\.md:2"):
        commands(page)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ((), "anything"),
        (("a", "...", "c"), "a\nb\nc\n"),
        (("NAME  AGE", "x  11s"), "NAME    AGE\nx       2m30s\n"),
        (("pid 2407, 3155 ms",), "pid 17441, 90 ms"),
        (("damon-operator-agent-x7k2p 1/1",), "damon-operator-agent-zzzzz 1/1"),
        (("damon-operator-5b9c7d4f86-x7k2p 1/1",), "damon-operator-6c4d8bfd9f-abcde 1/1"),
        (("── pod ──",), "─── pod ────────"),
    ],
)
def test_what_differs_from_run_to_run_is_not_compared(shown, printed):
    assert missing(shown, printed) is None


@pytest.mark.parametrize(
    ("shown", "printed", "line"),
    [
        (("a", "b"), "b\na\n", "b"),
        (("default 50",), "default 66", "default 50"),
        (("True Applied",), "False NoSwap", "True Applied"),
        (("a", "a"), "a\n", "a"),
    ],
)
def test_what_is_shown_and_was_not_printed_is_named(shown, printed, line):
    assert missing(shown, printed) == line


def test_a_page_is_filled_with_what_was_printed_where_it_shows_nothing(page):
    demo, apply, date = commands(page)
    printed = {demo.line: "other\n", apply.line: "created\ntwice\n", date.line: "Mon Nov 30\n"}
    page.write_text(filled(page, printed))
    again = commands(page)
    assert [c.text for c in again] == [demo.text, apply.text, date.text]
    assert [c.output for c in again] == [demo.output, ("created", "twice"), date.output]
