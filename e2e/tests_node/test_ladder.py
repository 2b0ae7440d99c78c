"""Real pods on a real kernel: who gives up cold memory, when, and who is told that he cannot."""

from harness.api import Api, Body, eventually, until_nothing
from harness.workloads import Workloads
from tests_node.ladder import (
    EFFECT_S,
    FLOOR_PERMILLE,
    UNSWAPPABLE,
    Marks,
    lost,
    misplaced,
    rewarm,
    squeeze,
    until_gone,
)
from tests_node.pods import COLD_MIB, HOT_MIB, PROGRAM_MIB
from tests_node.scene import MIB, Scene
from vmnode.node import VmNode


def test_every_process_is_a_target_of_a_kdamond_of_its_own_priority(
    node: VmNode, marks: Marks, scene: Scene, victims: dict[str, Body]
) -> None:
    def wrong() -> list[str]:
        return misplaced(scene.look(), victims)

    until_nothing("the kernel holds what the plan says", wrong, EFFECT_S)


def test_cold_memory_goes_in_the_order_of_priorities_and_hot_memory_stays(
    node: VmNode,
    marks: Marks,
    scene: Scene,
    victims: dict[str, Body],
    workloads: Workloads,
    api: Api,
) -> None:
    # Nothing is squeezed: only the eager pod gives, and of its lane only who may swap.
    seen = until_gone(scene, victims, "eager")
    assert seen.available_permille > marks.low
    assert set(lost(seen, victims)) == {"eager"}
    # Below the mark of the next, above that of the one after it.
    squeeze(scene, workloads, "first", to_permille=(marks.low + marks.middle) // 2)
    seen = until_gone(scene, victims, "low")
    assert seen.available_permille > marks.middle
    assert set(lost(seen, victims)) == {"eager", "low"}
    squeeze(scene, workloads, "second", to_permille=(marks.middle + FLOOR_PERMILLE) // 2)
    seen = until_gone(scene, victims, "middle")
    assert set(lost(seen, victims)) == {"eager", "low", "middle"}
    for pod in victims.values():
        assert seen.of(pod).areas["hot"].swap_bytes <= HOT_MIB * MIB // 8
    # There is memory again. Both touch all they had; only the eager one has to give it up again.
    for name in ("first", "second"):
        api.delete("pods", name, "shop")
    eventually(
        "memory is available again", lambda: scene.look().available_permille > marks.low, EFFECT_S
    )
    rewarm(scene, victims, "eager", "middle")
    seen = until_gone(scene, victims, "eager")
    assert not seen.of(victims["middle"]).areas["cold"].swap_bytes


def test_each_pod_is_told_whether_its_anonymous_memory_can_go(
    node: VmNode, marks: Marks, scene: Scene, victims: dict[str, Body]
) -> None:
    def told() -> dict[str, bool | None]:
        pods = scene.report()["status"].get("pods", ())
        by_uid = {pod["uid"]: pod.get("swappable", True) for pod in pods}
        return {name: by_uid.get(pod["metadata"]["uid"]) for name, pod in victims.items()}

    seen = scene.look()
    truth = {name: seen.of(pod).swap_max_bytes != 0 for name, pod in victims.items()}
    assert truth == {name: name not in UNSWAPPABLE for name in victims}
    eventually(f"status.pods says {truth}", lambda: told() == truth)
    (applied,) = [c for c in scene.report()["status"]["conditions"] if c["type"] == "Applied"]
    assert "2 may not swap (memory.swap.max 0)" in applied["message"]


def test_the_agent_tells_how_much_of_the_protected_pod_is_cold(
    node: VmNode, marks: Marks, scene: Scene, victims: dict[str, Body]
) -> None:
    """What it could give up, though nobody takes it: its cold part, whole, and of itself a bit."""
    uid = victims["protected"]["metadata"]["uid"]

    def told_mib() -> int:
        pods = scene.report()["status"].get("pods", ())
        return sum(pod.get("coldBytes", 0) for pod in pods if pod["uid"] == uid) // MIB

    found = eventually(
        "a survey finds the cold part", lambda: n if (n := told_mib()) >= COLD_MIB else 0, EFFECT_S
    )
    assert found <= COLD_MIB + PROGRAM_MIB
