"""A worker node with a real kernel, the chart on it, and pods whose memory can be told apart.

The cluster is what the environment names (e2e/kind/env.sh prints it); the node is a virtual machine
that joins for the session.
"""

import json
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import yaml
from harness.api import Api, Body, eventually
from harness.command import run, set_up
from harness.images import ensure
from harness.release import AGENT_IMAGE, ANNOTATIONS, IMAGE, OPERATOR_IMAGE, ROOT, Release
from harness.workloads import Workloads
from tests_node.ladder import EFFECT_S, Marks, lost, marks_below, tuning
from tests_node.pods import COLD_MIB, POD_S, VICTIMS
from tests_node.scene import MIB, Scene
from vm import archive
from vm.machine import Machine
from vmnode import control_plane, network
from vmnode.node import LABEL, NAME, VmNode

NEEDED = ("KUBECONFIG", "DAMON_MOCKS", "KIND_ENGINE")
NAMESPACE = "shop"
VALUES = {
    "image": IMAGE,
    # The operator stays where its image is; agents run where the kernel is a virtual machine's.
    "operator": {
        **ANNOTATIONS,
        "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
        "tolerations": [{"operator": "Exists"}],
    },
    "agent": {**ANNOTATIONS, "nodeSelector": {LABEL: "true"}, "memoryReclaim": True},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a cluster there is nothing to join, without tap devices no way to join it."""
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        reason = f"{', '.join(missing)} not set: run make test-node"
    elif not Path("/dev/net/tun").exists():
        reason = "no /dev/net/tun: the virtual machine has no way into the cluster's network"
    else:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(name="api", scope="session")
def api_fixture() -> Api:
    """The API server, as its administrator."""
    return Api()


@pytest.fixture(name="images", scope="session")
def images_fixture(api: Api) -> None:
    """The images of this checkout, the operator's in the control plane."""
    ensure(control_plane.find(api).name, images=(OPERATOR_IMAGE,))


@pytest.fixture(name="node", scope="session")
def node_fixture(
    api: Api, images: None, tmp_path_factory: pytest.TempPathFactory, measured: dict[str, float]
) -> Iterator[VmNode]:
    """The machine, joined and Ready; at the end it is taken out of the cluster."""
    plane = control_plane.find(api)
    beside = network.beside(plane.address)
    machine = Machine(
        kernel=archive.kernel(os.environ.get("VM_KERNEL", "6.12")),
        root=Path(set_up([str(ROOT / "e2e/vmnode/disk.sh"), AGENT_IMAGE]).split()[-1]),
        memory_mib=1536,
        zram_mib=1536,
        network=beside.netdev(tmp_path_factory.mktemp("network")),
        address=str(beside.address),
        gateway=str(beside.gateway.ip),
        # Since 6.17 Debian's kernels start with it on, and it is exclusive (docs/operations.md).
        append="damon_stat.enabled=N",
    )
    node = VmNode(api, plane, beside, machine)
    node.leave()  # of an earlier run
    try:
        begin = time.monotonic()
        node.join()
        measured["power-on to Ready, s"] = time.monotonic() - begin
        yield node
        measured["QEMU's most memory, MiB"] = _peak_mib(node)
    finally:
        node.leave()


def _peak_mib(node: VmNode) -> float:
    if node.running is None:
        return 0.0
    status = Path(f"/proc/{node.running.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.fixture(name="release", scope="session")
def release_fixture(api: Api, node: VmNode) -> Release:
    """The chart, installed; nothing of an earlier run governs the node."""
    for left in api.get("damontunings") if _has_crds(api) else ():
        api.delete("damontunings", left["metadata"]["name"])
    release = Release(api, VALUES)
    release.install()
    return release


def _has_crds(api: Api) -> bool:
    name = "damontunings.damon-operator.io"
    return api.find("customresourcedefinitions", name) is not None


@pytest.fixture(name="scene", scope="session")
def scene_fixture(api: Api, node: VmNode) -> Scene:
    """The node from outside the agent."""
    return Scene(api, node)


@pytest.fixture(name="workloads", scope="session")
def workloads_fixture(api: Api, node: VmNode) -> Workloads:
    """Pods of the session; they go with the node."""
    if api.find("namespaces", NAMESPACE) is None:
        api.create("namespaces", {"metadata": {"name": NAMESPACE}})
    for body in yaml.safe_load_all((ROOT / "examples/priorityclasses.yaml").read_text()):
        if api.find("priorityclasses", body["metadata"]["name"]) is None:
            api.create("priorityclasses", body)
    return Workloads(api)


@pytest.fixture(name="victims", scope="session")
def victims_fixture(
    api: Api, scene: Scene, workloads: Workloads, release: Release
) -> dict[str, Body]:
    """Pods with all of their memory filled, none of it reclaimed, and no tuning yet, by name."""
    for body in VICTIMS:
        workloads.create(body)
    names = [body["metadata"]["name"] for body in VICTIMS]
    found = {name: workloads.running(name, within_s=POD_S) for name in names}
    eventually("every victim has filled its memory", lambda: filled(scene, found), POD_S)
    return found


def filled(scene: Scene, victims: dict[str, Body]) -> bool:
    """Tell whether all of the cold memory of each has been written."""
    seen = scene.look()
    areas = [seen.of(pod).areas.get("cold") for pod in victims.values()]
    return all(a and a.resident_bytes + a.swap_bytes == COLD_MIB * MIB for a in areas)


@pytest.fixture(name="marks", scope="session")
def marks_fixture(api: Api, scene: Scene, victims: dict[str, Body], node: VmNode) -> Marks:
    """The ladder in force, with every pod's memory as it was filled and nothing squeezed."""
    seen = scene.look()
    assert lost(seen, victims) == {}
    marks = marks_below(seen.available_permille)
    api.create("damontunings", tuning(marks.ceiling))
    eventually("the agent says that the plan is applied", scene.applied, EFFECT_S)
    return marks


@pytest.fixture(name="measured", scope="session")
def measured_fixture() -> Iterator[dict[str, float]]:
    """Numbers to report; written as JSON where NODE_RESULTS says."""
    found: dict[str, float] = {}
    yield found
    if "NODE_RESULTS" in os.environ:
        Path(os.environ["NODE_RESULTS"]).write_text(json.dumps(found, indent=2) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what explains a failure: the machine, the agent, and what it reports."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    if report.failed and "node" in arguments and report.when == "call":
        node = arguments["node"]
        report.sections.append(("the machine", node.explain()))
        selector = "--selector=app.kubernetes.io/component=agent"
        agent = ["kubectl", "logs", "--namespace=damon-system", "--tail=60", selector]
        report.sections.append(("the agent", run(agent, check=False)))
        said = run(["kubectl", "get", "damonnode", NAME, "--output=yaml"], check=False)
        report.sections.append(("the DamonNode", said))
        pods = run(["kubectl", "get", "pods", "--all-namespaces", "--output=wide"], check=False)
        report.sections.append(("pods", pods))
    return report
