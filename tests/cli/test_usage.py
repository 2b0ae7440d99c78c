"""The rows of `top`: sums, groups, orders and rates. Pure."""

import cluster_objects as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from damon_cli.damon_node import DamonNode
from damon_cli.top import screen
from damon_cli.top.usage import Grouping, Order, PodInfo, Rates, Usage, ordered, usages

SEEN = DamonNode.of(
    made.damon_node(
        "n1",
        ("web", 60),
        ("api", 60),
        ("ci", 10),
        figures={
            "web": {"coldBytes": 10, "givenUpBytes": 5, "refaultedBytes": 1},
            "api": {"coldBytes": 20},
        },
        lanes={10: {"active": True}},
    )
)


def rows(grouping: Grouping, **more) -> dict[str, Usage]:
    given_up = {
        "selected": lambda *_: True,
        "working_sets": {},
        "infos": {},
        "rates": {},
        **more,
    }
    return {row.name: row for row in usages([SEEN], grouping=grouping, **given_up)}


def test_a_row_per_pod_says_what_its_agent_said():
    web = rows(Grouping.POD, working_sets={"shop/web": 99})["shop/web"]
    assert (web.cold_bytes, web.given_up_bytes, web.came_back_bytes) == (10, 5, 1)
    assert web.working_set_bytes == 99
    assert (web.node, web.priority, web.lane, web.reclaimed_now) == ("n1", 60, "Ladder", 0)


def test_what_is_not_known_is_not_zero():
    ci = rows(Grouping.POD)["shop/ci"]
    assert ci.cold_bytes is None


@pytest.mark.parametrize(
    ("grouping", "names"),
    [
        (Grouping.NAMESPACE, {"shop": 3}),
        (Grouping.NODE, {"n1": 3}),
        (Grouping.PRIORITY, {"60": 2, "10": 1}),
        (Grouping.WORKLOAD, {"shop/deployment/web": 2, "shop/pod": 1}),
    ],
)
def test_a_group_is_the_sum_of_its_pods(grouping, names):
    web = PodInfo("deployment/web")
    found = rows(grouping, infos={"uid-web": web, "uid-api": web})
    assert {name: row.pods for name, row in found.items()} == names
    assert sum(row.cold_bytes or 0 for row in found.values()) == 30


def test_a_group_of_several_lanes_is_mixed_and_spans_priorities():
    shop = rows(Grouping.NAMESPACE)["shop"]
    assert (shop.lane, shop.priority, shop.priority_most) == ("Mixed", 10, 60)
    assert shop.reclaimed_now == 1


@pytest.mark.parametrize("order", list(Order))
def test_every_order_is_total_and_puts_the_unknown_last(order):
    names = [row.name for row in ordered(rows(Grouping.POD).values(), order)]
    assert sorted(names) == ["shop/api", "shop/ci", "shop/web"]
    if order is Order.COLD:
        assert names == ["shop/api", "shop/web", "shop/ci"]


@given(st.lists(st.tuples(st.integers(0, 10**12), st.floats(0, 1e4)), max_size=20))
def test_a_rate_is_never_negative_nor_more_than_was_reported(reports):
    seen, now_s, highest = Rates(), 0.0, 0
    for size, pause_s in reports:
        now_s += pause_s
        highest = max(highest, size)
        seen.saw({"a": size}, now_s)
        assert 0 <= seen.per_minute.get("a", 0) <= highest


def test_a_report_adds_what_came_back_within_its_minute():
    seen = Rates()
    seen.saw({"a": 100}, 0)
    seen.saw({"a": 160}, 2)
    assert seen.per_minute == {"a": 60}
    seen.saw({"a": 160}, 130)
    assert seen.per_minute == {"a": 0}


def alone(*pods, **figures):
    return DamonNode.of(made.without_damon(*pods, figures=figures))


def gone(size, **more):
    return {"reclaim": {"fileBytes": size, "workingSetBytes": 0, **more}}


def rows_of(grouping, *nodes):
    found = usages(
        nodes,
        selected=lambda *_: True,
        working_sets={},
        infos={},
        rates={},
        grouping=grouping,
    )
    return {row.name: row for row in found}


def shown(rows, grouping=Grouping.POD):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(screen.table(list(rows.values()), grouping))
    heading, *lines = captured.get().splitlines()
    return heading, {line.split()[0]: line for line in lines}


def test_pods_without_a_lane_on_a_node_without_damon_go_by_reclaim():
    seen = alone(("web", 60), ("database", 90))
    found = rows_of(Grouping.POD, seen)
    assert {name: row.by_reclaim for name, row in found.items()} == {
        "shop/web": 1,
        "shop/database": 0,
    }
    _, lines = shown(found)
    assert "by reclaim" in lines["shop/web"]
    assert "none" in lines["shop/database"], "it is protected"
    _, lines = shown(rows_of(Grouping.NODE, seen), Grouping.NODE)
    assert "none, 1 by reclaim" in lines["n1"]


def test_lanes_and_reclaim_in_one_row_are_both_told():
    _, lines = shown(rows_of(Grouping.NAMESPACE, SEEN, alone(("job", 30))), Grouping.NAMESPACE)
    assert "mixed, 1 by reclaim, 1 now" in lines["shop"]


def test_a_pod_whose_page_cache_is_spared_is_spared_only_where_nothing_else_goes():
    spared = gone(9, spared={"until": made.TIME, "cause": "Refaults"})
    found = rows_of(Grouping.POD, alone(("web", 60), web=spared))
    assert found["shop/web"].spared == 1
    assert "by reclaim, spared" in shown(found)[1]["shop/web"]
    beside = made.reclaimed(made.damon_node("n1", ("web", 60), figures={"web": spared}))
    assert rows_of(Grouping.POD, DamonNode.of(beside))["shop/web"].spared == 0


def test_page_cache_that_went_has_a_column_only_where_some_went():
    heading, _ = shown(rows(Grouping.POD))
    assert "CACHE GONE" not in heading
    seen = alone(("web", 60), ("job", 30), ("api", 60), web=gone(2**20), api=gone(2**21))
    found = rows_of(Grouping.POD, seen)
    heading, lines = shown(found)
    assert heading.rstrip().endswith("CACHE GONE")
    assert lines["shop/web"].rstrip().endswith("1 MiB")
    assert lines["shop/job"].rstrip().endswith("-")
    names = [row.name for row in ordered(found.values(), Order.CACHE_GONE)]
    assert names == ["shop/api", "shop/web", "shop/job"]
    assert rows_of(Grouping.NODE, seen)["n1"].cache_gone_bytes == 3 * 2**20
