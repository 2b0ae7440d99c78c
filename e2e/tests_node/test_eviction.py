"""What the kubelet sees of page cache that goes: a node near its threshold does not come to evict.

The kubelet evicts by what it counts as in use, and page cache that a process maps counts as such,
however cold it is (kubernetes/kubernetes#43916). First in the suite: its pods fill the node.
"""

from collections.abc import Iterator

import pytest
from harness.api import Api, Body, eventually
from harness.release import Release
from harness.workloads import Workloads, container, container_ids, pod
from tests_node.ladder import EFFECT_S, tuning
from tests_node.pods import POD_S, filler
from tests_node.scene import MIB, Scene
from vmnode.node import NAME, VmNode

CACHE_MIB = 400
THRESHOLD_MIB = 400
BEYOND_MIB = 60
"""How far below the threshold the node would be with the cache."""
LEFT_MIB = 60
"""Of the cache, when it has gone: the last steps are small, and the interpreter's files are hot."""
COUNTED_MIB = CACHE_MIB * 3 // 4
"""What the kubelet has counted by then of the cache; its figures are some ten seconds old."""
WATCHED_S = 40
"""The kubelet looks every ten seconds."""
CONFIG = "/var/lib/kubelet/config.yaml"
_MAPPED = """
import mmap, sys, time
with open("/tmp/cache", "wb") as file:
    file.truncate(int(sys.argv[1]) << 20)
file = open("/tmp/cache", "rb")
memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
memory[::mmap.PAGESIZE]
time.sleep(1e9)
"""


@pytest.fixture(name="kubelet")
def kubelet_fixture(api: Api, node: VmNode) -> Iterator[None]:
    """A kubelet that evicts long before the kernel reclaims, and forgets about it soon.

    It is killed to begin anew: asked to end, it once did not.
    """
    node.on.run("cp", CONFIG, f"{CONFIG}.before")
    node.on.shell(
        f"sed -i 's/memory.available: [^,]*/memory.available: {THRESHOLD_MIB}Mi/' {CONFIG}; "
        f"echo 'evictionPressureTransitionPeriod: 10s' >>{CONFIG}; pkill -KILL kubelet"
    )
    yield
    node.on.shell(f"mv {CONFIG}.before {CONFIG}; pkill -KILL kubelet")
    eventually("the kubelet is back", lambda: available_mib(api), EFFECT_S)


def available_mib(api: Api) -> int:
    """Return what the kubelet counts as available on its node, in MiB."""
    summary = api.ask("GET", f"/api/v1/nodes/{NAME}/proxy/stats/summary?only_cpu_and_memory=true")
    return int(summary["node"]["memory"]["availableBytes"]) // MIB


def until_counted(api: Api, *, below_mib: int = 1 << 20, above_mib: int = -1) -> int:
    """Wait until what the kubelet counts as available is between these; return it."""
    return eventually(
        f"between {above_mib} and {below_mib} MiB are counted as available",
        lambda: found if above_mib < (found := available_mib(api)) < below_mib else None,
        EFFECT_S,
    )


def uptime_s(node: VmNode) -> float:
    """Return the machine's own time: an emulated one may be slower than ours."""
    return float(node.on.read("/proc/uptime").split()[0])


def under_pressure(api: Api) -> bool:
    """Tell whether the kubelet says so of its node."""
    conditions = api.get("nodes", NAME)["status"]["conditions"]
    return any(c["type"] == "MemoryPressure" and c["status"] == "True" for c in conditions)


def start_mapped(workloads: Workloads, scene: Scene, name: str) -> Body:
    """Start the pod whose page cache is mapped and cold; return it with all of it read."""
    command = {"command": ["python3", "-c", _MAPPED, str(CACHE_MIB)]}
    workloads.create(
        pod(name, NAME, priority="10", class_name="batch", containers=[container("main") | command])
    )
    found = workloads.running(name, within_s=POD_S)
    eventually(
        f"{name} has read its file",
        lambda: cache_mib(scene, found) >= CACHE_MIB,
        EFFECT_S,
    )
    return found


def cache_mib(scene: Scene, running: Body) -> float:
    """Return the page cache of a pod."""
    return scene.look().of(running).file_bytes / MIB


def end(api: Api, *names: str) -> None:
    for name in names:
        api.delete_now("pods", name, "shop")
    eventually(
        f"{', '.join(names)} are gone",
        lambda: not any(api.find("pods", name, "shop") for name in names),
        POD_S,
    )
    eventually("the node is well", lambda: not under_pressure(api), EFFECT_S)


def phase(api: Api, name: str) -> str:
    status = api.get("pods", name, "shop")["status"]
    return str(status.get("reason") or status["phase"])


def test_a_low_pod_heavy_with_mapped_files_is_evicted_without_us_and_not_with_us(
    api: Api,
    node: VmNode,
    release: Release,
    scene: Scene,
    workloads: Workloads,
    kubelet: None,
    measured: dict[str, float],
) -> None:
    empty_mib = eventually("the kubelet is back", lambda: available_mib(api), EFFECT_S)
    start_mapped(workloads, scene, "mapped")
    full_mib = until_counted(api, below_mib=empty_mib - COUNTED_MIB)
    size_mib = full_mib - THRESHOLD_MIB + BEYOND_MIB
    workloads.create(filler("filler", size_mib, class_name="critical"))
    eventually("the pod is evicted", lambda: phase(api, "mapped") == "Evicted", EFFECT_S)
    end(api, "filler", "mapped")

    chosen = tuning(ceiling=900)
    chosen["spec"]["brake"] = {"enabled": True}
    # Nothing is so old: what goes, goes by memory.reclaim.
    chosen["spec"]["reclaim"] = {"minAge": "1h"}
    kept = start_mapped(workloads, scene, "mapped")
    full_mib = until_counted(api, below_mib=empty_mib - COUNTED_MIB)
    api.create("damontunings", chosen)
    try:
        eventually("its page cache goes", lambda: cache_mib(scene, kept) < LEFT_MIB, 2 * EFFECT_S)
        freed_mib = until_counted(api, above_mib=full_mib + COUNTED_MIB) - full_mib
        measured["freed for the kubelet, MiB"] = freed_mib
        workloads.create(filler("filler", size_mib, class_name="critical"))
        workloads.running("filler", within_s=POD_S)
        left_mib = until_counted(api, below_mib=full_mib + freed_mib - size_mib // 2)
        measured["left above the threshold, MiB"] = left_mib - THRESHOLD_MIB
        until_s = uptime_s(node) + WATCHED_S
        while uptime_s(node) < until_s:
            assert available_mib(api) > THRESHOLD_MIB
            assert phase(api, "mapped") == "Running"
            assert not under_pressure(api)
        assert list(container_ids(api.get("pods", "mapped", "shop"))) == list(container_ids(kept))
        assert scene.report()["status"]["memoryReclaim"]["takes"] == "FilePages"
    finally:
        api.delete("damontunings", "default")
        end(api, "filler", "mapped")
    eventually("nothing of ours is left", lambda: scene.look().nr_kdamonds == 0, EFFECT_S)
