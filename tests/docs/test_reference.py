"""docs/api.md says of every field what the API server checks."""

import re
from pathlib import Path

import pytest

from damon_contract import __main__ as program
from damon_contract import reference, resources
from damon_contract.schema import crd

ROOT = Path(__file__).parents[2]
PAGE = reference.page(resources.ALL)


def sections(page: str) -> dict[str, str]:
    """Return heading -> what stands below it."""
    _, *rest = re.split(r"^### (.+)\n", page, flags=re.MULTILINE)
    return dict(zip(rest[::2], rest[1::2], strict=True))


def fields_of(section: str) -> set[str]:
    """Return the fields in the table of a section."""
    return set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))


def objects(schema, path):
    """Yield (path, schema) of every object of a resource."""
    if "properties" in schema:
        yield path, schema
        for name, child in schema["properties"].items():
            suffix, inner = ("[]", child["items"]) if "items" in child else ("", child)
            yield from objects(inner, f"{path}.{name}{suffix}")


EVERY = [
    found
    for resource in resources.ALL
    for part in ("spec", "status")
    for found in objects(
        crd(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part],
        f"{resource.kind}.{part}",
    )
]


@pytest.mark.parametrize(("path", "schema"), EVERY, ids=[path for path, _ in EVERY])
def test_every_object_has_one_section_with_all_its_fields(path, schema):
    told = sections(PAGE)
    fields = set(schema["properties"])
    section = told.get(path) or next(s for s in told.values() if fields_of(s) == fields)
    assert fields_of(section) == fields
    for rule in schema.get("x-kubernetes-validations", ()):
        assert rule["message"] in section


@pytest.mark.parametrize(
    "row",
    [
        "| `protectFrom` | integer | `80` | 2 to 100 | Pods of this priority and above",
        "| `minAge` | duration |  | 1s to 720h: without any age all memory is cold, and",
        "| `bytes` | size | **required** | 4Ki to 999Ti: the kernel takes 0 for no limit",
        "| `action` | `pageout` or `cold` | `pageout` |",
        '| `exemptNamespaces` | list of string | `["kube-system"]` | at most 64 entries; each at',
        "| `conditions` | [list of object](#damontuningstatusconditions) |",
        "| `floorPermille` | integer |  | 0 to 1000 |",
    ],
)
def test_a_field_is_told_with_type_default_bounds_and_their_reason(row):
    assert row in PAGE


def test_every_link_within_the_page_leads_to_a_section():
    anchors = {re.sub(r"[^a-z]", "", heading.lower()) for heading in sections(PAGE)}
    assert set(re.findall(r"\(#([a-z]+)\)", PAGE)) <= anchors


def test_a_page_that_is_out_of_date_is_noticed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    stale = tmp_path / "api.md"
    stale.write_text(PAGE.replace("`80`", "`81`"), encoding="utf-8")
    assert program.main(["--check", "--reference", str(stale)]) == 1
    said = capsys.readouterr()
    assert "-| `protectFrom` | integer | `81`" in said.out
    assert "docs/api.md" in said.err
    assert program.main(["--check"]) == 0
