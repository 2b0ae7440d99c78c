"""The soak's judgement: every way to be wrong is told, and what is right is not."""

import subprocess

import pytest
from soak import judge
from soak.judge import Lane, Watch

from damon_mock.demo.expectation import ExpectedPod
from damon_mock.demo.programs import MEMORY
from damon_mock.nodes import processes


def pod(name, priority, *pids, role="ladder", mark=300, action="pageout"):
    is_ladder = role == "ladder"
    return ExpectedPod(
        name,
        "default",
        priority,
        role,
        mark if is_ladder else None,
        mark if is_ladder else None,
        action,
        frozenset(pids),
    )


WEB = pod("web", 50, 10, 11)
DATABASE = pod("database", 83, 20, role="protected", action="")
BATCH = pod("batch", 34, 30, mark=600)
LANES = [
    Lane(0, (10, 11), "pageout", "free_mem_rate", 300),
    Lane(1, (20,), "", "none", 0),
    Lane(2, (30,), "pageout", "free_mem_rate", 600),
]
PODS = (WEB, DATABASE, BATCH)


def said(lanes, pods=PODS, mode="Enforce"):
    return list(judge.of_kernel(pods, lanes, mode))


def changed(index, **fields):
    return [Lane(**{**vars_of(lane), **(fields if lane.index == index else {})}) for lane in LANES]


def vars_of(lane):
    return {name: getattr(lane, name) for name in ("index", "pids", "action", "metric", "mark")}


def test_what_is_as_wanted_has_no_differences():
    assert said(LANES) == []
    assert said([], mode="Off") == []
    assert said(changed(0, action="stat")[:2], PODS[:2], "Observe") == []


def test_every_way_to_be_wrong_is_told():
    wrong = {
        "no target for [11] of web": changed(0, pids=(10,)),
        "belong to no planned pod: [99]": changed(0, pids=(10, 11, 99)),
        "target of two kdamonds": changed(2, pids=(30, 10)),
        "kdamond 0 is ('ladder', 301, 'pageout')": changed(0, mark=301),
        "kdamond 0 is ('ladder', 300, 'stat')": changed(0, action="stat"),
        "kdamond 0 is ('eager', 0, 'pageout')": changed(0, metric="none", mark=0),
        "kdamond 3 runs for nobody": [*LANES, Lane(3, (), "", "none", 0)],
    }
    for words, lanes in wrong.items():
        assert any(words in line for line in said(lanes)), words
    assert said(LANES, mode="Off")


def test_a_lane_is_shared_only_where_there_are_too_few_and_only_by_neighbours():
    two = (pod("a", 30, 1), pod("b", 31, 2))
    shared = Lane(0, (1, 2), "pageout", "free_mem_rate", 300)
    assert any("without need" in line for line in said([shared], two))
    many = tuple(pod(f"p{n}", 30 + n, n + 1) for n in range(9))
    ladder = ("pageout", "free_mem_rate", 300)
    neighbours = [Lane(0, (1, 2), *ladder), *(Lane(n, (n + 2,), *ladder) for n in range(1, 8))]
    assert said(neighbours, many) == []
    strangers = [Lane(0, (1, 9), *ladder), *(Lane(n, (n + 1,), *ladder) for n in range(1, 8))]
    assert any("but others hold" in line for line in said(strangers, many))


def test_a_plan_is_compared_whole():
    planned = {
        "uid": "u", "priority": 50, "source": "default", "containers": [{"id": "c"}]
    }  # fmt: skip
    node = {"spec": {"pods": [planned]}}
    wanted = {"u": (50, "default", frozenset({"c"}))}
    assert list(judge.of_plan(node, wanted)) == []
    for other in ({}, {"u": (51, *wanted["u"][1:])}, {"u": (50, "default", frozenset())}):
        assert list(judge.of_plan(node, other))
    assert list(judge.of_plan(None, wanted)) == ["the DamonNode does not exist"]
    assert list(judge.of_plan(node, None)) == ["the DamonNode exists"]


def look(*targets, creator="agent", **fields):
    schemes = [{"action": "stat", "metric": "none", "mark": 0}]
    kdamond = {"index": 0, "creator": creator, "targets": list(targets), "schemes": schemes}
    nothing = {"inherited": 0, "panicked": None, "wrong_writes": [], "reclaims": []}
    return {"kdamonds": [kdamond], "writes": 0, "events": 0, **nothing, **fields}


@pytest.fixture
def container():
    """Start a process that leads a session, as each container of a simulated node does."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        yield [process.pid, int(processes.stat_fields(process.pid)[19])]
    finally:
        process.kill()
        process.wait()


def test_a_living_process_that_no_plan_names_is_told_and_a_dead_one_is_not(container):
    watch = Watch()
    session, _ = container
    watch.meet(session, planned=False, protected=False)
    assert watch.judge(look(container))
    assert not watch.judge(look([session, 1], None, [2, 1]))
    assert not watch.judge(look(container, creator="foreign"))
    watch.meet(session, planned=True, protected=False)
    assert not watch.judge(look(container))


def test_what_may_never_be_is_told(container):
    watch = Watch()
    watch.meet(container[0], planned=True, protected=True)
    never = (
        {"inherited": 1},
        {"panicked": "division by zero"},
        {"wrong_writes": ["damon/admin/kdamonds/nr_kdamonds <- 8"]},
        {"reclaims": [[*container, 4096, 0]]},
        {"reclaims": [[1, 1, 4096, 1]]},
    )
    assert all(watch.judge(look(**fields)) for fields in never)
    assert len(watch.broken) == len(never)


def test_lanes_are_read_from_a_look():
    acting = {"action": "pageout", "metric": "free_mem_rate", "mark": 7}
    eager = {"action": "pageout", "metric": "none", "mark": 7}
    counting = {"action": "stat", "metric": "none", "mark": 503}
    seen = look([10, 1], None, [2, 1])
    roles = []
    for schemes in ([counting], [counting, acting], [counting, eager]):
        seen["kdamonds"][0]["schemes"] = schemes
        [lane] = judge.lanes(seen)
        roles.append((lane.role, lane.mark, lane.pids))
    assert roles == [("protected", 0, (10,)), ("ladder", 7, (10,)), ("eager", 0, (10,))]


def test_memory_is_what_meminfo_shows():
    """A mark is a floor of a quotient: the bytes that meminfo leaves out can turn it over."""
    memory = MEMORY.with_available(450)
    seen = dict(
        line.split()[:2] for line in memory.meminfo().splitlines() if line.startswith("Mem")
    )
    meter = judge.meter(memory)
    assert meter.total == int(seen["MemTotal:"]) * 1024
    assert (meter.free, meter.available) == (
        int(seen["MemFree:"]) * 1024,
        int(seen["MemAvailable:"]) * 1024,
    )
