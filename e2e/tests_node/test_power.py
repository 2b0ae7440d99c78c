"""The power of a tuned node is cut, and it returns."""

import json

from harness.api import Api, Body, eventually, until_nothing
from harness.workloads import Workloads
from tests_node.ladder import EFFECT_S, Marks, misplaced, until_gone
from tests_node.scene import Scene
from vmnode.node import VmNode

RECORD = "/run/damon-operator/record.json"
"""Where the chart's agent.hostPaths.state lies in the node."""


def test_a_node_that_lost_its_power_is_tuned_anew_when_it_returns(
    node: VmNode,
    marks: Marks,
    scene: Scene,
    victims: dict[str, Body],
    workloads: Workloads,
    api: Api,
) -> None:
    until_nothing(
        "the kernel holds what the plan says", lambda: misplaced(scene.look(), victims), EFFECT_S
    )
    before = scene.look()
    record = node.on.get(RECORD)
    assert json.loads(record)["bootId"] == before.boot
    node.power_cut()
    # As if it lay on a disk that keeps what is written: it speaks of the former boot.
    node.join({RECORD: record})
    returned = {name: after_restart(api, pod) for name, pod in victims.items()}
    until_nothing(
        "the kernel holds what the plan says", lambda: misplaced(scene.look(), returned), EFFECT_S
    )
    eventually("the agent says that the plan is applied", scene.applied, EFFECT_S)
    seen = until_gone(scene, returned, "eager")
    assert seen.boot != before.boot
    assert json.loads(node.on.get(RECORD))["bootId"] == seen.boot
    # Nobody but the processes of the planned pods: nothing was taken over from the record.
    alive = {pid for pod in returned.values() for pid in seen.of(pod).pids}
    running = [k for k in seen.kdamonds if k.state == "on"]
    assert {pid for k in running for pid in k.targets} == alive
    victims.update(returned)


def after_restart(api: Api, pod: Body) -> Body:
    """Return a pod once it runs in a container other than the one it had."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    (then,) = pod["status"]["containerStatuses"]

    def look() -> Body | None:
        found: Body = api.get("pods", name, namespace)
        (now,) = found["status"]["containerStatuses"]
        running = "running" in now["state"] and now["containerID"] != then["containerID"]
        return found if running else None

    return eventually(f"{name} runs again", look, EFFECT_S)
