"""The release goes, and the kernel is as it was found."""

from harness.api import Api, Body, eventually
from harness.release import NAMESPACE, Release
from tests_node.ladder import EFFECT_S, Marks
from tests_node.scene import Scene
from vmnode.node import VmNode


def test_an_uninstall_leaves_the_kernel_as_it_was_found(
    node: VmNode, marks: Marks, scene: Scene, victims: dict[str, Body], release: Release, api: Api
) -> None:
    assert scene.look().nr_kdamonds > 0
    release.uninstall()
    seen = scene.look()
    assert seen.nr_kdamonds == 0
    assert not seen.threads
    assert not node.on.shell("find /run/damon-operator -name '*.json*'")
    # Helm does not wait for the pods of what it has deleted.
    eventually("no pod is left", lambda: api.get("pods", namespace=NAMESPACE) == [], EFFECT_S)
    assert api.get("damonnodes") == []
