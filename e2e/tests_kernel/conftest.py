"""A machine per kernel, and on it what each test starts from: nothing of ours in the kernel.

VM_KERNELS says which kernels, as e2e/vm/kernel.sh understands them.
"""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests_kernel.agent import STATE, Agent
from tests_kernel.containers import Containers
from tests_kernel.node import PROGRAMS, Node
from tests_kernel.plans import Plans
from tests_kernel.waiting import until_equal
from vm import archive
from vm.archive import AgentImage
from vm.machine import Disk, Machine, Running
from vm.overlay import Overlay

KERNELS = os.environ.get("VM_KERNELS", "6.12 newest").split()
HERE = Path(__file__).parent
MEMORY_MIB = 1536
ZRAM_MIB = 1024


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip where no machine can be made; each machine's tests stay together."""
    able = subprocess.run([HERE.parent / "vm" / "able.sh"], check=False, capture_output=True)
    reason = able.stdout.decode().strip()
    for item in items:
        if HERE not in item.path.parents:
            continue
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        wanted = getattr(item, "callspec", None)
        if wanted is not None:
            item.add_marker(pytest.mark.xdist_group(str(wanted.params.get("kernel"))))


@pytest.fixture(name="image", scope="session")
def image_fixture() -> AgentImage:
    """The agent's image of this checkout."""
    return archive.agent_image()


@pytest.fixture(name="kernel", scope="session", params=KERNELS)
def kernel_fixture(request: pytest.FixtureRequest) -> archive.Kernel:
    """A stock Debian kernel."""
    return archive.kernel(request.param)


@pytest.fixture(name="guest", scope="session")
def guest_fixture(kernel: archive.Kernel, image: AgentImage) -> Iterator[Running]:
    """A machine with this kernel."""
    machine = Machine(
        kernel=kernel,
        memory_mib=MEMORY_MIB,
        zram_mib=ZRAM_MIB,
        disks=[Disk("agent", image.disk)],
        overlay=Overlay(directories={PROGRAMS: HERE / "guest"}),
    )
    with machine.boot() as running:
        yield running


@pytest.fixture(name="node", scope="session")
def node_fixture(guest: Running) -> Node:
    """The machine as a node, DAMON free for everybody."""
    node = Node(guest)
    guest.shell("f=/sys/module/damon_stat/parameters/enabled; [ ! -e $f ] || echo N >$f")
    return node


@pytest.fixture(name="plans")
def plans_fixture(tmp_path: Path) -> Iterator[Plans]:
    """The API server, without a plan."""
    with Plans(tmp_path) as plans:
        yield plans


@pytest.fixture(name="containers")
def containers_fixture(node: Node) -> Iterator[Containers]:
    """The containers of one test, taken away after it."""
    containers = Containers(node)
    yield containers
    containers.clear()


@pytest.fixture(name="agent")
def agent_fixture(
    request: pytest.FixtureRequest,
    node: Node,
    containers: Containers,
    plans: Plans,
    image: AgentImage,
) -> Iterator[Agent]:
    """The agent, started, without a plan; after the test nothing of it is left in the kernel."""
    assert node.nr_kdamonds() == 0
    node.guest.shell(f"rm -rf {STATE} /run/log; mkdir /run/log")
    agent = Agent(node, containers, plans, image.configuration)
    agent.start()
    yield agent
    if request.node.stash.get(FAILED, default=False):
        sys.stderr.write(f"{agent.log()}\n{plans.status()}\n{node.guest.console_tail()}\n")
    plans.remove()
    # A test that failed in between has left it dead; who comes next is to find nothing of it.
    if not agent.runs:
        agent.start()
    until_equal("nothing of ours is left in the kernel", node.nr_kdamonds, 0)
    agent.stop()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the fixtures whether their test has failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report
