"""`kubectl damon explain`, `top` and `plan`, as processes against the embedded API."""

import json
from pathlib import Path

import cluster_objects as made
import pytest
import yaml

GOLDENS = Path(__file__).parent / "goldens"
UNSTABLE = {"uid": "UID", "takenAt": "TIME"}


def stable(value: object) -> object:
    """Return a document without what differs from run to run."""
    if isinstance(value, dict):
        return {k: UNSTABLE.get(k) or stable(v) for k, v in value.items()}
    return [stable(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("status", ("status",)),
        ("explanation", ("explain", "pod", "web", "-n", "shop")),
        ("top", ("top",)),
        ("plan", ("plan",)),
        ("doctor", ("doctor", "--node", "n1")),
        ("report", ("report",)),
    ],
)
def test_documents_keep_their_schema(shop, name, arguments):
    """To renew a golden delete it, run this twice, and say in CHANGELOG.md what changed."""
    told = shop.ask(*arguments, "-o", "json")
    golden = GOLDENS / f"{name}.json"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(json.dumps(stable(told.data), indent=2) + "\n")
        pytest.fail(f"{golden} was not there; it is now")
    assert stable(told.data) == json.loads(golden.read_text())
    assert stable(yaml.safe_load(shop.ask(*arguments, "-o", "yaml").out)) == stable(told.data)


def test_a_pod_is_explained_by_five_requests_about_it_alone(shop):
    shop.api.call(shop.api.server.journal.requests.clear)
    asked = shop.ask("explain", "pod", "web", "-n", "shop")
    assert asked.code == 0, asked.err
    assert 'annotation               60  damon-operator.io/priority: "60"  <- decides' in asked.out
    assert asked.out.splitlines()[-1].startswith("shop/web has priority 60 by its annotation")
    assert sorted(r.path for r in shop.api.server.journal.requests) == [
        "/api/v1/namespaces/shop",
        "/api/v1/namespaces/shop/pods/web",
        "/api/v1/nodes/n1",
        "/apis/damon-operator.io/v1alpha1/damonnodes/n1",
        "/apis/damon-operator.io/v1alpha1/damontunings",
    ]


@pytest.mark.parametrize("words", [("web",), ("pod/web",), ("po", "web")])
def test_a_pod_may_be_named_in_several_ways(shop, words):
    assert shop.ask("explain", *words, "-n", "shop", "-o", "json").data["name"] == "web"


def test_an_exempt_pod_says_why(shop):
    told = shop.ask("explain", "tool", "-n", "shop").out
    assert "shop/tool  exempt" in told
    assert "its owner asked for that (annotation damon-operator.io/exempt)" in told


def test_a_pod_of_a_node_without_damon_says_what_serves_it_and_what_went(undamoned):
    told = undamoned.ask("explain", "report", "-n", "shop").out
    assert "served by     memory.reclaim alone (page cache; mark 60.0 %)" in told
    assert "out of reach  anonymous memory: " in told
    assert "in its lane" not in told
    told = undamoned.ask("explain", "web", "-n", "shop").out
    assert "page cache: 26 MiB went by memory.reclaim; the kubelet counts 20 MiB less" in told
    why = "page cache came back because it was used"
    assert f"page cache: spared until 2026-01-01T00:05:00Z: {why}" in told
    assert "NoDamon: n1: so it is" in told
    told = undamoned.ask("explain", "database", "-n", "shop").out
    assert "served by   neither a lane nor memory.reclaim: it is protected" in told
    assert "not reclaimed" in told


def test_a_pod_in_a_lane_says_what_serves_it(shop):
    told = shop.ask("explain", "web", "-n", "shop").out
    assert "served by     lane 1" in [line.rstrip() for line in told.splitlines()]
    assert "out of reach  page cache that no process maps: memory.reclaim is not switched" in told


def test_page_cache_that_went_is_sorted_and_in_the_document(undamoned):
    asked = undamoned.ask("top", "--sort", "cache-gone")
    heading, first, *_ = asked.out.splitlines()
    assert heading.split()[-2:] == ["CACHE", "GONE"]
    assert "by reclaim, spared" in first
    rows = undamoned.ask("top", "-o", "json").data["items"]
    web = next(row for row in rows if row["name"] == "shop/web")
    assert (web["lane"], web["byReclaim"], web["cacheGoneBytes"]) == ("", 1, 26 << 20)


def test_a_workload_is_explained_pod_by_pod(shop):
    shop.create(
        made.crd("apps", "deployments", "Deployment"),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "api", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "api"}}},
        },
        made.pod("api-1", labels={"app": "api"}),
        made.pod("api-2", labels={"app": "api"}),
    )
    told = shop.ask("explain", "deploy/api", "-n", "shop", "-o", "json").data
    assert told["kind"] == "ExplanationList"
    assert [each["name"] for each in told["items"]] == ["api-1", "api-2"]


def test_top_sorts_and_groups(shop):
    lines = shop.ask("top").out.splitlines()
    assert lines[1].split()[:3] == ["shop/web", "n1", "60"]
    assert "64 MiB" in lines[1]
    grouped = shop.ask("top", "-g", "node", "-o", "json").data
    assert [(row["name"], row["pods"]) for row in grouped["items"]] == [("n1", 3)]


def test_top_of_a_selection_shows_nothing_else(shop):
    shop.api.call(
        shop.cluster.patch,
        "pods",
        "web",
        {"metadata": {"labels": {"app": "web"}}},
        namespace="shop",
    )
    told = shop.ask("top", "-l", "app=web", "-o", "json").data
    assert [row["name"] for row in told["items"]] == ["shop/web"]
    assert shop.ask("top", "-n", "elsewhere", "-o", "json").data["items"] == []


def test_a_plan_says_what_would_change(shop, tmp_path):
    file = tmp_path / "tuning.yaml"
    file.write_text(yaml.safe_dump(made.tuning(priorities={"annotation": {"max": 75}})))
    asked = shop.ask("plan", "-f", str(file))
    assert asked.code == 0, asked.err
    assert "shop/database on n1: 90 by annotation -> 75 by annotation" in asked.out
    assert "shop/tool on n1: exempt by annotation -> 50 by default" in asked.out
    assert "PriorityClamped" in asked.out
    standing = shop.api.call(shop.cluster.get, "dt", "default")
    assert standing["spec"]["priorities"]["annotation"]["max"] == 100


def test_a_plan_that_would_be_refused_names_the_field(shop):
    given = yaml.safe_dump(made.tuning(priorities={"annotation": {"max": 175}}, bogus=1))
    asked = shop.ask("plan", "-f", "-", given=given)
    assert asked.code == 1
    assert "spec.priorities.annotation.max: Input should be less than or equal to 100" in asked.out
    assert "spec.bogus" in asked.out


def test_what_only_the_api_server_refuses_is_told_in_its_words(shop):
    asked = shop.ask("plan", "-f", "-", given=yaml.safe_dump(made.tuning("Not_A_Name")))
    assert asked.code == 1
    assert "refused (API server)" in asked.out


def test_a_file_without_a_tuning_is_no_plan(shop):
    asked = shop.ask("plan", "-f", "-", given="kind: Pod\n")
    assert asked.code == 2
    assert "no DamonTuning in it" in asked.err


def test_colours_are_for_terminals_only(shop):
    for arguments in (("status",), ("explain", "web", "-n", "shop"), ("top",), ("plan",)):
        assert "\x1b" not in shop.ask(*arguments).out
