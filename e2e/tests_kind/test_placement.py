"""Every way to get a priority, and every kind of pod: the right processes in the right lanes."""

from collections.abc import Iterator

import pytest
import yaml
from harness.api import Api, Body, eventually
from harness.release import Release
from harness.workloads import Workloads, container, container_ids, pod
from tests_kind.nodes import Node
from tests_kind.truth import Truth, pids_of

MANIFESTS = "/etc/kubernetes/manifests"


@pytest.fixture(name="pods", scope="module")
def pods_fixture(
    api: Api, release: Release, workers: tuple[Node, Node]
) -> Iterator[dict[str, Body]]:
    """Run all of them at once; return them by name."""
    one, two = workers[0].name, workers[1].name
    workloads = Workloads(api)
    static = pod("static", "", priority="30")
    del static["spec"]["nodeName"]
    workers[0].write(f"{MANIFESTS}/static.yaml", yaml.safe_dump(static))
    started = workloads.start(
        pod("database", one, class_name="critical"),
        pod(
            "web",
            one,
            class_name="standard",
            containers=[container("server"), container("log-shipper")],
        ),
        pod("report", one, priority="40"),
        pod("compile", one, namespace="builds"),
        pod("profiler", one, exempt="true"),
        pod("tool", one, labels={"app.kubernetes.io/component": "node-tool"}),
        pod("thumbnails", two, class_name="batch"),
        pod("cart", two),
        pod("greedy", two, priority="90"),
        pod("garbage", two, priority="very high"),
        pod(
            "forks",
            two,
            priority="60",
            containers=[container("main", "sleep inf & sleep inf & wait")],
        ),
        pod(
            "staged",
            two,
            priority="45",
            init=[
                container("sidecar", restartPolicy="Always"),
                container("prepare", "true"),
            ],
        ),
    )
    started.append(workloads.running(f"static-{one}"))
    yield {body["metadata"]["name"].removesuffix(f"-{one}"): body for body in started}
    workers[0].run(f"rm {MANIFESTS}/static.yaml")
    workloads.clear()
    workloads.gone(f"static-{one}")


EXPECTED = {
    "database": (83, "protected", "priorityClass/critical", 1),
    "web": (66, "ladder", "priorityClass/standard", 2),
    "report": (40, "ladder", "annotation", 1),
    "static": (30, "ladder", "annotation", 1),
    "compile": (10, "eager", "rule/ci", 1),
    "thumbnails": (34, "ladder", "priorityClass/batch", 1),
    "cart": (50, "ladder", "default", 1),
    "greedy": (75, "ladder", "annotation", 1),
    "garbage": (50, "ladder", "default", 1),
    "forks": (60, "ladder", "annotation", 3),
    "staged": (45, "ladder", "annotation", 2),
}
"""Pod -> priority, role, source, number of processes."""


def test_every_node_holds_exactly_the_processes_of_its_planned_pods(
    pods: dict[str, Body], tuning: Body, truth: Truth
) -> None:
    truth.holds()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_pod_has_its_priority_lane_and_mark(
    name: str, pods: dict[str, Body], tuning: Body, truth: Truth, nodes: dict[str, Node]
) -> None:
    truth.holds()
    node = nodes[pods[name]["spec"]["nodeName"]]
    priority, role, _, processes = EXPECTED[name]
    pids = pids_of(pods[name], node.processes())
    assert len(pids) == processes
    lanes = [lane for lane in node.observe().lanes if pids & set(lane.pids)]
    assert {lane.role for lane in lanes} == {role}
    assert {pid for lane in lanes for pid in lane.pids} >= pids
    expected = truth.of(pods[name])
    assert (expected.priority, expected.role) == (priority, role)
    if role == "ladder":
        assert {lane.metric for lane in lanes} == {"free_mem_rate"}
        assert {lane.watermark for lane in lanes} == {expected.watermark}
    if role != "protected":
        assert {lane.action for lane in lanes} == {"pageout"}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_plan_says_what_decided(
    name: str, pods: dict[str, Body], tuning: Body, api: Api
) -> None:
    priority, _, source, _ = EXPECTED[name]
    body = pods[name]

    def planned() -> tuple[int, str] | None:
        plan = api.get("damonnodes", body["spec"]["nodeName"])["spec"]["pods"]
        found = [
            (p["priority"], p["source"]) for p in plan if p["name"] == body["metadata"]["name"]
        ]
        return found[0] if found else None

    assert eventually(f"{name} is planned", planned) == (priority, source)


@pytest.mark.parametrize("name", ["profiler", "tool"])
def test_an_exempt_pod_is_nobodys_target(
    name: str, pods: dict[str, Body], tuning: Body, truth: Truth, nodes: dict[str, Node]
) -> None:
    truth.holds()
    node = nodes[pods[name]["spec"]["nodeName"]]
    pids = pids_of(pods[name], node.processes())
    assert pids
    assert not pids & {pid for lane in node.observe().lanes for pid in lane.pids}


def test_neither_operator_nor_agents_nor_the_cluster_itself_are_targets(
    pods: dict[str, Body], tuning: Body, truth: Truth, nodes: dict[str, Node], api: Api
) -> None:
    truth.holds()
    for name, node in nodes.items():
        processes = node.processes()
        own = [p for p in api.get("pods") if p["spec"].get("nodeName") == name]
        own = [p for p in own if p["metadata"]["namespace"] in {"kube-system", "damon-system"}]
        pids = {pid for p in own for pid in pids_of(p, processes)}
        assert pids
        assert not pids & {pid for lane in node.observe().lanes for pid in lane.pids}


def test_a_restarted_container_is_followed_to_its_new_process(
    pods: dict[str, Body], tuning: Body, truth: Truth, workers: tuple[Node, Node], api: Api
) -> None:
    truth.holds()
    node, name = workers[1], "cart"
    (before,) = pids_of(pods[name], node.processes())
    (old,) = container_ids(pods[name])
    node.run(f"kill -KILL {before}")

    def restarted() -> Body | None:
        found = api.get("pods", name, "shop")
        ids = list(container_ids(found))
        return found if ids and ids != [old] else None

    after = eventually("the container runs again", restarted, 120)
    truth.holds(node.name)
    carried = {pid for lane in node.observe().lanes for pid in lane.pids}
    assert pids_of(after, node.processes()) <= carried
    assert before not in carried


def test_a_pod_whose_init_container_still_runs_is_nobodys_target_until_it_runs_itself(
    tuning: Body, truth: Truth, workers: tuple[Node, Node], api: Api, workloads: Workloads
) -> None:
    node = workers[1]
    prepare = container("prepare", "until test -e /tmp/go; do sleep 0.2; done")
    prepare["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    body = pod("preparing", node.name, priority="45", init=[prepare])
    body["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    workloads.create(body)

    def preparing() -> Body | None:
        found = api.get("pods", "preparing", "shop")
        return found if any(container_ids(found)) else None

    seen = eventually("the init container runs", preparing)
    assert seen["status"]["phase"] == "Pending"
    early = pids_of(seen, node.processes())
    assert early
    # Who starts after it is in the kernel: operator and agent have seen it by then.
    (later,) = workloads.start(pod("later", node.name, priority="45"))
    truth.holds(node.name)
    carried = {pid for lane in node.observe().lanes for pid in lane.pids}
    assert pids_of(later, node.processes()) <= carried
    assert not pids_of(seen, node.processes()) & carried
    node.run(f"touch /proc/{min(early)}/root/tmp/go")
    after = workloads.running("preparing")
    truth.holds(node.name)
    pids = pids_of(after, node.processes())
    assert pids
    assert pids <= {pid for lane in node.observe().lanes for pid in lane.pids}


def test_marks_follow_available_memory_where_the_tuning_says_so(
    pods: dict[str, Body], tuning: Body, truth: Truth, workers: tuple[Node, Node], api: Api
) -> None:
    api.patch("damontunings", "default", {"spec": {"watermarks": {"metric": "AvailableMemory"}}})
    node = workers[0]

    def shifted() -> bool:
        meter = node.meter(api.get("nodes", node.name), free=False)
        shift = 1000 * (meter.available - meter.free) // meter.total
        (expected,) = [p for p in truth.expected(node.name) if p.name == "web"]
        assert expected.mark is not None
        lanes = [lane for lane in node.observe().lanes if set(lane.pids) & expected.pids]
        # The agent follows in steps of 8 per mille; memory moves between the two looks.
        return bool(lanes) and abs(lanes[0].watermark - max(0, expected.mark - shift)) <= 12

    eventually("the marks are those of available memory", shifted)


def test_a_lane_sleeps_while_more_than_its_mark_is_available(
    pods: dict[str, Body], tuning: Body, truth: Truth, workers: tuple[Node, Node], api: Api
) -> None:
    """Then it has no leave to reclaim: nothing that happens in the kernel can make it."""
    marks = {"metric": "AvailableMemory", "floorPermille": 1, "ceilingPermille": 2}
    api.patch("damontunings", "default", {"spec": {"watermarks": marks}})
    node = workers[0]

    def sleeps() -> bool:
        (expected,) = [p for p in truth.expected(node.name) if p.name == "web"]
        lanes = [lane for lane in node.observe().lanes if set(lane.pids) & expected.pids]
        return [(lane.action, lane.watermark) for lane in lanes] == [("stat", 0)]

    eventually("the lane only watches", sleeps)
