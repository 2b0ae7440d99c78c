"""The forms of `report`: whatever names a cluster has, they stay names."""

import csv
import html
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import cluster_objects as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_cli.report.account import PodMemory, account
from damon_cli.report.escape import plain
from damon_cli.report.knowledge import Report, report
from damon_cli.report.page import page
from damon_cli.report.plots import plots
from damon_cli.report.texts import csv_text, markdown_text

MIB = 2**20
EVIL = st.sampled_from(
    [
        "<script>alert(1)</script>",
        "=1+1",
        "a|b",
        "`x`",
        '"><img src=x>',
        "\x1b[31m",
        "]]>",
        "\ud800",
    ]
)
NAMES = st.text(max_size=40) | EVIL


def told(*names: str) -> Report:
    pods = [
        PodMemory(name, f"job/{name}", 8 * MIB, None, 4 * MIB, 10 + i % 80, name, i * MIB)
        for i, name in enumerate(names)
    ]
    return report(account(pods), [], "2026-01-01T00:00:00Z")


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name in {"src", "href"} or name.startswith("on")]

    def handle_data(self, data):
        self.said.append(data)


@given(st.lists(NAMES, min_size=1, max_size=5, unique_by=plain))
def test_names_change_nothing_but_text_in_html(names):
    as_letters = told(*(f"n{i}" for i in range(len(names))))
    found = Tags(page(told(*names), 0))
    assert sorted(found.tags) == sorted(Tags(page(as_letters, 0)).tags)
    assert {plain(name) for name in names} <= {*found.said, ""}


@given(st.lists(NAMES, min_size=1, max_size=5, unique_by=plain))
def test_plots_are_xml_with_the_names_in_it(names):
    root = ET.fromstring(plots(told(*names)))
    titles = {element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")}
    assert {plain(name) for name in names} <= titles


@given(st.lists(NAMES, min_size=1, max_size=5, unique_by=plain))
def test_a_table_in_markdown_has_its_columns_whatever_is_in_them(names):
    text = markdown_text(told(*names), 0)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {row.count("|") for row in rows} == {9, 4}
    assert "<" not in text
    assert "`" not in text
    cells = {html.unescape(row.split(" | ")[0][2:]) for row in rows}
    assert {html.unescape(plain(name)) for name in names} <= {html.unescape(c) for c in cells}


@given(st.lists(NAMES, min_size=1, max_size=5, unique_by=plain))
def test_no_cell_of_a_csv_is_a_formula(names):
    rows = list(csv.DictReader(io.StringIO(csv_text(told(*names)))))
    assert len(rows) == 1 + 3 * len(names)
    for row in rows:
        assert not re.match(r"\s*[=+\-@\t\r]", row["name"])
    assert {plain(name) for name in names} <= {row["name"].removeprefix("'") for row in rows} | {
        plain(name) for name in names if name.startswith("'")
    }


@given(st.lists(st.integers(0, 2**62), max_size=20), st.integers(0, 2**62))
def test_no_bar_is_wider_than_its_plot(sizes, requested):
    pods = [
        PodMemory(f"n{i}", "job/a", requested, None, s, 5, "1m", s) for i, s in enumerate(sizes)
    ]
    root = ET.fromstring(plots(report(account(pods), [], "now")))
    for bar in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert 0 <= int(bar.get("x", "0")) + int(bar.get("width", "0")) <= 860


@pytest.fixture(name="sized")
def sized_fixture(shop):
    resources = {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    containers = [{"name": "main", "image": "i", "resources": resources}]
    shop.create(made.namespace("build"))
    shop.create(made.pod("compile", namespace="build", containers=containers))
    return shop


def test_a_terminal_gets_the_sentence_tables_and_what_is_not_known(sized):
    asked = sized.ask("report")
    assert asked.code == 0, asked.err
    assert asked.out.startswith("Of 1 GiB requested 64 MiB were not touched for 24s, as far as")
    assert re.search(
        r"^total +1/5 +1 GiB +2 GiB, 4 without +- +64 MiB +6.2 % +1 MiB", asked.out, re.MULTILINE
    )
    assert "What this cannot know:" in asked.out
    assert "4 of 5 pods have no memory limit." in asked.out


def test_every_form_says_the_same(sized):
    document = sized.ask("report", "-o", "json").data
    assert document["total"]["coldBytes"] == 64 * MIB
    assert document["sentence"] in html.unescape(sized.ask("report", "-o", "html").out)
    assert document["sentence"] in html.unescape(sized.ask("report", "-o", "md").out)
    assert document["sentence"] in ET.fromstring(sized.ask("report", "-o", "svg").out)[0].text
    rows = list(csv.DictReader(io.StringIO(sized.ask("report", "-o", "csv").out)))
    assert rows[0]["cold_bytes"] == str(64 * MIB)
    assert rows[0]["cold_of_requested_permille"] == "62"


def test_a_report_of_a_namespace_has_no_other(sized):
    told_of = sized.ask("report", "-n", "build", "-o", "json").data
    assert [each["name"] for each in told_of["namespaces"]] == ["build"]
    assert json.dumps(told_of).count("shop") == 0


def test_a_form_that_does_not_exist_is_named_with_those_that_do(shop):
    asked = shop.ask("report", "-o", "pdf")
    assert asked.code == 2
    assert "none of table, html, svg, md, csv, json, yaml" in " ".join(asked.err.split())
