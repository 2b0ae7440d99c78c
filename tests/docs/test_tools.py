"""The scripts of the documentation: links, plots, and what they find wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "docs/tools"


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOOLS / script, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(name="written")
def written_fixture(tmp_path):
    """Return a function that writes pages and checks their links."""

    def check(**pages: str) -> subprocess.CompletedProcess[str]:
        for name, text in pages.items():
            (tmp_path / f"{name}.md").write_text(text)
        return run("links.py", tmp_path)

    return check


def test_no_link_of_the_project_leads_nowhere():
    ran = run("links.py")
    assert ran.returncode == 0, ran.stdout


def test_the_committed_plots_are_those_of_the_functions():
    ran = run("marks.py", "--check")
    assert ran.returncode == 0, ran.stdout


def test_links_to_files_and_headings_are_followed(written):
    ran = written(
        a='[b](b.md) [b](b.md#two-words) [here](#a-b) ![p](b.md "title")\n\n# A `b`!\n',
        b="## Two words\n\n```\n[code](is-no-link.md)\n# no heading\n```\n`[nor](this.md)`\n",
    )
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("gone.md", "no file gone.md"),
        ("#gone", "no heading #gone in this file"),
        ("b.md#gone", "no heading #gone in b.md"),
        ("b.md#two-2", "no heading #two-2 in b.md"),
        ("b.md#no-heading", "no heading #no-heading in b.md"),
    ],
)
def test_a_link_that_leads_nowhere_is_named_with_its_page(written, link, said):
    ran = written(a=f"[x]({link})\n", b="# Two\n\n# Two\n\n```\n# no heading\n```\n")
    assert ran.returncode == 1
    assert ran.stdout == f"a.md: ({link}): {said}\n"


def test_headings_that_repeat_are_numbered(written):
    assert written(a="[x](b.md#two-1)\n", b="# Two\n\n# Two\n").returncode == 0


def test_other_sites_are_listed_and_not_followed(tmp_path):
    (tmp_path / "a.md").write_text("[x](https://example.com/gone) [y](b.md)\n")
    ran = run("links.py", "--external", tmp_path)
    assert ran.stdout == "1 links to other sites, not followed:\nhttps://example.com/gone\n"
