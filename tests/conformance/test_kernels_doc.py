"""docs/kernels.md: every row names what shows it. What it and docs/upstream.md name exists."""

import re
from pathlib import Path

import pytest

from damon_mock.conformance import goldens

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "kernels.md").read_text("utf-8")
ROWS = [
    line
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    for line in section.splitlines()
    if line.startswith("| ") and "shown by |" not in line
]
BOTH = TEXT + (ROOT / "docs" / "upstream.md").read_text("utf-8")
CASES = sorted(set(re.findall(rf"`({'|'.join(goldens.names())}): ([^`]+)`", BOTH)))
TESTS = sorted(set(re.findall(r"`((?:tests|e2e)/[\w/]+\.py)::(\w+)`", BOTH)))


@pytest.mark.parametrize(("script", "title"), CASES)
def test_a_named_case_exists(script, title):
    assert title in {case.title for case in goldens.script(script).cases}


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_a_named_test_exists(path, name):
    assert re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_what_shows_it(row):
    assert re.search(r"`\w+: [^`]+`|`(tests|e2e)/[^`]+::\w+`", row)


@pytest.mark.parametrize("profile", ["6.12", "6.18", "7.2", "7.3"])
def test_the_releases_are_those_of_the_goldens(profile):
    golden = goldens.load(Path(__file__).parent / "goldens" / profile, "tree")
    assert f"| {profile} | {golden.kernel} |" in TEXT
