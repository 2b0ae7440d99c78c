"""What happens to pods afterwards: the kernel follows."""

from harness.api import Api, Body, eventually
from harness.workloads import Workloads, container, pod
from tests_kind.nodes import Node
from tests_kind.truth import Truth, pids_of


def _lane(node: Node, pids: frozenset[int]) -> set[tuple[str, int]]:
    lanes = [lane for lane in node.observe().lanes if pids & set(lane.pids)]
    return {(lane.role, lane.watermark) for lane in lanes}


def test_a_changed_annotation_moves_the_pod_to_another_lane(
    tuning: Body, workloads: Workloads, truth: Truth, workers: tuple[Node, Node]
) -> None:
    node = workers[0]
    moved, other = workloads.start(
        pod("moved", node.name, priority="40"), pod("other", node.name, priority="30")
    )
    truth.holds(node.name)
    pids = pids_of(moved, node.processes())
    before = _lane(node, pids)
    workloads.annotate("moved", "70")
    truth.holds(node.name)
    after = _lane(node, pids)
    assert after != before
    assert {role for role, _ in after} == {"ladder"}
    workloads.annotate("moved", "5")
    truth.holds(node.name)
    assert {role for role, _ in _lane(node, pids)} == {"eager"}
    workloads.annotate("moved", None)
    truth.holds(node.name)
    assert truth.of(moved).priority == 50
    assert pids_of(other, node.processes()) <= {
        pid for lane in node.observe().lanes for pid in lane.pids
    }


def test_a_pod_moved_to_another_node_leaves_one_kernel_and_enters_the_other(
    tuning: Body, workloads: Workloads, truth: Truth, workers: tuple[Node, Node]
) -> None:
    one, two = workers
    (here,) = workloads.start(pod("mover", one.name, priority="60"))
    truth.holds()
    pids = pids_of(here, one.processes())
    assert _lane(one, pids)
    workloads.delete("mover")
    (there,) = workloads.start(pod("mover", two.name, priority="60"))
    truth.holds()
    assert not _lane(one, pids)
    assert _lane(two, pids_of(there, two.processes()))


def test_an_added_and_a_deleted_pod_leave_the_others_where_they_are(
    tuning: Body, workloads: Workloads, truth: Truth, workers: tuple[Node, Node]
) -> None:
    node = workers[0]
    (stays,) = workloads.start(pod("stays", node.name, priority="33"))
    truth.holds(node.name)
    pids = pids_of(stays, node.processes())
    (lane,) = [lane for lane in node.observe().lanes if pids & set(lane.pids)]
    workloads.start(pod("comes", node.name, priority="33"))
    truth.holds(node.name)
    workloads.delete("comes")
    truth.holds(node.name)
    (after,) = [lane for lane in node.observe().lanes if pids & set(lane.pids)]
    assert (after.index, after.thread) == (lane.index, lane.thread)


def test_thirty_pods_at_once_all_get_there(
    tuning: Body, workloads: Workloads, truth: Truth, workers: tuple[Node, Node], api: Api
) -> None:
    names = [f"many-{number:02}" for number in range(30)]
    for number, name in enumerate(names):
        workloads.create(pod(name, workers[number % 2].name, priority=str(25 + 10 * (number % 5))))
    for name in names:
        workloads.running(name)
    truth.holds()
    carried = {n.name: {p for lane in n.observe().lanes for p in lane.pids} for n in workers}
    for name in names:
        body = api.get("pods", name, "shop")
        node = next(n for n in workers if n.name == body["spec"]["nodeName"])
        pids = pids_of(body, node.processes())
        assert pids
        assert pids <= carried[node.name]
    workloads.clear()
    truth.holds()


def test_ten_pods_that_loop_do_not_keep_a_new_plan_from_being_applied(
    tuning: Body, workloads: Workloads, workers: tuple[Node, Node], api: Api
) -> None:
    """Each starts a process every 0.5 to 5 s, so that some lane always has somebody to let go."""
    node = workers[0]
    (stays,) = workloads.start(pod("stays", node.name, priority="45"))
    workloads.start(
        *(
            pod(
                f"loops-{number}",
                node.name,
                priority=str(25 + 10 * (number % 5)),
                containers=[container("main", f"while :; do sleep {0.5 + number / 2}; done")],
            )
            for number in range(10)
        )
    )

    def generation() -> int:
        found: int = api.get("damonnodes", node.name)["metadata"]["generation"]
        return found

    def applied() -> bool:
        found = api.get("damonnodes", node.name)
        return any(
            condition["type"] == "Applied"
            and condition["status"] == "True"
            and condition["observedGeneration"] == found["metadata"]["generation"]
            for condition in found["status"]["conditions"]
        )

    eventually("the plan with all of them is applied", applied)
    before = generation()
    api.patch("damontunings", "default", {"spec": {"watermarks": {"interval": "4s"}}})
    eventually("there is a new plan", lambda: generation() > before)
    eventually("the new plan is applied", applied, within_s=10)
    pids = pids_of(stays, node.processes())
    assert pids
    assert [lane.action for lane in node.observe().lanes if pids & set(lane.pids)] == ["pageout"]


def test_an_unreadable_annotation_is_told_on_the_pod(
    tuning: Body, workloads: Workloads, workers: tuple[Node, Node], api: Api
) -> None:
    workloads.start(pod("odd", workers[0].name, priority="high"))

    def told() -> bool:
        return any(
            event["reason"] == "PriorityRejected" and event["involvedObject"]["name"] == "odd"
            for event in api.get("events", namespace="shop")
        )

    eventually("an Event about the annotation", told)
