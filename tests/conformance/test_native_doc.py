"""docs/native.md: every statement names what shows it, that exists, and no case is left unnamed."""

import re
from pathlib import Path

import pytest

from damon_mock.conformance import goldens

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "native.md").read_text("utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "shown by |" not in line]
SCRIPTS = [name for name in goldens.names() if name.startswith("rfc_")]
NAMED = set(re.findall(r"`(rfc_\w+): ([^`]+)`", TEXT))
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_case_is_named_and_every_named_one_exists(script):
    titles = {case.title for case in goldens.script(script).cases}
    assert {title for name, title in NAMED if name == script} == titles


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_a_named_test_exists(path, name):
    assert re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_what_shows_it(row):
    assert re.search(r"`\w+: [^`]+`|`tests/[^`]+::\w+`|not played: |rests on it", row)
